"""One seed and one global batch: the same run, whatever the ranks, launcher and reader."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.train.optional import READER
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
PINNED = np.ravel(
    [
        [0.5480751, 0.449016, 0.4450849, 0.5140768, 0.3178121],
        [0.502933, 0.45348, 0.5997432, 0.4417419, 0.397777],
        [0.4061504, 0.4966514, 0.4219529, 0.4953222, 0.4748827],
        [0.4060241, 0.457648, 0.5499297, 0.5036182, 0.4255424],
    ]
)
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


def first_steps(steps: tuple[np.ndarray, ...], kind: object) -> tuple[np.ndarray, ...]:
    """Of the published network the first twelve: rounding decides ties of its maxima sooner or later."""
    return tuple(part[:12] for part in steps) if kind == "paper" else steps


def test_fit__first_twenty_losses(make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch):
    losses, untouched = [], Trainer.train_step

    def recorded(trainer: Trainer, batch: Batch) -> tuple[float, float]:
        loss, norm = untouched(trainer, batch)
        losses.append(loss)
        return loss, norm

    monkeypatch.setattr(Trainer, "train_step", recorded)
    fit_quietly(config_of(make_config, "pinned"))
    np.testing.assert_allclose(losses[:20], PINNED, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "launcher"),
    [pytest.param("ddp", torchrun(2), marks=pytest.mark.slow), ("horovod", horovodrun(3))],
)
def test_fit__first_twenty_losses_on_two_and_three_ranks(
    make_config: ConfigMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    launcher: list[str],
):
    config = config_of(make_config, name, data={"reader": READER})
    loss_S, _, _ = steps_of(config, launcher, tmp_path / name, monkeypatch)
    np.testing.assert_allclose(loss_S[:20], PINNED, rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [torchrun(2), horovodrun(2)], ids=["ddp", "horovod"])
def test_fit__gradients_as_float16_are_nearly_the_same_run(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: list[str]
):
    config = config_of(make_config, "half")
    config = config.model_copy(update={"run": config.run.model_copy(update={"half_gradients": True})})
    loss_S, _, _ = steps_of(config, launcher, tmp_path / "half", monkeypatch)
    differences = np.abs(loss_S[:20] - PINNED)
    assert 2e-6 < differences.max() < 2e-3


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
            kind = model.get("kind")
            assert_same_run(first_steps(alone, kind), first_steps(found, kind), (name, n))


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
