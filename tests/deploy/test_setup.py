import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NEEDED = ["deploy/setup.sh", "deploy/horovod/build.sh", "deploy/locks", "pyproject.toml"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy of what the set-up reads, in a checkout of its own."""
    for name in NEEDED:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, target)
        else:
            shutil.copy2(PROJECT / name, target)
    return tmp_path


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def fake_python(folder: Path, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    return python


def tools_only(folder: Path) -> str:
    """Return a search path with the basic tools and without any Python."""
    folder.mkdir()
    for tool in ("bash", "cat", "cut", "dirname", "flock", "mkdir", "sha256sum"):
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    return str(folder)


def test_setup__says_that_python_is_missing(checkout, tmp_path):
    done = run(
        checkout / "deploy" / "setup.sh",
        PATH=tools_only(tmp_path / "bin"),
        HOME=str(tmp_path / "home"),
        PYENV_ROOT=str(tmp_path / "none"),
        PYTHON="",
    )
    assert done.returncode == 1
    assert "setup: no Python 3.11 with venv was found; install it or set PYTHON to it" in done.stderr


def test_setup__refuses_an_environment_of_another_python(checkout):
    fake_python(checkout / ".venv" / "bin", "exit 1")
    done = run(checkout / "deploy" / "setup.sh")
    assert done.returncode == 1
    assert f"{checkout}/.venv is not for Python 3.11; remove it and try again" in done.stderr


def test_setup__does_nothing_when_the_stamp_fits(checkout):
    fake_python(checkout / ".venv" / "bin", "exit 1")
    sources = ["bootstrap.lock", "local.lock"]
    files = [checkout / "deploy" / "locks" / name for name in sources]
    files += [checkout / name for name in ("deploy/horovod/build.sh", "deploy/setup.sh", "pyproject.toml")]
    digest = subprocess.run(
        ["sha256sum"], input=b"".join(file.read_bytes() for file in files), capture_output=True, check=True
    ).stdout.decode()
    (checkout / ".venv" / ".exoshard-setup").write_text(f"{digest.strip()} {checkout}\n")
    started = time.perf_counter()
    done = run(checkout / "deploy" / "setup.sh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.perf_counter() - started < 5


def test_horovod_build__names_the_missing_compiler(checkout, tmp_path):
    python = PROJECT / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv in the checkout")
    done = run(
        checkout / "deploy" / "horovod" / "build.sh",
        str(python),
        EXOSHARD_CACHE=str(tmp_path / "cache"),
        CXX="no-such-compiler",
    )
    assert done.returncode == 1
    assert "horovod: cannot be built, this is missing: a C++17 compiler (no-such-compiler)" in done.stderr


def test_horovod_build__asks_for_torch_first(checkout, tmp_path):
    python = fake_python(tmp_path / "bare", "exit 1")
    done = run(checkout / "deploy" / "horovod" / "build.sh", str(python))
    assert done.returncode == 1
    assert "horovod: torch is missing in" in done.stderr


@pytest.mark.slow
def test_horovod_build__a_failure_shows_the_errors_and_the_place_of_the_log(checkout, tmp_path):
    broken = tmp_path / "broken-compiler"
    broken.write_text("#!/bin/sh\necho 'this compiler is broken' >&2\nexit 1\n")
    broken.chmod(0o755)
    done = run(
        checkout / "deploy" / "horovod" / "build.sh",
        str(PROJECT / ".venv" / "bin" / "python"),
        EXOSHARD_CACHE=str(tmp_path / "cache"),
        CXX=str(broken),
    )
    log = tmp_path / "cache" / "wheels" / "horovod-0.28.1-failed.log"
    assert done.returncode == 1
    assert f"horovod: the build failed; the lines above are from {log}" in done.stderr
    assert "CMake Error" in done.stderr
    assert "this compiler is broken" in log.read_text()
