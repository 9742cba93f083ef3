"""Runs that a store, a lock or an executor refuses: one sentence each, and nothing is written."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from contract.lock import LOCK_NAME, lock_of
from contract.storage import exists, make_folder, open_storage, write_whole
from tests.etl.stores.places import STORES, Store, run, store_of, told, write_config
from tests.etl.study import PROJECT, Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "taken\n"
            text = run(config, tmp_path / "log", store.variables, status=2)
        finally:
            first.kill()
    host = socket.gethostname()
    assert re.search(
        rf"{out}: out: found a run in progress \(process {first.pid} on {host}, since .* UTC\)", text
    )
    assert not exists(f"{out}/dataset")
    lock = lock_of(out)
    lock.take()
    lock.release()
    assert not exists(f"{out}/{LOCK_NAME}")


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
    conf = {
        "spark.executorEnv.JAVA_HOME": str(tmp_path / "java"),
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "20s",
    }
    config = write_config(simulated, Store(str(tmp_path), conf), tmp_path)
    (line,) = run_on_workers(config, tmp_path, {}).splitlines()
    assert line.startswith(
        "error the executors: processes: found none within 20 s, wanted free cores and memory there, "
        "Java 11 or 17 there (spark.executorEnv.JAVA_HOME)"
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
