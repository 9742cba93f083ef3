"""The project's tests with the newer locks, each in an environment of its own; `make test-matrix`.

python -m deploy.test_matrix             all rows
python -m deploy.test_matrix next        one: the ETL with the newest Hail and numpy 2
python -m deploy.test_matrix gpu         training on Python 3.12 with the newest torch

The environments stay in the cache folder, one for each content of a lock. Rows whose Python is not on this
machine are left out and say so. What pytest printed lies in build/test-matrix.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.check.cache import cache_folder
from deploy.console import console, show

PROJECT = Path(__file__).resolve().parents[1]
LOGS = PROJECT / "build" / "test-matrix"
COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


@dataclass(frozen=True)
class Row:
    """A lock, the Python it is for, and the tests that pass with it."""

    lock: str
    python: str
    tests: tuple[str, ...]
    free_gb: float
    """What the disk must have free for the environment."""


ROWS = {
    "next": Row("next.lock", "3.11", ("tests/contract", "tests/etl"), 4),
    "gpu": Row("gpu.lock", "3.12", ("tests/contract", "tests/train"), 12),
}


class LeftOutError(Exception):
    """What this machine lacks for a row, as one sentence."""


@dataclass(frozen=True)
class Outcome:
    """What pytest said of one row."""

    status: int
    counts: dict[str, int]
    seconds: float
    log: Path

    @property
    def is_good(self) -> bool:
        """Whether tests ran and none failed: pytest's status is 0 only then."""
        return self.status == 0 and self.counts.get("passed", 0) > 0


def find_python(version: str) -> str:
    """A Python of this machine, such as 3.12. Raises LeftOutError where there is none."""
    of_pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        shutil.which(f"python{version}"),
        *map(str, sorted(of_pyenv.glob(f"{version}.*/bin/python"))),
    ]
    found = next((python for python in candidates if python and _is_version(python, version)), None)
    if found is None:
        raise LeftOutError(f"found no Python {version}, wanted it with venv on the search path or from pyenv")
    return found


def _is_version(python: str, version: str) -> bool:
    """Whether it starts and is of that version: a shim of pyenv on the search path may lead nowhere."""
    ask = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


def environment(row: Row, cache: Path) -> Path:
    """The Python of a row's environment in the cache folder, where it is made unless it is there.

    Raises LeftOutError where Python, uv or room is missing, CalledProcessError where a package can't be had.
    """
    lock = PROJECT / "deploy" / "locks" / row.lock
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    venv = cache / f"{lock.stem}-{digest}"
    # The mark is written last: an environment without it was left by a run that was killed.
    mark, python = venv / ".complete", venv / "bin" / "python"
    if mark.exists() and python.exists():
        return python
    base, uv = find_python(row.python), find_uv()
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free / 1e9
    if free < row.free_gb:
        raise LeftOutError(
            f"found {free:.1f} GB free at {cache}, wanted {row.free_gb:g} for the packages of {row.lock}"
        )
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([base, "-m", "venv", "--without-pip", venv], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-config", "--python", str(python), "--require-hashes"]
    subprocess.run([*install, "-r", str(lock)], check=True)
    mark.touch()
    return python


def find_uv() -> str:
    """The uv of .venv or of the search path. Raises LeftOutError where there is none."""
    own = PROJECT / ".venv" / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        raise LeftOutError("found no uv, wanted the one of .venv; run make setup")
    return found


def run_tests(row: Row, python: Path, log: Path) -> Outcome:
    """Run a row's tests; what pytest prints goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = {"PYTHONPATH": str(PROJECT), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *row.tests],
            cwd=PROJECT,
            env={**os.environ, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return Outcome(done.returncode, read_counts(log.read_text("utf-8")), time.monotonic() - started, log)


def read_counts(text: str) -> dict[str, int]:
    """Tests by what became of them, from the last line of pytest's; empty where it printed none."""
    last = next((line for line in reversed(text.splitlines()) if COUNT.search(line)), "")
    return {what.rstrip("s") if what == "errors" else what: int(n) for n, what in COUNT.findall(last)}


def main(names: list[str]) -> int:
    """Run the rows that are named, or all, and print one table; 1 where a test failed or could not run."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        console.print(f"test-matrix: found {unknown[0]}, wanted {' or '.join(ROWS)}", highlight=False)
        return 2
    told = [_try_row(name) for name in names or ROWS]
    columns = ("lock", "Python", "passed", "failed", "skipped", "seconds", "")
    show("tests with the newer locks", [line for line, _ in told], columns)
    return 0 if all(is_good for _, is_good in told) else 1


def _try_row(name: str) -> tuple[tuple[str, ...], bool]:
    """The table's line of one row, and whether all is well: what this machine lacks is no failure."""
    row = ROWS[name]
    console.print(f"{row.lock} on Python {row.python}: {' '.join(row.tests)}", highlight=False)
    head, nothing = (row.lock, row.python), ("", "", "", "")
    try:
        outcome = run_tests(row, environment(row, cache_folder() / "test-matrix"), LOGS / f"{name}.log")
    except LeftOutError as lacking:
        return (*head, *nothing, f"left out: {lacking}"), True
    except subprocess.CalledProcessError as error:
        return (*head, *nothing, f"not installed, status {error.returncode}"), False
    counts = (str(outcome.counts.get(what, 0)) for what in ("passed", "failed", "skipped"))
    end = "" if outcome.is_good else f"see {outcome.log.relative_to(PROJECT)}"
    return (*head, *counts, f"{outcome.seconds:.0f}", end), outcome.is_good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
