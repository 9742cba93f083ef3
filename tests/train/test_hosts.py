"""Ranks on two hosts, each with a network of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from contract.config import dump_config
from tests.train.hosts import PORT, SSHD, Hosts, two_hosts
from tests.train.optional import needs_horovod
from tests.train.processes import FAULTY, wait_for
from tests.train.ranks import PROJECT
from tests.train.runs import ConfigMaker, fit_quietly, history_of, series_of
from train.checkpoint import load_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ENDLESS = {"max_epochs": 100_000, "patience": 100_000}
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "PYTHONPATH": str(PROJECT),
    "PYTHON": sys.executable,
}


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with two_hosts(tmp_path) as made:
        yield made


def torchrun(hosts: Hosts, host: int, words: list[str]) -> list[str]:
    ranks = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(host)]
    meeting = ["--master-addr", hosts.addresses[0], "--master-port", "29511"]
    command = [sys.executable, "-m", "torch.distributed.run", *ranks, *meeting, *words]
    return hosts.command(host, command)


def started(command: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=PROJECT, env={**ENVIRONMENT, **environment}, stderr=subprocess.PIPE, text=True
    )


def ranks_of(conf: Path) -> list[psutil.Process]:
    """Processes that train by a configuration, without their launchers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(conf) in words and "torch.distributed.run" not in words:
            found.append(process)
    return found


def test_fit__torchrun_on_two_hosts_is_the_run_of_one_process(
    hosts: Hosts, make_config: ConfigMaker, tmp_path: Path
):
    alone = fit_quietly(make_config(stopping={"max_epochs": 2}, run={"out": str(tmp_path / "alone")}))
    config = make_config(stopping={"max_epochs": 2})
    (conf := tmp_path / "conf.yaml").write_text(dump_config(config))
    ranks = [started(torchrun(hosts, host, ["-m", "train", "fit", str(conf)])) for host in (0, 1)]
    told = [rank.communicate(timeout=200)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], told
    np.testing.assert_allclose(series_of(Path(config.run.out)), series_of(alone), atol=1e-4)


@needs_horovod
@pytest.mark.skipif(not SSHD.exists(), reason="no sshd is installed")
def test_submit_train__horovod_on_two_hosts_is_the_run_of_one_process(
    hosts: Hosts, make_config: ConfigMaker, tmp_path: Path
):
    alone = fit_quietly(make_config(stopping={"max_epochs": 2}, run={"out": str(tmp_path / "alone")}))
    config = make_config(stopping={"max_epochs": 2})
    (conf := tmp_path / "conf.yaml").write_text(dump_config(config))
    where = ["-H", ",".join(f"{name}:1" for name in hosts.names), "-p", str(PORT), "-i", str(hosts.key)]
    words = ["deploy/submit_train.sh", "-np", "2", *where, "--network-interface", "eth0", str(conf)]
    launch = started(hosts.command(0, words))
    _, told = launch.communicate(timeout=200)
    assert launch.returncode == 0, told
    np.testing.assert_allclose(series_of(Path(config.run.out)), series_of(alone), atol=1e-4)


def test_fit__a_host_that_falls_silent_is_named(hosts: Hosts, make_config: ConfigMaker, tmp_path: Path):
    config = make_config(stopping=ENDLESS, run={"stall_seconds": 12})
    (conf := tmp_path / "conf.yaml").write_text(dump_config(config))
    words = [FAULTY, "fit", str(conf)]
    ranks = [started(torchrun(hosts, host, words), SLOW="0.2") for host in (0, 1)]
    try:
        wait_for(Path(config.run.out) / "history.json")
        left = [rank for rank in ranks_of(conf) if rank.ppid() == ranks[1].pid]
        assert len(left) == 1
        hosts.cut_off(1)
        cut = time.monotonic()
        _, told = ranks[0].communicate(timeout=100)
        psutil.wait_procs(left, timeout=110)  # it looks for the store for 30 s, and may save for 60
        assert time.monotonic() - cut < 150
        assert [rank for rank in left if rank.is_running()] == []
    finally:
        # The launcher on the silent host still looks for the other one; it has no rank any more.
        for rank in ranks:
            rank.kill()
            rank.wait()
    assert ranks[0].returncode != 0
    assert f"rank 1 of 2 on {hosts.names[1]} has given no sign of life for" in told
    assert load_state(Path(config.run.out)) is not None
    assert len(history_of(Path(config.run.out))) >= 1
