"""The ETL through spark-submit on a real standalone cluster of two workers: the result of one machine."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import psutil
import pytest

from contract.config import dump_config
from contract.dataset import read_samples, read_stats
from contract.manifest import read_manifest
from tests.etl.study import PROJECT, Study

pytestmark = pytest.mark.slow
HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def wait_for_workers(port: int, wanted: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/json/", timeout=5) as answer:
                if json.load(answer)["aliveworkers"] == wanted:
                    return
        except OSError:
            pass
        time.sleep(0.5)
    pytest.fail("the cluster's workers did not come up")


@dataclass(frozen=True)
class Cluster:
    """Where a master listens, and where its workers keep the logs of executors: work1, work2."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master with two workers of one core."""
    from etl.session import use_java

    folder = tmp_path_factory.mktemp("cluster")
    java_home = str(Path(use_java()).resolve().parents[1])
    (spark,) = importlib.util.find_spec("pyspark").submodule_search_locations
    environment = os.environ | {
        "JAVA_HOME": java_home,
        "SPARK_HOME": spark,
        "SPARK_LOCAL_IP": HOST,
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    port, page = free_port(), free_port()
    url = f"spark://{HOST}:{port}"

    def daemon(name: str, *words: str) -> subprocess.Popen[bytes]:
        log = stack.enter_context((folder / f"{name}.log").open("wb"))
        process = stack.enter_context(
            subprocess.Popen(
                [f"{spark}/bin/spark-class", f"org.apache.spark.deploy.{name}", "--host", HOST, *words],
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        )
        stack.callback(process.terminate)
        return process

    with ExitStack() as stack:
        daemon("master.Master", "--port", str(port), "--webui-port", str(page))
        for number in (1, 2):
            sizes = ("--cores", "1", "--memory", "2g", "--work-dir", str(folder / f"work{number}"))
            daemon("worker.Worker", "--port", str(free_port()), "--webui-port", str(free_port()), *sizes, url)
        wait_for_workers(page, 2)
        yield Cluster(url, folder)


@pytest.fixture(scope="module")
def submitted(finished: Study, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The finished study's cohort again, on the cluster."""
    folder = tmp_path_factory.mktemp("submitted")
    study = Study(finished.cohort, folder / "out", finished.truth)
    config = folder / "study.yaml"
    # A path relative to the folder of the call: executors run in folders of their own.
    config.write_text(dump_config(study.config(out=os.path.relpath(study.out, PROJECT))))
    with (folder / "log").open("wb") as log, start_submitted(cluster, config, log) as run:
        assert run.wait(timeout=550) == 0, (folder / "log").read_text()[-2000:]
    return study


def start_submitted(cluster: Cluster, config: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    options = ("--master", cluster.url, "--executor-memory", "1500m", "--driver-memory", "2g")
    return subprocess.Popen(
        ["bash", str(PROJECT / "deploy/submit_etl.sh"), *options, str(config)],
        env={**os.environ, "PYTHON": sys.executable, "SPARK_LOCAL_IP": HOST},
        cwd=PROJECT,
        stdout=log,
        stderr=log,
    )


@pytest.fixture(scope="module")
def bereft(finished: Study, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same once more, one executor killed while it reads calls."""
    folder = tmp_path_factory.mktemp("bereft")
    study = Study(finished.cohort, folder / "out", finished.truth)
    config = folder / "study.yaml"
    config.write_text(dump_config(study.config()))
    before = set(executors(cluster))
    with (folder / "log").open("wb") as log, start_submitted(cluster, config, log) as run:
        victim = wait_for_task(cluster, before, run)
        os.kill(victim, signal.SIGKILL)
        assert run.wait(timeout=550) == 0, (folder / "log").read_text()[-2000:]
    assert not psutil.pid_exists(victim)
    return study


def executors(cluster: Cluster) -> dict[int, Path]:
    """Process id -> log folder of every executor of the cluster."""
    found = {}
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words, place = process.info["cmdline"] or [], process.info["cwd"]
        is_executor = "org.apache.spark.executor.CoarseGrainedExecutorBackend" in words
        if is_executor and place and cluster.folder in Path(place).parents:
            found[process.pid] = Path(place)
    return found


def wait_for_task(cluster: Cluster, before: set[int], run: subprocess.Popen[bytes]) -> int:
    """Process id of an executor that has begun the first task."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and run.poll() is None:
        for pid, place in executors(cluster).items():
            log = place / "stderr"
            if pid not in before and log.exists() and "Running task" in log.read_text(encoding="utf-8"):
                return pid
        time.sleep(0.05)
    pytest.fail("no executor began a task")


def test_submit_etl__an_executor_that_is_killed_loses_nothing(finished: Study, bereft: Study):
    assert stored_cohort(bereft).equals(stored_cohort(finished))
    here, there = (read_manifest(str(study.out / "dataset")) for study in (finished, bereft))
    assert (here.ledger, here.counts) == (there.ledger, there.counts)
    for name in ("sample_id", "indices", "values"):
        assert people(finished)[name].map(str).equals(people(bereft)[name].map(str)), name


def stored_cohort(study: Study) -> pd.DataFrame:
    """All rows of the cohort in the order of the genome; `variant` numbers ranges, which may differ."""
    table = pd.read_parquet(study.out / "steps" / "01_ingest" / "cohort").drop(columns="variant")
    table = table.sort_values(["contig", "position", "ref", "alt"], ignore_index=True)
    return table.map(lambda value: tuple(value) if isinstance(value, np.ndarray) else value)


def people(study: Study) -> pd.DataFrame:
    root = str(study.out / "dataset")
    rows = read_samples(root, read_manifest(root), range(10))
    return rows.sort_values("sample_index", ignore_index=True)


def test_submit_etl__people_folds_and_features_of_one_machine(finished: Study, submitted: Study):
    here, there = people(finished), people(submitted)
    exact = ["sample_id", "is_case", "sex", "batch", "ancestry", "family", "indices", "values"]
    for name in exact:
        assert here[name].map(str).equals(there[name].map(str)), name
    for mine, theirs in zip(here["covariates"], there["covariates"], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    pd.testing.assert_frame_equal(
        *(read_stats(str(study.out / "dataset")) for study in (finished, submitted))
    )


def test_submit_etl__the_cohort_of_one_machine(finished: Study, submitted: Study):
    assert len(stored_cohort(finished)) > 1000
    assert stored_cohort(submitted).equals(stored_cohort(finished))


def test_submit_etl__ledger_of_one_machine(finished: Study, submitted: Study):
    here, there = (read_manifest(str(study.out / "dataset")) for study in (finished, submitted))
    assert here.ledger == there.ledger
    assert here.counts == there.counts


@pytest.mark.parametrize("worker", ["work1", "work2"])
def test_submit_etl__each_worker_has_done_tasks(submitted: Study, cluster: Cluster, worker: str):
    assert (submitted.out / "dataset").exists()
    log = max((cluster.folder / worker).glob("app-*/*/stderr"))  # of the latest run
    assert "Finished task" in log.read_text(encoding="utf-8")
