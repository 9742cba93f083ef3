"""One seed and one global batch: the same run, whatever the ranks, launcher and reader."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.train.ranks import horovodrun, launch, torchrun
from tests.train.runs import ConfigMaker, fit_interrupted, fit_quietly, series_of
from train.config import TrainConfig
from train.engine import Trainer
from train.scaling import Batch

RECORDING = """
import json
import os

from train.__main__ import app
from train.engine import Trainer

untouched = Trainer.train_step
steps = []


def recorded(trainer, batch):
    loss, norm = untouched(trainer, batch)
    steps.append([loss, norm, batch.sample_B.tolist()])
    return loss, norm


Trainer.train_step = recorded
try:
    app()
finally:
    rank = os.environ.get("RANK") or os.environ.get("HOROVOD_RANK") or "0"
    with open(os.environ["STEPS"] + rank + ".json", "w") as stream:
        json.dump(steps, stream)
"""
RATE = {"learning_rate": 0.1, "warmup_steps": 5}
PINNED = [
    *(
        0.5492252,
        0.4570929,
        0.4478519,
        0.5190726,
        0.3221158,
        0.5178704,
        0.458063,
        0.6086118,
        0.4484702,
        0.4015098,
    ),
    *(
        0.4063824,
        0.5011294,
        0.4279751,
        0.5003206,
        0.4883497,
        0.4205257,
        0.4579823,
        0.543222,
        0.5068396,
        0.4412977,
    ),
]
"""Losses of the first twenty steps of the default model."""


def steps_of(
    config: TrainConfig, launcher: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[np.ndarray, np.ndarray, list[set[int]]]:
    """Loss, gradient norm and people of each step of a run, over all its ranks."""
    folder.mkdir()
    (folder / "recording.py").write_text(RECORDING)
    monkeypatch.setenv("STEPS", f"{folder}/rank")
    done = launch(launcher, config, folder, program=[str(folder / "recording.py")])
    assert done.returncode == 0, done.stderr
    ranks = [json.loads(path.read_text()) for path in sorted(folder.glob("rank*.json"))]
    loss_S = np.sum([[loss for loss, _, _ in steps] for steps in ranks], axis=0)
    norm_S = np.array([norm for _, norm, _ in ranks[0]])
    shares = [[people for _, _, people in steps] for steps in ranks]
    assert all(len(set(map(len, parts))) <= 2 for parts in zip(*shares, strict=True))
    return loss_S, norm_S, [set().union(*parts) for parts in zip(*shares, strict=True)]


def config_of(make_config: ConfigMaker, name: str, **sections: object) -> TrainConfig:
    folder = make_config().run.out
    model = sections.pop("model", {})
    stopping = {"max_epochs": 2, "patience": 9, "min_steps": 0}
    return make_config(
        optimizer=RATE, stopping=stopping, model=model, run={"out": f"{folder}-{name}"}, **sections
    )


def assert_same_run(one: tuple[np.ndarray, ...], two: tuple[np.ndarray, ...], what: object) -> None:
    assert one[2] == two[2], f"other people: {what}"
    np.testing.assert_allclose(two[0], one[0], rtol=0, atol=1e-6, err_msg=str(what))
    np.testing.assert_allclose(two[1], one[1], rtol=1e-4, err_msg=str(what))


def test_fit__first_twenty_losses(make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch):
    losses, untouched = [], Trainer.train_step

    def recorded(trainer: Trainer, batch: Batch) -> tuple[float, float]:
        loss, norm = untouched(trainer, batch)
        losses.append(loss)
        return loss, norm

    monkeypatch.setattr(Trainer, "train_step", recorded)
    fit_quietly(config_of(make_config, "pinned"))
    np.testing.assert_allclose(losses[:20], PINNED, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("name", "launcher"), [("ddp", torchrun(2)), ("horovod", horovodrun(3))])
def test_fit__first_twenty_losses_on_two_and_three_ranks(
    make_config: ConfigMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    launcher: list[str],
):
    config = config_of(make_config, name, data={"reader": "petastorm"})
    loss_S, _, _ = steps_of(config, launcher, tmp_path / name, monkeypatch)
    np.testing.assert_allclose(loss_S[:20], PINNED, rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["arrow", "petastorm"])
@pytest.mark.parametrize(
    "model",
    [{}, {"layers": 2, "members": 2}, {"kind": "paper", "dense": 8}, {"effects": {"polygenic": False}}],
)
def test_fit__same_run_on_any_number_of_ranks(
    make_config: ConfigMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: dict[str, object],
    reader: str,
):
    alone = steps_of(config_of(make_config, "1", model=model), [sys.executable], tmp_path / "1", monkeypatch)
    for n in (2, 3, 4):
        for name, launcher in (("ddp", torchrun(n)), ("horovod", horovodrun(n))):
            config = config_of(make_config, f"{name}{n}", model=model, data={"reader": reader})
            found = steps_of(config, launcher, tmp_path / f"{name}{n}", monkeypatch)
            assert_same_run(alone, found, (name, n))


def test_fit__goes_on_with_another_number_of_ranks(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # The signal comes in the second epoch; three ranks take up what one left.
    whole = fit_quietly(config_of(make_config, "whole"))
    config = config_of(make_config, "resumed")
    fit_interrupted(config, 16, monkeypatch)
    done = launch(torchrun(3), config, tmp_path)
    assert "going on from epoch 2" in done.stdout, done.stderr
    np.testing.assert_allclose(series_of(Path(config.run.out)), series_of(whole), rtol=0, atol=1e-6)
