"""Several ranks on one machine, through the launchers that people use."""

import copy
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import train.launch
from contract.config import dump_config
from contract.errors import InputError
from contract.example import write_example
from tests.train.optional import needs_horovod
from tests.train.ranks import LIMIT, PROJECT, horovodrun, launch, torchrun
from tests.train.runs import ConfigMaker, fit_quietly, history_of, series_of
from train import distributed
from train.bundle import load_bundle
from train.checkpoint import load_state
from train.data import open_reader
from train.direct import fit_effects_of_run
from train.fit import build_trainer, training_batches
from train.prepare import prepare
from train.run_folder import BUNDLE_NAME

INTERRUPTED = """
import os
import signal

from train.__main__ import app
from train.engine import Trainer

untouched = Trainer.train_step


def interrupted(trainer, batch):
    if trainer.progress.total_steps == 16:
        os.kill(os.getpid(), signal.SIGTERM)
    return untouched(trainer, batch)


Trainer.train_step = interrupted
app()
"""


FAILING_LEADER = """
from train.distributed import on_leader, start

comm = start()


def write():
    raise OSError("no space left")


try:
    on_leader(comm, write)
except Exception as error:
    # Both ranks share one output; unbuffered, `print` would send the line and its end apart.
    print(f"rank {comm.rank}: {type(error).__name__}: {error}\\n", end="", flush=True)
comm.barrier()
comm.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("model", [{}, {"members": 2}, {"kind": "paper", "dense": 8, "members": 2}])
def test_fit__same_curve_on_one_rank_and_on_two(
    make_config: ConfigMaker, tmp_path: Path, model: dict[str, object]
):
    settings = {"model": model, "stopping": {"max_epochs": 3}}
    alone = fit_quietly(make_config(**settings, run={"out": str(tmp_path / "alone")}))
    for name, launcher in (("horovod", horovodrun(2)), ("ddp", torchrun(2))):
        config = make_config(**settings, data={"reader": "petastorm"}, run={"out": str(tmp_path / name)})
        done = launch(launcher, config, tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("epoch 2 ") == 1, "the leader alone prints"
        for one, two in zip(history_of(alone), history_of(tmp_path / name), strict=True):
            for key in ("training_loss", "validation_loss", "validation_auroc"):
                assert two[key] == pytest.approx(one[key], abs=1e-6), (name, key)
        weights = load_bundle(tmp_path / name / BUNDLE_NAME).weights
        for key, expected in load_bundle(alone / BUNDLE_NAME).weights.items():
            torch.testing.assert_close(weights[key], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_fit__interrupted_ranks_go_on_with_the_same_series(make_config: ConfigMaker, tmp_path: Path):
    # An epoch has 12 steps: the signal comes to every rank within the second of four.
    interrupted = tmp_path / "interrupted.py"
    interrupted.write_text(INTERRUPTED)
    settings = {
        "optimizer": {"warmup_steps": 0, "plateau_patience": 0, "learning_rate": 1.0, "clip_norm": None},
        "stopping": {"max_epochs": 4, "patience": 50, "min_delta": 0.05},
    }
    whole, resumed = (
        make_config(**settings, run={"out": str(tmp_path / name), "agree_seconds": 0})
        for name in ("whole", "resumed")
    )
    assert launch(horovodrun(2), whole, tmp_path).returncode == 0
    stopped = launch(horovodrun(2), resumed, tmp_path, program=[str(interrupted)])
    assert "stopped and saved" in stopped.stderr
    assert len(history_of(tmp_path / "resumed")) == 1
    done = launch(horovodrun(2), resumed, tmp_path)
    assert "going on from epoch 2, step 6" in done.stdout, done.stderr
    expected = series_of(tmp_path / "whole")
    assert expected[-1][-1] < expected[0][-1], "the learning rate has fallen"
    np.testing.assert_allclose(series_of(tmp_path / "resumed"), expected, rtol=1e-9)


@needs_horovod
def test_restore__momentum_and_schedule_of_the_optimizer_that_steps(make_config: ConfigMaker):
    config = make_config(optimizer={"warmup_steps": 0})
    prepared = prepare(config, 1)
    comm = distributed.HorovodComm()
    try:
        reader = open_reader(config.data.dataset, prepared.manifest, config.data)
        path = fit_effects_of_run(prepared, reader, threads=1)
        before, after = (build_trainer(prepared, comm, path) for _ in range(2))
        batches = training_batches(prepared, reader, 0, comm)
        before.train_step(next(batches))
        after.restore(copy.deepcopy(before.state()))
        second = next(batches)
        batches.close()
        for trainer in (before, after):
            trainer.train_step(second)
        for one, two in zip(before.model.parameters(), after.model.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=0)
        after.schedule.optimizer.param_groups[0]["lr"] = 0.125
        assert after.optimizer.param_groups[0]["lr"] == 0.125
    finally:
        comm.close()


@pytest.mark.slow
def test_fit__seven_ranks_share_two_row_groups(make_config: ConfigMaker, tmp_path: Path):
    # Two streams for seven ranks: the nearest multiple of two that gives each rank someone is eight.
    root = str(tmp_path / "tiny")
    write_example(root, n_samples=200, n_genes=5, density=0.3, row_group_size=64, seed=1)
    data = {"dataset": root, "validation_folds": list(range(7)), "batch_size": 2}
    done = launch(torchrun(7), make_config(data=data, stopping={"max_epochs": 1}), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "8 people a step instead of 2: the nearest multiple of 2 streams" in done.stdout


@pytest.mark.slow
def test_fit__batch_that_cannot_be_had_ends_all_ranks(make_config: ConfigMaker, tmp_path: Path):
    root = str(tmp_path / "tiny")
    write_example(root, n_samples=20, n_genes=5, row_group_size=64, seed=1)
    config = make_config(data={"dataset": root, "validation_folds": list(range(8))})
    done = launch(horovodrun(2), config, tmp_path)
    assert done.returncode != 0
    assert "data.batch_size: found 64, wanted at most 2" in done.stderr
    assert "train/order.py" not in done.stderr, "a traceback instead of a sentence"


def test_fit__a_rank_that_fails_ends_all_of_them(make_config: ConfigMaker, tmp_path: Path, dataset: str):
    # A row group that cannot be decoded: only the rank that reads it knows.
    damaged = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    part = damaged / "samples" / "fold=3" / "part-00000.parquet"
    row_group = pq.read_metadata(part).row_group(0)
    start = next(
        column.dictionary_page_offset or column.data_page_offset
        for column in map(row_group.column, range(row_group.num_columns))
        if column.path_in_schema.startswith("indices")
    )
    content = bytearray(part.read_bytes())
    manifest, before = damaged / "manifest.json", hashlib.sha256(content).hexdigest()
    content[start : start + 300] = b"\xff" * 300
    part.write_bytes(bytes(content))
    # Written like this, so that the checksum agrees.
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(content).hexdigest()))
    done = launch(horovodrun(2), make_config(data={"dataset": str(damaged)}), tmp_path)
    assert done.returncode != 0
    assert "fold=3" in done.stderr
    assert "wanted a row group of the manifest" in done.stderr


@pytest.mark.slow
def test_fit__a_file_that_one_rank_finds_changed_ends_both(
    make_config: ConfigMaker, tmp_path: Path, dataset: str
):
    # The files of training folds 1, 2, 3 … are dealt to two ranks: the second has that of fold 2.
    changed = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    part = changed / "samples" / "fold=2" / "part-00000.parquet"
    pq.write_table(pq.read_table(part), part, row_group_size=64, compression="none")
    done = launch(horovodrun(2), make_config(data={"dataset": str(changed)}), tmp_path)
    assert done.returncode != 0
    assert "fold=2/part-00000.parquet sha256: found" in done.stderr
    assert "train/fit.py" not in done.stderr, "a traceback instead of a sentence"


def test_on_leader__any_failure_of_the_leader_is_told_to_every_rank(tmp_path: Path):
    # The barrier is met by both ranks, or one of them still waits for what the leader never shared.
    program = tmp_path / "failing.py"
    program.write_text(FAILING_LEADER)
    done = subprocess.run(
        [*torchrun(2), str(program)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("rank")) == [
        "rank 0: OSError: no space left",
        "rank 1: LostRankError: the leading rank failed: OSError: no space left",
    ]


@needs_horovod
def test_fit__launcher_that_is_told_to_end_leaves_a_checkpoint(make_config: ConfigMaker, tmp_path: Path):
    # Epochs without end: only the signal stops them; what was saved carries on from the step it came in.
    config = make_config(
        stopping={"max_epochs": 100_000, "patience": 100_000},
        run={"agree_seconds": 0, "out": str(tmp_path / "run")},
    )
    conf = tmp_path / "conf.yaml"
    conf.write_text(dump_config(config))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [*horovodrun(2), "-m", "train", "fit", str(conf)]
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stderr=subprocess.PIPE, text=True
    ) as launched:
        try:
            deadline = time.monotonic() + LIMIT
            while not (tmp_path / "run" / "history.json").exists() and time.monotonic() < deadline:
                time.sleep(0.2)
            launched.send_signal(signal.SIGTERM)
            _, errors = launched.communicate(timeout=60)
        finally:
            launched.kill()
    assert launched.returncode != 0
    assert errors.count("stopped and saved; the same command goes on from here") == 1
    state = load_state(tmp_path / "run")
    assert state is not None
    assert state["progress"]["total_steps"] >= 12


@pytest.mark.parametrize(("backend", "runner"), [("horovod", "horovodrun"), ("ddp", "torchrun")])
def test_start__backend_without_its_launcher(backend: distributed.Backend, runner: str):
    with pytest.raises(InputError, match=rf"run.backend: found {backend} without {runner}"):
        distributed.start(backend)


def test_start__alone():
    comm = distributed.start()
    assert (comm.rank, comm.size, comm.is_leader, comm.backend) == (0, 1, True, "none")
    np.testing.assert_array_equal(comm.gather(np.arange(3)), np.arange(3))
    assert comm.any(True)
    assert not comm.any(False)


@pytest.mark.parametrize(
    ("variables", "launcher", "rank"),
    [
        ({"HOROVOD_RANK": "3"}, "horovod", 3),
        ({"RANK": "2", "MASTER_ADDR": "here"}, "ddp", 2),
        ({"RANK": "2"}, "none", 0),
    ],
)
def test_launcher__from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], launcher: str, rank: int
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert train.launch.launcher() == launcher
    assert train.launch.launched_rank() == rank
