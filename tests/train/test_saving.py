import numpy as np
import pytest

import train.saving
from tests.train.runs import ConfigMaker, fit_quietly, series_of
from train.checkpoint import load_state
from train.distributed import Comm
from train.engine import Trainer
from train.saving import SavePlan


class Clock:
    def __init__(self, seconds_per_step: float) -> None:
        self.step, self.seconds_per_step = 0, seconds_per_step

    def monotonic(self) -> float:
        return self.step * self.seconds_per_step


def saves(
    monkeypatch: pytest.MonkeyPatch,
    n_steps: int,
    seconds_per_step: float,
    *,
    steps: int | None = None,
    seconds: float | None = None,
) -> list[int]:
    clock = Clock(seconds_per_step)
    monkeypatch.setattr(train.saving, "time", clock)
    plan, found = SavePlan(Comm(), 0, steps=steps, seconds=seconds), []
    for clock.step in range(1, n_steps + 1):
        if plan.due(clock.step):
            found.append(clock.step)
            plan.saved(clock.step)
    return found


def test_due__after_so_many_steps(monkeypatch: pytest.MonkeyPatch):
    assert saves(monkeypatch, 20, 1.0, steps=6) == [6, 12, 18]


@pytest.mark.parametrize("seconds_per_step", [1.0, 10.0, 25.0])
def test_due__after_so_much_time(monkeypatch: pytest.MonkeyPatch, seconds_per_step: float):
    every = max(1, int(-(-20 // seconds_per_step)))
    assert saves(monkeypatch, 60, seconds_per_step, seconds=20) == list(range(every, 61, every))


def test_due__never(monkeypatch: pytest.MonkeyPatch):
    assert saves(monkeypatch, 100, 1e6) == []


def test_fit__goes_on_from_a_checkpoint_within_an_epoch(
    make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch
):
    # An epoch has 12 steps; the run dies in the 20th, of which the 18th was saved.
    settings = {"stopping": {"max_epochs": 3, "patience": 9}, "optimizer": {"learning_rate": 0.1}}
    out = make_config().run.out
    whole = fit_quietly(make_config(**settings, run={"out": f"{out}-whole"}))
    config = make_config(**settings, run={"checkpoint_steps": 3, "keep_checkpoints": 2})
    untouched = Trainer.train_step

    def dying(trainer: Trainer, batch: object) -> object:
        if trainer.progress.total_steps == 19:
            raise RuntimeError("killed")
        return untouched(trainer, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", dying)
        with pytest.raises(RuntimeError, match="killed"):
            fit_quietly(config)
    run = whole.with_name("run")
    state = load_state(run)
    assert state is not None
    assert state["progress"]["total_steps"] == 18
    assert (run / "checkpoint.1.pt").exists()
    np.testing.assert_allclose(series_of(fit_quietly(config)), series_of(whole), rtol=0, atol=1e-12)
