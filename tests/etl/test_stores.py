"""Runs on real stores: killed and repeated, locked, refused; each on HDFS and an S3 server of its own."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from contract.config import dump_config
from contract.dataset import content_digest, verify
from contract.errors import InputError
from contract.lock import LOCK_NAME, lock_of
from contract.manifest import MANIFEST_NAME, read_manifest
from contract.storage import exists, list_entries, make_folder, open_storage, write_whole
from tests.etl.study import PROJECT, Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
STORES = ("file", "hdfs", "s3a")
KILLS = 10
SEED = 20
DONE = re.compile(r"^  (\d\d_\w+) +(?:[\d.]+ s|up to date)", re.MULTILINE)


@dataclass(frozen=True)
class Store:
    """A place to write to, and what Spark and the process need to reach it."""

    place: str
    conf: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """HDFS, an S3 and a GCS server; this process finds them by its environment too.

    EXOSHARD_MINICLUSTER names the folder of one that is up: it is used, and left up.
    """
    from deploy.minicluster import cluster as minicluster
    from deploy.minicluster.services import find_tools, left_out, sentences
    from deploy.minicluster.store import cache_folder, cached_parts

    wanted = ("hdfs", "s3", "gcs")
    lacking = left_out(wanted, find_tools(), cached_parts(cache_folder()))
    if lacking:
        pytest.skip(" ".join(sentences(lacking)))
    given = os.environ.get("EXOSHARD_MINICLUSTER")
    folder = Path(given or tmp_path_factory.mktemp("stores"))
    state = minicluster.read_state(folder) if given else minicluster.start(folder, wanted)
    before = dict(os.environ)
    for store in ("hdfs", "s3a", "gcs"):
        os.environ.update(minicluster.environment(state, store))
    yield state
    os.environ.clear()
    os.environ.update(before)
    if not given:
        minicluster.stop(folder)


def store_of(cluster: Any, name: str, folder: Path) -> Store:
    from deploy.minicluster.cluster import environment, root, spark_settings

    if name == "file":
        return Store(str(folder))
    place = f"{root(cluster, name)}/{uuid.uuid4().hex[:8]}"
    return Store(place, spark_settings(cluster, name), environment(cluster, name))


def write_config(study: Study, store: Store, folder: Path, **changes: object) -> Path:
    spark = {"master": "local[2]", "driver_memory": "2g", "conf": store.conf}
    config = study.config(out=f"{store.place}/out", spark=json.dumps(spark), **changes)
    path = folder / "etl.yaml"
    path.write_text(dump_config(config))
    return path


def start(config: Path, log: Path, variables: Mapping[str, str | None]) -> subprocess.Popen[bytes]:
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "STORAGE_"))}
    ours |= {name: text for name, text in variables.items() if text is not None}
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "etl", "run", str(config)],
            env=ours,
            cwd=PROJECT,
            stdout=stream,
            stderr=stream,
        )


def run(config: Path, log: Path, variables: Mapping[str, str | None], status: int = 0) -> str:
    with start(config, log, variables) as process:
        try:
            found = process.wait(timeout=400)
        finally:
            kill_tree(process)
    text = log.read_text()
    assert found == status, text[-3000:]
    return text


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a run, its Java and their workers."""
    try:
        tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return
    for one in tree:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=20)


def is_whole_or_absent(dataset: str) -> bool:
    """Whether there is no manifest, or one whose every file is as it says."""
    if not exists(f"{dataset}/{MANIFEST_NAME}"):
        with pytest.raises(InputError, match="manifest"):
            read_manifest(dataset)
        return True
    verify(dataset, read_manifest(dataset))
    return True


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


HOLDER = """
import sys, time
from contract.lock import lock_of
lock_of(sys.argv[1]).take()
print("taken", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("name", STORES)
def test_run__second_on_one_out_is_refused_until_the_first_is_dead(
    name: str, cluster: Any, simulated: Study, tmp_path: Path
):
    store = store_of(cluster, name, tmp_path)
    config = write_config(simulated, store, tmp_path)
    out = f"{store.place}/out"
    words = [sys.executable, "-c", HOLDER, out]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "taken\n"
        text = run(config, tmp_path / "log", store.variables, status=2)
        host = socket.gethostname()
        assert re.search(
            rf"{out}: out: found a run in progress \(process {first.pid} on {host}, since .* UTC\)", text
        )
        assert not exists(f"{out}/dataset")
        first.kill()
    lock = lock_of(out)
    lock.take()
    lock.release()
    assert not exists(f"{out}/{LOCK_NAME}")


def told(text: str) -> str:
    """The one sentence of a run that was refused."""
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text[-3000:]
    assert lines[0].startswith("error ")
    assert "java" not in lines[0].replace("java.", "", 2).lower() or "Spark says" in lines[0]
    return lines[0]


@dataclass(frozen=True)
class Refusal:
    """A run that can't go on: where it writes, what is missing, what it tells."""

    store: str
    words: str
    out: str = "{place}/out"
    variables: dict[str, str | None] = field(default_factory=dict)
    without: tuple[str, ...] = ()


JARS = ("spark.jars", "spark.driver.extraClassPath", "spark.executor.extraClassPath")
NO_KEYS = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
REFUSALS = {
    "an unknown scheme": Refusal(
        "hdfs",
        r"error ftpx://host/x: URL: found no usable file system .*, wanted a folder, or a URL",
        "ftpx://host/x",
    ),
    "no such bucket": Refusal(
        "s3a", "error s3a://absent/x: store: found no such bucket .*, wanted the name", "s3a://absent/x"
    ),
    "no such bucket of gs": Refusal(
        "gcs", "error gs://absent/x: store: found no such bucket .*, wanted", "gs://absent/x"
    ),
    "another key": Refusal(
        "s3a",
        r"error {place}/out: store: found credentials that the store does not know \(.*\), wanted valid ones",
        variables={"AWS_SECRET_ACCESS_KEY": "another-key"},
    ),
    "no key": Refusal(
        "s3a",
        r"error {place}/out: store: found no credentials \(.*\), wanted some where",
        variables={**NO_KEYS, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"},
    ),
    "another user": Refusal(
        "hdfs",
        r"error {place}/closed/out: store: found no permission \(Permission denied: user=somebody",
        "{place}/closed/out",
        variables={"HADOOP_USER_NAME": "somebody"},
    ),
    "a full quota": Refusal(
        "hdfs",
        r"error {place}/small/out: store: found a full quota \(The DiskSpace quota of .*\), wanted room",
        "{place}/small/out",
    ),
    "no NameNode there": Refusal(
        "hdfs",
        r"error hdfs://127.0.0.1:9/x: store: found no answer \(no answer from the NameNode at 127.0.0.1:9",
        "hdfs://127.0.0.1:9/x",
    ),
    "no connector for s3a": Refusal(
        "s3a",
        r"error {place}/out: store: found a Spark without the connector of this store \(Spark says: .*"
        r"S3AFileSystem not found\), wanted its jar in spark.jars",
        without=JARS,
    ),
    "no connector for gs": Refusal(
        "gcs",
        r"error {place}/out: store: found a Spark without the connector of this store \(Spark says: ",
        without=JARS,
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_run__what_a_store_refuses_is_one_sentence(case: str, cluster: Any, simulated: Study, tmp_path: Path):
    refusal = REFUSALS[case]
    store = store_of(cluster, refusal.store, tmp_path)
    if case == "another user":
        http(cluster, f"{store.place}/closed", "MKDIRS", permission="700")
    if case == "a full quota":
        make_folder(f"{store.place}/small")
        admin(cluster, "-setSpaceQuota", "1m", f"{store.place}/small")
    conf = {name: text for name, text in store.conf.items() if name not in refusal.without}
    out = refusal.out.format(place=store.place)
    config = write_config(simulated, Store(out.removesuffix("/out"), conf), tmp_path)
    config.write_text(config.read_text().replace(f"out: {out}/out\n", f"out: {out}\n"))
    text = told(run(config, tmp_path / "log", {**store.variables, **refusal.variables}, status=2))
    assert re.match(refusal.words.format(place=re.escape(store.place)), text), text
    assert "AWS_SECRET" not in text
    if out.startswith(store.place) and case not in ("another user", "another key", "no key"):
        assert not exists(f"{out}/dataset")
        assert not exists(f"{out}/{LOCK_NAME}")


def test_run__a_user_who_may_only_read(cluster: Any, simulated: Study, tmp_path: Path):
    store = store_of(cluster, "s3a", tmp_path)
    write_whole(f"{store.place}/seen", b"by all")
    config = write_config(simulated, store, tmp_path)
    text = told(run(config, tmp_path / "log", {**store.variables, **keys_to_read(cluster)}, status=2))
    found = re.escape(
        "store: found no permission (Access Denied.), wanted the right to read there, for `out`"
    )
    assert re.match(f"error {store.place}/out: {found}", text), text


def test_run__a_namenode_in_safe_mode(cluster: Any, simulated: Study, tmp_path: Path):
    store = store_of(cluster, "hdfs", tmp_path)
    config = write_config(simulated, store, tmp_path)
    admin(cluster, "-safemode", "enter")
    try:
        text = told(run(config, tmp_path / "log", store.variables, status=2))
    finally:
        admin(cluster, "-safemode", "leave")
    assert re.match(
        rf"error {store.place}/out: store: found a NameNode in safe mode, which takes no changes \(.*\), "
        r"wanted its end \(hdfs dfsadmin -safemode wait\), then the same command again",
        text,
    ), text


def test_run__an_executor_without_the_environment(simulated: Study, tmp_path: Path):
    config = write_config(simulated, Store(str(tmp_path)), tmp_path)
    text = run_on_workers(config, tmp_path, {"PYSPARK_PYTHON": "/nowhere/python"})
    assert told(text) == (
        "error an executor: Python: found no program /nowhere/python, "
        "wanted that of this project there: at PYSPARK_PYTHON, or sent by submit_etl.sh --environment"
    )


def test_run__executors_whose_java_ends_at_once(simulated: Study, tmp_path: Path):
    """As that of a version which Spark can't run on; the master would start another for each, for ever."""
    java = tmp_path / "java/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    ends = {"spark.executorEnv.JAVA_HOME": str(tmp_path / "java")}
    config = write_config(simulated, Store(str(tmp_path), ends), tmp_path)
    assert re.match(
        r"error the executors: processes: found \d+ that ended at their start "
        r"\(Command exited with code 1\), and none that stayed, "
        r"wanted Java 11 or 17 there \(spark.executorEnv.JAVA_HOME\)",
        told(run_on_workers(config, tmp_path, {})),
    )


def run_on_workers(config: Path, folder: Path, variables: Mapping[str, str]) -> str:
    """What a refused run says on a Spark master of its own, with one worker."""
    config.write_text(config.read_text().replace("local[2]", "local-cluster[1,1,1500]"))
    # Such a cluster keeps its executors' files in SPARK_HOME: not in the installed package.
    (package,) = find_spec("pyspark").submodule_search_locations
    home = folder / "spark"
    home.mkdir()
    for part in Path(package).iterdir():
        (home / part.name).symlink_to(part)
    return run(config, folder / "log", {"SPARK_HOME": str(home), **variables}, status=2)


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


def http(cluster: Any, place: str, op: str, **settings: str) -> None:
    import requests

    url = f"http://{cluster.hdfs.webhdfs}/webhdfs/v1{open_storage(place)[1]}"
    requests.put(
        url, params={"op": op, "user.name": cluster.hdfs.user, **settings}, timeout=60
    ).raise_for_status()


def admin(cluster: Any, *words: str) -> None:
    """Hadoop's `hdfs dfsadmin`."""
    from deploy.minicluster.store import cache_folder, jars

    path = ":".join([cluster.hadoop_conf_dir, *jars(cache_folder(), "hadoop")])
    command = [f"{cluster.java_home}/bin/java", "-cp", path, "org.apache.hadoop.hdfs.tools.DFSAdmin", *words]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def keys_to_read(cluster: Any) -> dict[str, str]:
    """Credentials of a session that may read everything and write nothing."""
    import botocore.session

    client = botocore.session.Session().create_client(
        "sts",
        region_name="us-east-1",
        endpoint_url=cluster.s3.endpoint,
        aws_access_key_id=cluster.s3.access_key,
        aws_secret_access_key=cluster.s3.secret_key,
    )
    allowed = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"],
        "Resource": ["arn:aws:s3:::*"],
    }
    keys = client.assume_role(
        RoleArn="arn:aws:iam::1:role/reader",
        RoleSessionName="reader",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
