"""Hadoop's configuration files: one folder for clients, one for each daemon that differs."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from deploy.minicluster.ports import HOST
from deploy.minicluster.services import Size

LOGGING = """log4j.rootLogger=INFO, all
log4j.appender.all=org.apache.log4j.ConsoleAppender
log4j.appender.all.layout=org.apache.log4j.PatternLayout
log4j.appender.all.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
NODE_VARIABLES = (
    "JAVA_HOME",
    "HADOOP_CONF_DIR",
    "PATH",
    "LANG",
    "TZ",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "STORAGE_EMULATOR_HOST",
)
"""What a container gets from its node. A store's keys are the node's, as with roles of instances in a cloud:
they stand in no setting of a job."""
WEB_PAGES = ("hdfs", "datanode", "cluster", "node")
"""Folders that daemons want on the class path before they start; the jars don't have them."""


def write_configuration(folder: Path, ports: dict[str, int], size: Size) -> Path:
    """Write conf/ of a cluster: `hadoop` for clients and masters, NAME for each DataNode and NodeManager.

    Returns
    -------
    Path
        What clients take as HADOOP_CONF_DIR.
    """
    conf = folder / "conf"
    for page in WEB_PAGES:
        (conf / "common" / "webapps" / page).mkdir(parents=True, exist_ok=True)
    (conf / "common" / "log4j.properties").write_text(LOGGING, encoding="utf-8")
    core, hdfs, yarn = (
        core_site(folder, ports),
        hdfs_site(folder, ports, size),
        yarn_site(folder, ports, size),
    )
    _write_site(conf / "hadoop" / "core-site.xml", core)
    _write_site(conf / "hadoop" / "hdfs-site.xml", hdfs)
    _write_site(conf / "hadoop" / "yarn-site.xml", yarn)
    _write_site(conf / "hadoop" / "capacity-scheduler.xml", capacity_scheduler())
    for node in range(1, size.datanodes + 1) if hdfs else ():
        _write_site(conf / f"datanode-{node}" / "hdfs-site.xml", hdfs | datanode(folder, ports, node))
    for node in range(1, size.nodemanagers + 1) if yarn else ():
        _write_site(conf / f"nodemanager-{node}" / "yarn-site.xml", yarn | nodemanager(folder, ports, node))
    return conf / "hadoop"


def core_site(folder: Path, ports: dict[str, int]) -> dict[str, object]:
    """Settings of every client and daemon; without HDFS, paths without scheme are files."""
    rpc = ports.get("namenode.rpc")
    return {
        "fs.defaultFS": f"hdfs://{HOST}:{rpc}" if rpc else "file:///",
        "hadoop.tmp.dir": folder / "data" / "tmp",
    }


def hdfs_site(folder: Path, ports: dict[str, int], size: Size) -> dict[str, object]:
    """Settings of HDFS: permissions are on; a DataNode that is gone is dead after 20 s, not after 10 min."""
    if "namenode.rpc" not in ports:
        return {}
    return {
        "dfs.replication": min(size.datanodes, 2),
        "dfs.namenode.name.dir": f"file://{folder}/data/namenode",
        "dfs.namenode.checkpoint.dir": f"file://{folder}/data/checkpoint",
        "dfs.namenode.http-address": f"{HOST}:{ports['namenode.http']}",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": 0,
        "dfs.namenode.heartbeat.recheck-interval": 5000,
        "dfs.heartbeat.interval": 1,
        "dfs.datanode.hostname": HOST,
    }


def datanode(folder: Path, ports: dict[str, int], node: int) -> dict[str, object]:
    """What one DataNode has of its own."""
    return {
        "dfs.datanode.data.dir": f"file://{folder}/data/datanode-{node}",
        "dfs.datanode.address": f"{HOST}:{ports[f'datanode-{node}.data']}",
        "dfs.datanode.http.address": f"{HOST}:{ports[f'datanode-{node}.http']}",
        "dfs.datanode.ipc.address": f"{HOST}:{ports[f'datanode-{node}.ipc']}",
    }


def yarn_site(folder: Path, ports: dict[str, int], size: Size) -> dict[str, object]:
    """Settings of YARN; a NodeManager that is gone counts as lost after 20 s, not 10 min."""
    if "resourcemanager.client" not in ports:
        return {}
    return {
        "yarn.resourcemanager.hostname": HOST,
        "yarn.resourcemanager.address": f"{HOST}:{ports['resourcemanager.client']}",
        "yarn.resourcemanager.scheduler.address": f"{HOST}:{ports['resourcemanager.scheduler']}",
        "yarn.resourcemanager.resource-tracker.address": f"{HOST}:{ports['resourcemanager.tracker']}",
        "yarn.resourcemanager.admin.address": f"{HOST}:{ports['resourcemanager.admin']}",
        "yarn.resourcemanager.webapp.address": f"{HOST}:{ports['resourcemanager.web']}",
        "yarn.nodemanager.hostname": HOST,
        "yarn.nodemanager.resource.memory-mb": size.node_memory_mb,
        "yarn.nodemanager.resource.cpu-vcores": size.node_vcores,
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": 100,
        "yarn.nodemanager.env-whitelist": ",".join(NODE_VARIABLES),
        "yarn.nm.liveness-monitor.expiry-interval-ms": 20000,
        "yarn.log-aggregation-enable": "false",
        "yarn.scheduler.minimum-allocation-mb": 256,
        "yarn.scheduler.maximum-allocation-mb": size.node_memory_mb,
        "yarn.scheduler.maximum-allocation-vcores": size.node_vcores,
    }


def nodemanager(folder: Path, ports: dict[str, int], node: int) -> dict[str, object]:
    """What one NodeManager has of its own."""
    name = f"nodemanager-{node}"
    return {
        "yarn.nodemanager.address": f"{HOST}:{ports[f'{name}.address']}",
        "yarn.nodemanager.localizer.address": f"{HOST}:{ports[f'{name}.localizer']}",
        "yarn.nodemanager.webapp.address": f"{HOST}:{ports[f'{name}.web']}",
        "yarn.nodemanager.local-dirs": folder / "data" / name,
        "yarn.nodemanager.log-dirs": folder / "logs" / f"{name}-containers",
    }


def capacity_scheduler() -> dict[str, object]:
    """One queue; masters of jobs may take most of it (the default, a tenth, is less than one needs here)."""
    return {
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": 100,
        "yarn.scheduler.capacity.maximum-am-resource-percent": 0.8,
    }


def _write_site(path: Path, settings: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    properties = "".join(
        f"  <property><name>{name}</name><value>{escape(str(value))}</value></property>\n"
        for name, value in settings.items()
    )
    text = f'<?xml version="1.0"?>\n<configuration>\n{properties}</configuration>\n'
    path.write_text(text, encoding="utf-8")
