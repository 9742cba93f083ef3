"""A small dataset with planted causal genes, and runs on it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.config import build_config
from contract.example import write_example
from train.config import TrainConfig

CAUSAL = (3, 17, 40)

ConfigMaker = Callable[..., TrainConfig]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """1,000 people, 60 genes × 4 channels, strong effects of three genes; row groups of 64 and 36 in each fold."""
    root = str(tmp_path_factory.mktemp("example") / "dataset")
    write_example(root, n_samples=1000, n_genes=60, causal=CAUSAL, effect=3.0, density=0.1, seed=5)
    return root


@pytest.fixture
def make_config(dataset: str, tmp_path: Path) -> ConfigMaker:
    """A configuration for `dataset`, sections given as mappings."""

    def make(**sections: object) -> TrainConfig:
        data = {"dataset": dataset, "reader": "arrow", **sections.pop("data", {})}
        run = {"out": str(tmp_path / "run"), "device": "cpu", **sections.pop("run", {})}
        return build_config(TrainConfig, {"data": data, "run": run, **sections}, "test")

    return make
