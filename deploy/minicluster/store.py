"""Jars and programs of the services: fetched once, checked against pinned sums, kept in the cache folder.

Maven fetches what pom.xml names, and jars.sha256 pins every jar. Go builds both servers with -mod=readonly:
it takes the versions of go.mod alone, and refuses a module whose digest is not that of go.sum.

Another version: change pom.xml and write jars.sha256 anew (`sha256sum *.jar` in each folder of jars that
Maven makes, sorted by name); or change go/*/go.mod and run `go mod tidy` there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.minicluster.errors import ClusterError, FetchError, first_error
from deploy.minicluster.services import Tools

HERE = Path(__file__).resolve().parent
PINNED = ("pom.xml", "jars.sha256", "go/s3/go.mod", "go/s3/go.sum", "go/gcs/go.mod", "go/gcs/go.sum")
PROGRAMS = {"s3": "github.com/minio/minio", "gcs": "github.com/fsouza/fake-gcs-server"}
PARTS = ("jars/hadoop", "jars/s3a", "jars/gcs", "bin/s3", "bin/gcs")
FETCH_SECONDS = 1800
UNOPTIMISED = ("-gcflags=all=-N -l -dwarf=false", "-ldflags=-s -w")
"""Servers of a test have little to do. So, and with a compiler that rarely collects garbage (GOGC), MinIO
takes 220 s of processor time to compile."""


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the parts of the pinned versions lie: a folder for each set of versions and sums."""
    base = environment.get("EXOSHARD_CACHE")
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    digest = hashlib.sha256()
    for name in PINNED:
        digest.update((HERE / name).read_bytes())
    return Path(base or f"{home}/exoshard") / "minicluster" / digest.hexdigest()[:16]


def cached_parts(cache: Path) -> set[str]:
    """Parts that are there whole."""
    return {part for part in PARTS if _mark(cache, part).exists()}


def jars(cache: Path, part: str) -> list[str]:
    """Paths of a part's jars."""
    return sorted(str(path) for path in (cache / "jars" / part).glob("*.jar"))


def program(cache: Path, service: str) -> str:
    """Path of a server's program."""
    return str(cache / "bin" / service / PROGRAMS[service].rsplit("/", 1)[1])


def fetch(cache: Path, part: str, tools: Tools) -> None:
    """Bring one part into the cache, unless it is there.

    Written under a temporary name, checked, renamed; the mark that it is whole comes last.

    Raises
    ------
    FetchError
        Maven or Go failed.
    ClusterError
        A jar is not the pinned one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f".{_mark(cache, part).stem}.lock"):
        if _mark(cache, part).exists():
            return
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as temporary:
            made = Path(temporary) / "part"
            made.mkdir()
            if part.startswith("jars/"):
                _run_maven(part.removeprefix("jars/"), made, tools)
                check_jars(made, HERE / "jars.sha256")
            else:
                _run_go(part.removeprefix("bin/"), made, tools)
            target = cache / part
            shutil.rmtree(target, ignore_errors=True)  # of a fetch that was killed before its mark
            target.parent.mkdir(exist_ok=True)
            made.rename(target)
            _mark(cache, part).touch()


def check_jars(folder: Path, sums: Path) -> None:
    """Compare every jar of a folder with the pinned sums.

    Raises
    ------
    ClusterError
        A jar with another sum or without one, or no jar at all.
    """
    lines = sums.read_text(encoding="utf-8").splitlines()
    pinned = {name: digest for digest, name in (line.split("  ", 1) for line in lines if line)}
    found = sorted(folder.glob("*.jar"))
    if not found:
        raise ClusterError(f"{folder.name}: Maven brought no jar.")
    for jar in found:
        with jar.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if pinned.get(jar.name) != digest:
            wanted = pinned.get(jar.name, "no such jar")
            raise ClusterError(f"{jar.name}: its SHA-256 is {digest}, {sums.name} wants {wanted}.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: another one who wants it waits."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mark(cache: Path, part: str) -> Path:
    return cache / f"{part.replace('/', '-')}.complete"


def _run_maven(profile: str, target: Path, tools: Tools) -> None:
    assert tools.maven is not None
    assert tools.java is not None
    command = [
        str(tools.maven),
        "--quiet",
        "--batch-mode",
        "-Dstyle.color=never",
        "--file",
        str(HERE / "pom.xml"),
        "--activate-profiles",
    ]
    command += [profile, "dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    _run("Maven", command, {"JAVA_HOME": java_home(tools.java)})


def _run_go(service: str, target: Path, tools: Tools) -> None:
    assert tools.go is not None
    command = [str(tools.go), "build", "-mod=readonly", "-trimpath", *UNOPTIMISED]
    command += ["-o", f"{target}/", PROGRAMS[service]]
    # A workspace or flags of the user's own would choose other versions.
    settings = {"GOFLAGS": "-buildvcs=false", "GOWORK": "off", "CGO_ENABLED": "0", "GOGC": "800"}
    _run("Go", command, settings, HERE / "go" / service)


def _run(tool: str, command: list[str], settings: dict[str, str], folder: Path = HERE) -> None:
    environment = {**os.environ, **settings}
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"{tool} did not end within {FETCH_SECONDS} s.") from None
    if done.returncode != 0:
        raise FetchError(f"{tool} failed: {first_error(done.stdout + done.stderr)}")


def java_home(java: Path) -> str:
    """The folder that Hadoop and Maven call JAVA_HOME."""
    command = [str(java), "-XshowSettings:properties", "-version"]  # a link or a shim does not lead there
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stderr
    match = re.search(r"^\s*java\.home = (.+)$", told, re.MULTILINE)
    return match.group(1).strip() if match else str(java.resolve().parent.parent)
