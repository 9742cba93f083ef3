"""Ranks that meet a fault in the middle of training, through the launchers that people use.

Whatever the fault: all processes end, with a status other than 0, and the last checkpoint is whole.
"""

import sys
import time
from pathlib import Path

import pytest

from tests.train.processes import FAULTY, LAUNCHERS, launched, wait_for
from tests.train.runs import ConfigMaker, history_of
from train.checkpoint import load_state
from train.config import TrainConfig

ENDLESS = {"max_epochs": 100_000, "patience": 100_000}


def checkpoint_of(config: TrainConfig) -> int:
    """Steps of the last checkpoint, which is whole and agrees with the history."""
    state = load_state(Path(config.run.out))
    assert state is not None
    assert len(history_of(Path(config.run.out))) == state["progress"]["epoch"]
    return int(state["progress"]["total_steps"])


@pytest.mark.slow  # 20 to 60 s: launchers wait for ranks that they ask to end
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("stop:1:30", "has given no sign of life for"),
        ("sleep:1:30", "stands still in epoch 3, step 7 (train/engine.py:"),
    ],
)
def test_fit__a_rank_that_stands_still_ends_all(
    make_config: ConfigMaker, tmp_path: Path, launcher: str, fault: str, sentence: str
):
    config = make_config(stopping=ENDLESS, run={"stall_seconds": 6})
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, FAULT=fault) as launch:
        status, _, errors = launch.finish()
        assert launch.left(5) == []
    assert status == 1
    told = [line for line in errors.splitlines() if "ends with status" in line and "traceback" not in line]
    assert len(told) == 1, "one rank tells it"
    assert "rank 1 of 2 on" in told[0]
    assert sentence in told[0]
    assert "epoch 3, step 7" in told[0]
    assert checkpoint_of(config) == 24


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__told_to_end_in_slow_steps_saves_within_the_grace(
    make_config: ConfigMaker, tmp_path: Path, launcher: str
):
    # Horovod kills what is left 5 s after it was told to end; an epoch of these steps lasts 14 s.
    config = make_config(stopping=ENDLESS)
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, SLOW="1.2") as launch:
        wait_for(Path(config.run.out) / "history.json")
        time.sleep(3)
        launch.process.terminate()
        status, _, errors = launch.finish()
        assert launch.left(5) == []
    assert status != 0
    assert errors.count("stopped and saved; the same command goes on from here") >= 1
    assert 13 <= checkpoint_of(config) <= 20


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__ranks_without_their_launcher_save_and_end_and_keep_others_out(
    make_config: ConfigMaker, tmp_path: Path, launcher: str
):
    config = make_config(stopping=ENDLESS)
    command = [*LAUNCHERS[launcher](2), FAULTY]
    with launched(command, config, tmp_path, SLOW="0.3") as first:
        wait_for(Path(config.run.out) / "history.json")
        first.process.kill()
        with launched(command, config, tmp_path) as second:
            status, _, errors = second.finish()
            assert second.left(5) == []
        assert first.left(60) == []
    assert status != 0
    told = [line for line in errors.splitlines() if "ends with status 2" in line and "traceback" not in line]
    assert len(told) == 1
    assert "run: run.out: found a run in progress (process" in told[0]
    saved = checkpoint_of(config)
    assert saved > 12
    with launched([sys.executable, FAULTY], config, tmp_path, FAULT=f"end:0:{saved + 1}") as third:
        status, out, _ = third.finish()
    assert f"going on from epoch {saved // 12 + 1}, step {saved % 12 + 1}" in out
