"""A small dataset with planted causal genes, and runs on it."""

from pathlib import Path

import pytest

from contract.example import write_example
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
    """A run on `dataset` through Petastorm that has been evaluated once. Do not change it: copy it."""
    make = config_maker(dataset, tmp_path_factory.mktemp("evaluated"))
    run = fit_quietly(make(data={"reader": "petastorm"}, stopping={"max_epochs": 30}))
    # Other tests of the session may have read the sealed fold of the dataset that they all share.
    evaluate(run, again=True)
    return run
