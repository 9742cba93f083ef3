"""Runs that are killed and repeated, on a disk, on HDFS and on an S3 server; keys are in no output."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.dataset import content_digest, verify
from contract.lock import LOCK_NAME
from contract.manifest import read_manifest
from contract.storage import list_entries, open_storage
from tests.etl.stores.places import (
    DONE,
    STORES,
    Store,
    is_whole_or_absent,
    kill_tree,
    run,
    start,
    store_of,
    told,
    write_config,
)
from tests.etl.study import PROJECT, Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
KILLS = 10
SEED = 20


@pytest.fixture(scope="module")
def undisturbed(simulated: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, float]]:
    """The dataset's digest, and the seconds of each step, of a run on this machine's disk."""
    folder = tmp_path_factory.mktemp("undisturbed")
    store = Store(str(folder))
    run(write_config(simulated, store, folder), folder / "log", {})
    steps = sorted((folder / "out" / "steps").glob("*/record.json"))
    seconds = {path.parent.name: float(json.loads(path.read_text())["seconds"]) for path in steps}
    return content_digest(f"{store.place}/out/dataset"), seconds


def moments(seconds: Mapping[str, float], seed: int) -> list[tuple[int, float]]:
    """Random moments in order: how many steps are finished, and how many seconds ago the last one was."""
    generator = random.Random(seed)
    ends = [sum(list(seconds.values())[: n + 1]) for n in range(len(seconds))]
    found = []
    for moment in sorted(generator.uniform(0, ends[-1]) for _ in range(KILLS)):
        done = sum(end <= moment for end in ends)
        found.append((done, moment - (ends[done - 1] if done else 0)))
    return found


def kill_at(process: subprocess.Popen[bytes], log: Path, done: int, after: float) -> bool:
    """Kill a run some seconds after so many steps are finished; False where it ended before."""
    deadline = time.monotonic() + 300
    while len(set(DONE.findall(log.read_text()))) < done and process.poll() is None:
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.02)
    time.sleep(after)
    killed = process.poll() is None
    kill_tree(process)
    return killed


@pytest.mark.parametrize("name", STORES)
def test_run__killed_at_ten_random_moments_gives_the_same_dataset(
    name: str,
    cluster: Any,
    simulated: Study,
    undisturbed: tuple[str, dict[str, float]],
    tmp_path: Path,
):
    digest, seconds = undisturbed
    store = store_of(cluster, name, tmp_path)
    config, log = write_config(simulated, store, tmp_path), tmp_path / "log"
    dataset, killed = f"{store.place}/out/dataset", 0
    for done, after in moments(seconds, SEED + STORES.index(name)):
        with start(config, log, store.variables) as process:
            killed += kill_at(process, log, done, after)
        assert is_whole_or_absent(dataset)
    assert killed >= KILLS - 2, "runs that end before they are killed show nothing"
    run(config, log, store.variables)
    assert content_digest(dataset) == digest
    verify(dataset, read_manifest(dataset))
    left = [
        entry for entry in list_entries(f"{store.place}/out") if entry.startswith((LOCK_NAME, "dataset."))
    ]
    assert left == []
    assert secrets_in(store.place, cluster) == []
    assert cluster.s3.secret_key not in log.read_text()


def secrets_in(place: str, cluster: Any) -> list[str]:
    """Files below a place that hold the key of the S3 server."""
    filesystem, base = open_storage(place)
    filesystem.invalidate_cache()
    names = list(filesystem.find(base))
    assert names
    key = cluster.s3.secret_key.encode()
    return [name for name in names if key in filesystem.cat_file(name)]


def test_run__no_key_in_what_it_writes_here_or_there(cluster: Any, simulated: Study, tmp_path: Path):
    """Calls come from the store, everything else is written to this machine: also Java's log."""
    store = store_of(cluster, "s3a", tmp_path)
    filesystem, base = open_storage(store.place)
    for path in simulated.cohort.iterdir():
        filesystem.put_file(str(path), f"{base}/{path.name}")
    here = Store(str(tmp_path), store.conf)
    calls = {"data": store.place, "input__vcf": f"{store.place}/calls.*.vcf.bgz"}
    config = write_config(simulated, here, tmp_path, **calls)
    run(config, tmp_path / "log", store.variables)
    assert (tmp_path / "out/steps/hail.log").exists()
    submitted = tmp_path / "submitted"
    words = ["--master", "local[2]", "--jars", store.conf["spark.jars"], str(config), f"out={tmp_path}/out2"]
    done = subprocess.run(
        ["bash", str(PROJECT / "deploy/submit_etl.sh"), "--log", str(submitted), *words],
        env={**os.environ, "PYTHON": sys.executable},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    (tmp_path / "words").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-2000:]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"manifest.json", "qc_report.html", "record.json", "log", "words"} <= {
        path.name for path in written
    }
    assert [path for path in written if cluster.s3.secret_key.encode() in path.read_bytes()] == []


def test_run__a_namenode_that_dies_in_mid_run(cluster: Any, simulated: Study, tmp_path: Path):
    """Last, as it ends the NameNode for a while."""
    from deploy.minicluster.cluster import kill, restart

    store = store_of(cluster, "hdfs", tmp_path)
    config, log = write_config(simulated, store, tmp_path), tmp_path / "log"
    with start(config, log, store.variables) as process:
        deadline = time.monotonic() + 200
        while len(DONE.findall(log.read_text())) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        kill(cluster, "namenode")
        try:
            assert process.wait(timeout=300) == 2
            (sentence,) = [line for line in log.read_text().splitlines() if line.startswith("error ")]
            assert "no answer" in sentence, sentence
            down = run(config, log, store.variables, status=2)
            assert f"error {store.place}/out: store: found no answer" in told(down)
        finally:
            kill_tree(process)
            restart(cluster, "namenode")
    assert is_whole_or_absent(f"{store.place}/out/dataset")
