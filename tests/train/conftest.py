"""A small dataset with planted causal genes, and runs on it."""

from pathlib import Path

import pytest

from contract.example import write_example
from tests.train.audit_cohorts import draw_cohort, make_run
from tests.train.audit_runs import SIGNAL
from tests.train.optional import READER
from tests.train.runs import CAUSAL, ConfigMaker, config_maker, fit_quietly
from train.evaluate import evaluate


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """1,000 people, 60 genes × 4 channels, three genes with strong effects; folds of 64 + 36 rows."""
    root = str(tmp_path_factory.mktemp("example") / "dataset")
    write_example(root, n_samples=1000, n_genes=60, causal=CAUSAL, effect=3.0, density=0.1, seed=5)
    return root


@pytest.fixture
def make_config(dataset: str, tmp_path: Path) -> ConfigMaker:
    """Makes configurations for `dataset`."""
    return config_maker(dataset, tmp_path)


@pytest.fixture(scope="session")
def evaluated_run(dataset: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on `dataset` that has been evaluated once. Do not change it: copy it."""
    make = config_maker(dataset, tmp_path_factory.mktemp("evaluated"))
    run = fit_quietly(make(data={"reader": READER}, stopping={"max_epochs": 30}))
    # Other tests of the session may have read the sealed fold of the dataset that they all share.
    evaluate(run, again=True)
    return run


@pytest.fixture(scope="session")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a clean cohort with signal. Do not change it: copy it."""
    return make_run(tmp_path_factory.mktemp("clean"), draw_cohort(1, signal=SIGNAL))


@pytest.fixture(scope="session")
def confounded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No effect; batch B holds 80 % of the cases and has 20 % fewer calls. Do not change it: copy it."""
    return make_run(tmp_path_factory.mktemp("batch"), draw_cohort(1, batch_of_cases=0.8, batch_loss=0.2))
