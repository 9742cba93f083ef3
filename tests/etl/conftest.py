from pathlib import Path

import pytest
from rich.console import Console

from tests.etl.mini import MiniInputs
from tests.etl.study import Study, simulate_study


@pytest.fixture
def mini(tmp_path: Path) -> MiniInputs:
    """Four people, two records, one gene: without a fault until a test puts one in."""
    return MiniInputs(tmp_path)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A simulated cohort of 160 people and 30 genes. Do not change its files."""
    return simulate_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def finished(simulated: Study, hail_session: None) -> Study:
    """The same cohort after the whole ETL, run once. Do not change it: copy it."""
    from etl.pipeline import run

    run(simulated.config(), console=Console(quiet=True))
    return simulated
