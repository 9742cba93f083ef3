"""The command line and the environment of each daemon."""

from __future__ import annotations

import getpass
from pathlib import Path

from deploy.minicluster import store
from deploy.minicluster.ports import HOST
from deploy.minicluster.state import Process, State

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""A node knows nothing of its user's shell: what a job needs it has to bring along, here as on a cluster."""
REGION = "us-east-1"
OPENS = [
    option
    for package in ("java.lang", "java.util", "java.io", "java.net", "java.nio", "java.util.concurrent")
    for option in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")
]
JAVA = [*OPENS, "-Djava.net.preferIPv4Stack=true", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
CLASSES = {
    "namenode": ("org.apache.hadoop.hdfs.server.namenode.NameNode", 256),
    "datanode": ("org.apache.hadoop.hdfs.server.datanode.DataNode", 256),
    "resourcemanager": ("org.apache.hadoop.yarn.server.resourcemanager.ResourceManager", 384),
    "nodemanager": ("org.apache.hadoop.yarn.server.nodemanager.NodeManager", 384),
}
"""By daemon: its class and its heap in MB."""
DAEMONS = {
    "hdfs": ("namenode", "datanode"),
    "yarn": ("resourcemanager", "nodemanager"),
    "s3": ("s3",),
    "gcs": ("gcs",),
}


def daemons_of(state: State, service: str) -> dict[str, Process]:
    """The processes of one service, by name."""
    return {
        name: process
        for name, process in state.processes.items()
        if name.partition("-")[0] in DAEMONS[service]
    }


def commands(state: State, cache: Path) -> dict[str, list[str]]:
    """Command line by daemon, in the order in which they start."""
    folder = Path(state.folder)
    found: dict[str, list[str]] = {}
    if state.s3:
        address = f"{HOST}:{state.ports['s3.api']}"
        found["s3"] = [
            store.program(cache, "s3"),
            "server",
            str(folder / "data" / "s3"),
            "--address",
            address,
        ]
    if state.gcs:
        found["gcs"] = [store.program(cache, "gcs"), "-scheme", "http", "-host", HOST]
        found["gcs"] += [
            "-port",
            str(state.ports["gcs.api"]),
            "-external-url",
            state.gcs.endpoint,
            "-backend",
            "memory",
        ]
    names: list[str] = []
    if state.hdfs:
        names += ["namenode", *(f"datanode-{node + 1}" for node in range(state.hdfs.datanodes))]
    if state.yarn:
        names += ["resourcemanager", *(f"nodemanager-{node + 1}" for node in range(state.yarn.nodemanagers))]
    return found | {name: java_command(state, name, cache) for name in names}


def java_command(state: State, name: str, cache: Path, *arguments: str) -> list[str]:
    """Command line of one of Hadoop's daemons; its own folder of settings comes before the common ones."""
    main, heap_mb = CLASSES[name.partition("-")[0]]
    conf = Path(state.folder) / "conf"
    class_path = f"{conf / name}:{conf / 'hadoop'}:{conf / 'common'}:{cache / 'jars' / 'hadoop'}/*"
    return [f"{state.java_home}/bin/java", *JAVA, f"-Xmx{heap_mb}m", "-cp", class_path, main, *arguments]


def daemon_environment(state: State, name: str) -> dict[str, str]:
    """Environment of a daemon; containers of YARN get from it what the node's settings allow."""
    home = str(Path.home())
    common = {"PATH": PATH, "HOME": home, "USER": getpass.getuser(), "LANG": "C.UTF-8"}
    if name == "s3":
        assert state.s3 is not None
        keys = {"MINIO_ROOT_USER": state.s3.access_key, "MINIO_ROOT_PASSWORD": state.s3.secret_key}
        # Certificates in the user's home would turn it to HTTPS.
        own = {
            "HOME": f"{state.folder}/data",
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_REGION": REGION,
        }
        return common | keys | own
    if name == "gcs":
        return common
    common |= {"JAVA_HOME": str(state.java_home), "HADOOP_CONF_DIR": str(state.hadoop_conf_dir)}
    return common | store_environment(state) if name.startswith("nodemanager") else common


def store_environment(state: State) -> dict[str, str]:
    """How Python and Java find the object stores, and their keys, by the usual variables."""
    found: dict[str, str] = {}
    if state.s3:
        found |= {
            "AWS_ENDPOINT_URL": state.s3.endpoint,
            "AWS_ACCESS_KEY_ID": state.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": state.s3.secret_key,
            "AWS_DEFAULT_REGION": REGION,
        }
    if state.gcs:
        found["STORAGE_EMULATOR_HOST"] = state.gcs.endpoint
    return found
