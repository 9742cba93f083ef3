"""Configurations and runs that several tests share."""

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from contract.config import build_config
from train.config import TrainConfig
from train.distributed import Comm
from train.fit import HISTORY_NAME, fit

CAUSAL = (3, 17, 40)
SERIES = ("training_loss", "validation_loss", "validation_auroc", "learning_rate")

ConfigMaker = Callable[..., TrainConfig]


def config_maker(dataset: str, folder: Path) -> ConfigMaker:
    """Make configurations for a dataset, sections given as mappings; the run goes to `folder`/run."""

    def make(**sections: object) -> TrainConfig:
        data = {"dataset": dataset, "reader": "arrow", **sections.pop("data", {})}
        run = {"out": str(folder / "run"), "device": "cpu", **sections.pop("run", {})}
        return build_config(TrainConfig, {"data": data, "run": run, **sections}, "test")

    return make


def fit_quietly(config: TrainConfig) -> Path:
    return fit(config, Comm(), Console(quiet=True))


def history_of(run: Path) -> list[dict[str, float]]:
    return json.loads((run / HISTORY_NAME).read_text())


def series_of(run: Path) -> list[list[float]]:
    return [[entry[name] for name in SERIES] for entry in history_of(run)]
