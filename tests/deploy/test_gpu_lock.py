"""Training where GPU images are: Python 3.12, numpy 2, the newest torch, no Petastorm, no Horovod."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UV = PROJECT / ".venv" / "bin" / "uv"
TESTS = ("tests/contract", "tests/train")
FREE_GB = 12


def python312() -> str | None:
    """A Python 3.12 of this machine."""
    own = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which("python3.12"), *map(str, sorted(own.glob("3.12.*/bin/python")))]
    return next((found for found in candidates if found and _runs(found)), None)


def _runs(python: str) -> bool:
    """Whether it starts: on the search path may lie a shim of pyenv that leads nowhere."""
    ask = "import sys, venv; sys.exit(sys.version_info[:2] != (3, 12))"
    return subprocess.run([python, "-c", ask], capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_gpu_lock__contract_and_training_pass_their_tests_on_python_3_12(tmp_path: Path):
    base = python312()
    if base is None:
        pytest.skip("no Python 3.12 was found")
    if not UV.exists():
        pytest.skip("no .venv in the checkout, which has uv")
    if shutil.disk_usage(tmp_path).free < FREE_GB * 1e9:
        pytest.skip(f"less than {FREE_GB} GB are free for torch with its CUDA libraries")
    subprocess.run([base, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r"]
    subprocess.run([*install, PROJECT / "deploy/locks/gpu.lock"], check=True)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", tmp_path / "tests", *TESTS],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout
