"""Ranks that end, come and go while a fit goes on: Horovod's elastic launcher, two names for this machine."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.train.optional import needs_horovod
from tests.train.processes import FAULTY, launched, wait_for
from tests.train.ranks import PROJECT
from tests.train.runs import ConfigMaker, fit_quietly, series_of
from train.checkpoint import load_state
from train.config import TrainConfig
from train.distributed import Comm
from train.elastic import Commits, outlive

BOTH = "localhost:1\n127.0.0.1:1\n"
SCRIPT = str(PROJECT / "deploy" / "submit_train.sh")
WITHOUT_FIT = 'words=("$@"); unset "words[-2]"; exec bash "$0" "${words[@]}"'
"""The script says `fit` itself."""
SETTINGS = {"stopping": {"max_epochs": 7, "patience": 100}}
Ending = tuple[int, str, str]


@pytest.fixture
def submit(tmp_path: Path) -> Callable[..., list[str]]:
    """Command of an elastic launch whose steps may be slow or meet a fault, on the hosts of a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    faulty = f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "{FAULTY}" fit "$@"\n'  # for -m train fit
    hosts = f'#!/bin/sh\ncat "{tmp_path}/hosts"\n'
    for name, text in (("python", faulty), ("hosts.sh", hosts)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "horovodrun").symlink_to(Path(sys.executable).parent / "horovodrun")

    def command(n: int) -> list[str]:
        discovery = ["--host-discovery-script", str(folder / "hosts.sh")]
        options = ["--elastic", "-np", str(n), "--max-np", "2", *discovery]
        return [
            "/usr/bin/env",
            f"PYTHON={folder}/python",
            "SETTLING=0",
            "bash",
            "-c",
            WITHOUT_FIT,
            SCRIPT,
            *options,
        ]

    return command


def elastic_config(make: ConfigMaker, **data: object) -> TrainConfig:
    return make(**SETTINGS, data=data, run={"commit_seconds": 0.3, "stall_seconds": 15})


def assert_undisturbed(config: TrainConfig, make: ConfigMaker, tmp_path: Path) -> None:
    """The run is that of one process which nothing disturbed, and all of it is there."""
    run = Path(config.run.out)
    alone = fit_quietly(make(**SETTINGS, run={"out": str(tmp_path / "alone")}))
    np.testing.assert_allclose(series_of(run), series_of(alone), rtol=0, atol=1e-6)
    assert (run / "bundle").is_dir()
    assert not (run / "lock.json").exists()


def fitted(command: list[str], config: TrainConfig, folder: Path, **environment: str) -> tuple[str, str]:
    """Standard output and standard error of a launch that ends well and leaves no process behind."""
    with launched(command, config, folder, **environment) as launch:
        status, out, errors = launch.finish()
        assert launch.left(5) == []
    assert status == 0, errors
    return out, errors


@needs_horovod
@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_outlive__a_rank_is_killed(submit, make_config: ConfigMaker, tmp_path: Path, rank: int):
    (tmp_path / "hosts").write_text(BOTH)
    config = elastic_config(make_config)
    fault = {"FAULT": f"kill:{rank}:30", "SLOW": "0.1", "ONCE": str(tmp_path / "once")}
    out, errors = fitted(submit(2), config, tmp_path, **fault)
    assert "ranks came or went: 1 now" in errors
    found = re.findall(r"going on from epoch 3, step (\d+)", out)
    assert len(found) == 1
    assert 1 < int(found[0]) <= 7  # from a commit: the checkpoint is that of step 1
    assert_undisturbed(config, make_config, tmp_path)


@needs_horovod
@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "now"),
    [("localhost:1\n", BOTH, 2), (BOTH, "localhost:1\n", 1), (BOTH, "127.0.0.1:1\n", 1)],
)
def test_outlive__hosts_come_and_go(
    submit, make_config: ConfigMaker, tmp_path: Path, before: str, after: str, now: int
):
    (tmp_path / "hosts").write_text(before)
    config = elastic_config(make_config)
    with launched(submit(before.count(":")), config, tmp_path, SLOW="0.2") as launch:
        wait_for(Path(config.run.out) / "history.json")
        (tmp_path / "hosts").write_text(after)
        status, out, errors = launch.finish()
        assert launch.left(5) == []
    assert status == 0, errors
    assert f"ranks came or went: {now} now" in errors
    assert f"{now} rank(s) (backend horovod)" in out
    assert_undisturbed(config, make_config, tmp_path)


@needs_horovod
@pytest.mark.slow
def test_outlive__a_killed_rank_comes_back(submit, make_config: ConfigMaker, tmp_path: Path):
    (tmp_path / "hosts").write_text(BOTH)
    config = elastic_config(make_config)
    command = submit(2)
    command[-2:-2] = ["--blacklist-cooldown-range", "1", "3"]
    fault = {"FAULT": "kill:1:14", "SLOW": "0.4", "ONCE": str(tmp_path / "once")}
    _, errors = fitted(command, config, tmp_path, **fault)
    assert "ranks came or went: 1 now" in errors
    assert "ranks came or went: 2 now" in errors
    assert_undisturbed(config, make_config, tmp_path)


@needs_horovod
@pytest.mark.slow
def test_outlive__a_rank_that_is_stopped_ends_all(submit, make_config: ConfigMaker, tmp_path: Path):
    (tmp_path / "hosts").write_text(BOTH)
    config = elastic_config(make_config)
    with launched(submit(2), config, tmp_path, FAULT="stop:1:30") as launch:
        status, _, errors = launch.finish()
        assert launch.left(10) == []
    assert status == 1
    assert "has given no sign of life" in errors.splitlines()[-1]
    state = load_state(Path(config.run.out))
    assert state is not None
    assert state["progress"]["total_steps"] == 24


@needs_horovod
@pytest.mark.slow
def test_outlive__told_to_end_all_save(submit, make_config: ConfigMaker, tmp_path: Path):
    (tmp_path / "hosts").write_text(BOTH)
    config = elastic_config(make_config)
    with launched(submit(2), config, tmp_path, SLOW="0.3") as launch:
        wait_for(Path(config.run.out) / "history.json")
        launch.process.terminate()
        status, _, errors = launch.finish()
        assert launch.left(10) == []
    assert status == 143, errors
    assert errors.splitlines()[-1].endswith("stopped and saved; the same command goes on from here")


@needs_horovod
@pytest.mark.slow
def test_outlive__a_fault_of_all_is_told_once(submit, make_config: ConfigMaker, tmp_path: Path):
    (tmp_path / "hosts").write_text(BOTH)
    config = elastic_config(make_config, dataset=str(tmp_path / "absent"))
    with launched(submit(2), config, tmp_path) as launch:
        status, _, errors = launch.finish()
        assert launch.left(10) == []
    assert status == 2, errors
    assert errors.splitlines()[-1].startswith(
        f"submit_train: rank 0: {tmp_path}/absent: manifest.json: found no such file"
    )


def test_outlive__one_attempt_where_ranks_stay():
    told: list[Commits] = []
    assert outlive(Comm(), lambda commits: told.append(commits) or "done") == "done"
    assert [(commits.state, commits.world) for commits in told] == [(None, 0)]
