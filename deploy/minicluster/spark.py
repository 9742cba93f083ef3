"""What Spark and Python need to reach a store of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contract.errors import InputError, fault
from deploy.minicluster.daemons import REGION, store_environment
from deploy.minicluster.state import State

STORES = ("hdfs", "s3a", "gcs")
ROOTS = {"hdfs": "hdfs", "s3a": "s3", "gcs": "gcs"}
"""Service by store."""


def root(state: State, store: str, scheme: str | None = None) -> str:
    """URL of the folder or bucket in which users may write; `scheme` s3 is fsspec's name for s3a."""
    _need(state, store)
    if store == "hdfs":
        assert state.hdfs is not None
        return f"{state.hdfs.uri}/user/{state.hdfs.user}"
    if store == "s3a":
        assert state.s3 is not None
        return f"{scheme or 's3a'}://{state.s3.bucket}"
    assert state.gcs is not None
    return f"gs://{state.gcs.bucket}"


def spark_settings(state: State, store: str) -> dict[str, str]:
    """Spark's settings for one store, without any key: Spark takes these from the environment.

    `spark.jars` and both class paths hold the connector alone; a caller that has jars of its own (Hail's)
    adds them, with `,` and `:`. Executors find the jars in their working folder, where Spark puts them.

    Raises
    ------
    InputError
        The store is unknown, was not started, or has no connector here.
    """
    _need(state, store)
    if store == "s3a":
        assert state.s3 is not None
        own = {
            "fs.s3a.endpoint": state.s3.endpoint,
            "fs.s3a.endpoint.region": REGION,
            "fs.s3a.path.style.access": "true",
            "fs.s3a.connection.ssl.enabled": "false",
        }
        return _hadoop(own) | _with_jars(_connector(state, store, state.jars.s3a))
    if store == "gcs":
        assert state.gcs is not None
        own = {
            "fs.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
            "fs.AbstractFileSystem.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFS",
            "fs.gs.storage.root.url": f"{state.gcs.endpoint}/",
            "fs.gs.auth.service.account.enable": "false",
            "fs.gs.auth.null.enable": "true",
            "fs.gs.project.id": "exoshard",
        }
        return _hadoop(own) | _with_jars(_connector(state, store, state.jars.gcs))
    assert state.hdfs is not None
    # Clients ask DataNodes by the name under which these listen, whatever the machine calls itself.
    return _hadoop({"fs.defaultFS": state.hdfs.uri, "dfs.client.use.datanode.hostname": "true"})


def environment(state: State, store: str) -> dict[str, str]:
    """Variables for a process that uses one store: Hadoop's settings, the store's address and keys."""
    _need(state, store)
    found = {"HADOOP_CONF_DIR": state.hadoop_conf_dir} if state.hadoop_conf_dir else {}
    chosen = {"hdfs": (), "s3a": ("AWS_",), "gcs": ("STORAGE_",)}[store]
    wanted = {name: text for name, text in store_environment(state).items() if name.startswith(chosen)}
    return found | wanted


def _need(state: State, store: str) -> None:
    where = Path(state.folder) / "state.json"
    if store not in STORES:
        raise InputError(fault(where, "store", found=store, wanted=f"one of {', '.join(STORES)}"))
    if getattr(state, ROOTS[store]) is None:
        raise InputError(fault(where, ROOTS[store], found="no such service", wanted="one that was started"))


def _connector(state: State, store: str, jars: list[str]) -> list[str]:
    if not jars:
        where = Path(state.folder) / "state.json"
        raise InputError(fault(where, f"jars.{store}", found="none", wanted="those that Maven brings"))
    return jars


def _hadoop(settings: dict[str, str]) -> dict[str, str]:
    return {f"spark.hadoop.{name}": text for name, text in settings.items()}


def _with_jars(jars: Sequence[str]) -> dict[str, str]:
    return {
        "spark.jars": ",".join(jars),
        "spark.driver.extraClassPath": ":".join(jars),
        "spark.executor.extraClassPath": ":".join(f"./{Path(jar).name}" for jar in jars),
    }
