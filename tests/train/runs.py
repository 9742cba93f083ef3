"""Configurations and runs that several tests share."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from contract.config import build_config
from train.config import TrainConfig
from train.distributed import Comm
from train.engine import Trainer
from train.errors import Stopped
from train.fit import fit
from train.run_folder import HISTORY_NAME

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
    fit(config, Comm(), Console(quiet=True))
    return Path(config.run.out)


def fit_interrupted(config: TrainConfig, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit until a signal to end comes after so many steps."""
    untouched = Trainer.train_step

    def interrupted(trainer: Trainer, batch: object) -> object:
        if trainer.progress.total_steps == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return untouched(trainer, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        with pytest.raises(Stopped):
            fit_quietly(config)


def history_of(run: Path) -> list[dict[str, float]]:
    return json.loads((run / HISTORY_NAME).read_text())


def series_of(run: Path) -> list[list[float]]:
    return [[entry[name] for name in SERIES] for entry in history_of(run)]
