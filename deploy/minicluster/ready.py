"""Whether services truly answer: asked over their own interfaces, not only by their ports."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from deploy.minicluster.daemons import REGION, daemons_of
from deploy.minicluster.ports import HOST, listening
from deploy.minicluster.state import S3, Gcs, Hdfs, State, Yarn

# A proxy of the environment would be asked for loopback too.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http(method: str, url: str, body: dict[str, object] | None = None) -> Any:
    """Send a request past any proxy and read the JSON of its answer; None where that is empty."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    with _direct.open(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text.strip() else None


def hdfs_answers(hdfs: Hdfs) -> bool:
    """Whether the NameNode is out of safe mode and knows all its DataNodes."""
    bean = http("GET", f"http://{hdfs.webhdfs}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState")[
        "beans"
    ][0]
    return bean["FSState"] == "Operational" and bean["NumLiveDataNodes"] == hdfs.datanodes


def live_nodemanagers(yarn: Yarn) -> int:
    """How many NodeManagers the ResourceManager counts as running."""
    nodes = http("GET", f"{yarn.rest}/ws/v1/cluster/nodes?states=RUNNING")["nodes"]
    return len(nodes["node"]) if nodes else 0


def s3_answers(s3: S3) -> bool:
    """Whether the S3 server is ready to write."""
    http("GET", f"{s3.endpoint}/minio/health/ready")
    return True


def gcs_answers(gcs: Gcs) -> bool:
    """Whether the GCS server lists its buckets."""
    http("GET", f"{gcs.endpoint}/storage/v1/b?project=exoshard")
    return True


def answers(state: State, service: str) -> bool:
    """Whether a service of the cluster answers, and not another one at its ports."""
    for name, process in daemons_of(state, service).items():
        wanted = {port for purpose, port in state.ports.items() if purpose.partition(".")[0] == name}
        if not wanted <= listening(process.pid):
            return False
    asked: dict[str, Callable[[], bool]] = {
        "hdfs": lambda: state.hdfs is not None and hdfs_answers(state.hdfs),
        "yarn": lambda: state.yarn is not None and live_nodemanagers(state.yarn) == state.yarn.nodemanagers,
        "s3": lambda: state.s3 is not None and s3_answers(state.s3),
        "gcs": lambda: state.gcs is not None and gcs_answers(state.gcs),
    }
    try:
        return asked[service]()
    except (OSError, ValueError, KeyError, IndexError):  # not yet there, or not yet whole
        return False


def daemon_answers(state: State, name: str) -> bool:
    """Whether a DataNode or NodeManager itself is at work: its masters count one that is gone for a while."""
    kind = name.partition("-")[0]
    try:
        if kind == "datanode":
            address = f"http://{HOST}:{state.ports[f'{name}.http']}"
            bean = http("GET", f"{address}/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo")["beans"][0]
            return all(actor["ActorState"] == "RUNNING" for actor in json.loads(bean["BPServiceActorInfo"]))
        if kind == "nodemanager":
            http("GET", f"http://{HOST}:{state.ports[f'{name}.web']}/ws/v1/node/info")
    except (OSError, ValueError, KeyError, IndexError):
        return False
    return True


def wait_for(ask: Callable[[], bool], seconds: float, check: Callable[[], None]) -> bool:
    """Ask until yes or until the time is over; `check` raises where waiting is in vain."""
    until = time.monotonic() + seconds
    while not ask():
        check()
        if time.monotonic() > until:
            return False
        time.sleep(0.3)
    return True


def furnish(state: State, service: str) -> None:
    """Make what users expect in a service that answers: home and scratch folders, buckets.

    Raises
    ------
    OSError
        The service refuses, as one of another cluster does.
    """
    if service == "hdfs" and state.hdfs:
        base = f"http://{state.hdfs.webhdfs}/webhdfs/v1"
        user = state.hdfs.user
        http("PUT", f"{base}/tmp?op=MKDIRS&permission=1777&user.name={user}")
        http("PUT", f"{base}/user/{user}?op=MKDIRS&user.name={user}")
    elif service == "s3" and state.s3:
        _make_s3_bucket(state.s3)
    elif service == "gcs" and state.gcs:
        try:
            http("POST", f"{state.gcs.endpoint}/storage/v1/b?project=exoshard", {"name": state.gcs.bucket})
        except urllib.error.HTTPError as error:
            if error.code != 409:  # it is there
                raise


def _make_s3_bucket(s3: S3) -> None:
    import botocore.config  # type: ignore[import-untyped]
    import botocore.session  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    client = botocore.session.Session().create_client(
        "s3",
        region_name=REGION,
        endpoint_url=s3.endpoint,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=botocore.config.Config(proxies={}, s3={"addressing_style": "path"}),
    )
    try:
        if s3.bucket not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=s3.bucket)
    except (BotoCoreError, ClientError) as error:
        raise OSError(str(error)) from None
