"""Fixtures shared by all tests: the real data beside the checkout, and one Hail for the whole run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where two processes share the tests, one takes all of the ETL's, which share Hail and its cohorts.

    It is the longest group and comes first; the other process takes the rest, file by file.
    """
    if config.getoption("dist", "no") != "loadgroup":
        return
    items.sort(key=lambda item: not item.path.is_relative_to(PROJECT / "tests" / "etl"))
    for item in items:
        is_etl = item.path.is_relative_to(PROJECT / "tests" / "etl")
        item.add_marker(pytest.mark.xdist_group("etl" if is_etl else str(item.path)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data; `EXOSHARD_SHARED` names another place than `../shared/data`."""
    folder = Path(os.environ.get("EXOSHARD_SHARED", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set EXOSHARD_SHARED to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def hail_session() -> Iterator[None]:
    """Hail on two local cores, started once for the whole run."""
    from etl.config import SparkConfig
    from etl.session import hail_session

    with hail_session(SparkConfig(master="local[2]", driver_memory="2g"), brief=True):
        yield
