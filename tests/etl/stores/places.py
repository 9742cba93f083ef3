"""Places in stores, runs that write there, and how such a run is ended."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from contract.config import dump_config
from contract.dataset import verify
from contract.errors import InputError
from contract.manifest import MANIFEST_NAME, read_manifest
from contract.storage import exists
from tests.etl.study import PROJECT, Study

STORES = ("file", "hdfs", "s3a")
DONE = re.compile(r"^  (\d\d_\w+) +(?:[\d.]+ s|up to date)", re.MULTILINE)


@dataclass(frozen=True)
class Store:
    """A place to write to, and what Spark and the process need to reach it."""

    place: str
    conf: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


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


def told(text: str) -> str:
    """The one sentence of a run that was refused."""
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text[-3000:]
    assert lines[0].startswith("error ")
    assert "java" not in lines[0].replace("java.", "", 2).lower() or "Spark says" in lines[0]
    return lines[0]
