"""Ranks that meet a fault in the middle of training, through the launchers that people use.

Whatever the fault: all processes end, with a status other than 0, and the last checkpoint is whole.
"""

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


def only_told(errors: str, status: int) -> str:
    """The only line in which a rank tells why it ends, with that status of its own."""
    told = [line for line in errors.splitlines() if "ends with status" in line and "traceback" not in line]
    assert len(told) == 1, told
    assert f"ends with status {status}: " in told[0]
    return told[0]


def ranks_part(errors: str) -> str:
    """Lines of the ranks, without what launchers say after them."""
    marked = [line for line in errors.splitlines() if line.startswith(("[0]<std", "[1]<std", "[rank"))]
    return "\n".join(marked)


@pytest.mark.slow  # 20 to 60 s: launchers wait for ranks that they ask to end
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("stop:1:30", "has given no sign of life for"),
        ("sleep:1:30", "stands still in epoch 3, step 7 (train/loop.py:"),
    ],
)
def test_fit__a_rank_that_stands_still_ends_all(
    make_config: ConfigMaker, tmp_path: Path, launcher: str, fault: str, sentence: str
):
    config = make_config(stopping=ENDLESS, run={"stall_seconds": 12})
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, FAULT=fault) as launch:
        status, _, errors = launch.finish()
        assert launch.left(5) == []
    assert status == 1
    told = only_told(errors, 1)
    assert "rank 1 of 2 on" in told
    assert sentence in told
    assert "epoch 3, step 7" in told
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
    assert "rank 0 ends with status 143: stopped and saved; the same command goes on from here" in errors
    assert "rank 1 ends" not in errors
    assert 13 <= checkpoint_of(config) <= 20


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__ranks_without_their_launcher_save_and_end(
    make_config: ConfigMaker, tmp_path: Path, launcher: str
):
    config = make_config(stopping=ENDLESS)
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, SLOW="0.3") as launch:
        wait_for(Path(config.run.out) / "history.json")
        launch.process.kill()
        assert launch.left(60) == []
    saved = checkpoint_of(config)
    with launched([sys.executable, FAULTY], config, tmp_path, FAULT=f"end:0:{saved + 1}") as again:
        _, out, errors = again.finish()
    assert f"going on from epoch {saved // 12 + 1}, step {saved % 12 + 1}" in out, errors


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__second_job_on_a_folder_is_refused(make_config: ConfigMaker, tmp_path: Path, launcher: str):
    config = make_config(stopping=ENDLESS)
    with launched([sys.executable, FAULTY], config, tmp_path, SLOW="0.1") as first:
        wait_for(Path(config.run.out) / "history.json")
        with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path) as second:
            status, _, errors = second.finish()
            assert second.left(5) == []
        assert first.process.poll() is None
        assert status != 0
        owner = f"found a run in progress (process {first.process.pid} on"
        assert f"run: run.out: {owner}" in only_told(errors, 2)
        first.process.terminate()
        assert first.finish()[0] == 143


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        (
            "kill:1:30",
            None,
            # It waits first for the sums of batch normalisation.
            "rank 0 was left alone: epoch 3, step 7: another rank has ended",
        ),
        ("memory:1:30", 1, "rank 1 ends with status 1: epoch 3, step 7: found not enough memory ("),
    ],
)
@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__a_rank_that_dies_ends_all(
    make_config: ConfigMaker, tmp_path: Path, launcher: str, fault: str, status: int | None, sentence: str
):
    config = make_config(stopping=ENDLESS)
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, FAULT=fault) as launch:
        code, _, errors = launch.finish()
        assert launch.left(5) == []
    assert code == 1
    assert sentence in errors
    assert "Traceback" not in ranks_part(errors)
    if status is not None:
        assert "not enough memory" in only_told(errors, status)
    assert checkpoint_of(config) == 24


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__no_room_for_a_checkpoint_leaves_the_last_one(
    make_config: ConfigMaker, tmp_path: Path, launcher: str
):
    # From the 30th step on no file may grow beyond a few bytes: as on a full disk.
    config = make_config(stopping=ENDLESS)
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, FAULT="full:0:30") as launch:
        code, _, errors = launch.finish()
        assert launch.left(5) == []
    assert code == 1
    told = only_told(errors, 1)
    assert "run: checkpoint: found 'File too large', wanted a folder with room that can be written to" in told
    assert "Traceback" not in ranks_part(errors)
    assert checkpoint_of(config) == 24
    assert not list(Path(config.run.out).glob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_fit__part_file_damaged_after_the_start(
    make_config: ConfigMaker, tmp_path: Path, dataset: str, launcher: str
):
    # Nothing is kept in memory, so that the third epoch meets the damage.
    root = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    config = make_config(data={"dataset": str(root), "cache": "none"}, stopping=ENDLESS)
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path, SLOW="0.2") as launch:
        wait_for(Path(config.run.out) / "history.json")
        part = root / "samples" / "fold=3" / "part-00000.parquet"
        part.write_bytes(b"\xff" * part.stat().st_size)
        damaged = time.monotonic()
        code, _, errors = launch.finish()
        assert launch.left(5) == []
        assert time.monotonic() - damaged < 60
    assert code == 1
    assert "fold=3/part-00000.parquet" in only_told(errors, 2)
    assert "Traceback" not in ranks_part(errors)
    assert checkpoint_of(config) >= 12


@pytest.mark.parametrize("launcher", ["horovod", pytest.param("ddp", marks=pytest.mark.slow)])
def test_fit__one_class_alone_in_a_fold(
    make_config: ConfigMaker, tmp_path: Path, dataset: str, launcher: str
):
    root = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    part = root / "samples" / "fold=3" / "part-00000.parquet"
    table = pq.read_table(part)
    controls = pa.array(np.zeros(table.num_rows, np.int8))
    table = table.set_column(table.schema.get_field_index("is_case"), table.schema.field("is_case"), controls)
    pq.write_table(table, part, row_group_size=64)
    config = make_config(data={"dataset": str(root), "validation_folds": [3]})
    with launched([*LAUNCHERS[launcher](2), FAULTY], config, tmp_path) as launch:
        code, _, errors = launch.finish()
        assert launch.left(5) == []
    assert code == 1
    told = only_told(errors, 2)
    assert "is_case: found 0 cases and 100 controls in the validation folds (folds [3])" in told
    assert not Path(config.run.out).exists()
