"""Spark and Hail start when something is to do, and are gone afterwards."""

import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from contract.config import load_config
from etl.config import EtlConfig, SparkConfig
from etl.pipeline import engine, has_work
from etl.session import expected_cores, spark_settings
from tests.etl.mini import SAMPLES, MiniInputs
from tests.etl.study import Study

PROJECT = Path(__file__).resolve().parents[2]
MARK = "spark.exoshard.mark"


def python(*words: str, timeout: float = 200) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False
    )


def java_with(mark: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"] == "java" and any(mark in word for word in words):
            found.append(process.pid)
    return found


@pytest.mark.parametrize("words", [["--help"], ["plan"], ["check"], ["run", "--help"]])
def test_commands__without_work_import_neither_hail_nor_spark(words: list[str], mini: MiniInputs):
    if words in (["plan"], ["check"]):
        words = [*words, str(mini.write_config())]
    done = python("-X", "importtime", "-m", "etl", *words)
    assert done.returncode == 0, done.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "etl" in imported
    assert not imported & {"hail", "pyspark", "py4j", "torch"}


def test_run__a_fault_of_the_inputs_leaves_no_java(mini: MiniInputs):
    mini.samples.write_text(SAMPLES.replace("control", "case"))
    mini.settings["spark"] = {"conf": {MARK: str(mini.config)}}
    done = python("-m", "etl", "run", str(mini.write_config()))
    assert done.returncode == 2
    (text,) = done.stderr.splitlines()
    assert text.startswith(f"error {mini.samples}: column 'status': found case")
    assert java_with(str(mini.config)) == []


def test_run__settings_that_java_refuses_are_told_in_one_sentence(mini: MiniInputs):
    mini.settings["spark"] = {"driver_memory": "9000000g"}
    done = python("-m", "etl", "run", str(mini.write_config()))
    assert done.returncode == 2, done.stderr
    (text,) = done.stderr.splitlines()
    log = Path(mini.settings["out"]) / "steps" / "errors.log"
    assert text.startswith("error step 01_ingest (reading calls")
    assert "found a Java process that ended at its start (its words are in hail.log), wanted" in text
    assert text.endswith(f"the full text is in {log}")
    assert "heap" in (log.parent / "hail.log").read_text()


def test_spark_settings__own_ones_are_added_to_hail_s_and_win():
    conf = {"spark.jars": "/own.jar", "spark.ui.enabled": "true", "spark.driver.extraJavaOptions": "-Da=1"}
    settings = spark_settings(SparkConfig(driver_memory="5g", conf=conf), brief=True)
    assert settings["spark.jars"].endswith("/hail/backend/hail-all-spark.jar,/own.jar")
    assert settings["spark.driver.extraClassPath"].endswith("/hail-all-spark.jar")
    assert settings["spark.driver.extraJavaOptions"] == "-XX:TieredStopAtLevel=1 -Da=1"
    assert (settings["spark.ui.enabled"], settings["spark.driver.memory"]) == ("true", "5g")
    assert "spark.driver.extraJavaOptions" not in spark_settings(SparkConfig())


def test_spark_settings__leave_memory_and_master_to_spark_submit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    assert not {"spark.master", "spark.driver.memory", "spark.jars"} & spark_settings(SparkConfig()).keys()


@pytest.mark.parametrize(
    ("settings", "cores"),
    [
        ({"spark.master": "yarn"}, 2),
        ({"spark.master": "yarn", "spark.executor.instances": "10", "spark.executor.cores": "4"}, 40),
        ({"spark.master": "k8s://https://somewhere", "spark.executor.cores": "3"}, 6),
        ({"spark.master": "spark://somewhere:7077", "spark.executor.cores": "3"}, None),
        ({"spark.master": "yarn", "spark.dynamicAllocation.enabled": "true"}, None),
    ],
)
def test_expected_cores__of_the_executors_that_were_asked_for(settings: dict[str, str], cores: int | None):
    assert expected_cores(settings) == cores


@pytest.mark.parametrize(("size", "brief"), [(100, True), (2 * 2**30, False)])
def test_engine__is_fitted_to_the_size_of_the_calls(
    size: int, brief: bool, mini: MiniInputs, monkeypatch: pytest.MonkeyPatch
):
    given: dict[str, object] = {}
    monkeypatch.setattr("etl.pipeline.starting", lambda config, **named: given.update(named))
    with mini.vcf.open("r+b") as stream:
        stream.truncate(size)
    engine(load_config(EtlConfig, mini.write_config()))
    assert given["brief"] is brief


STARTS = """
import sys
from etl.config import SparkConfig
from etl.session import hail_session, starting
mark = {"spark.exoshard.mark": sys.argv[1]}
with starting(SparkConfig(master="local[2]", driver_memory="600m", conf=mark), log=sys.argv[2]) as engine:
    engine.wait_for_spark()
    from pyspark.sql import SparkSession
    session = SparkSession.builder.getOrCreate()
    print(session.range(7).count(), session.sparkContext.getConf().get("spark.driver.memory"))
    engine.wait_for_hail()
    import hail as hl
    print(hl.utils.range_table(5).count(), hl.spark_context() is session.sparkContext)
    print(SparkSession.builder.getOrCreate().conf.get("spark.sql.shuffle.partitions"))
with hail_session(SparkConfig(master="local[1]", driver_memory="700m", conf=mark)):
    print(hl.utils.range_table(3).count(), hl.spark_context().getConf().get("spark.driver.memory"))
"""


def test_starting__spark_before_hail_and_once_more_in_the_same_process(tmp_path: Path):
    mark, log = str(tmp_path), tmp_path / "hail.log"
    started = time.monotonic()
    done = python("-c", STARTS, mark, str(log))
    assert done.stdout.splitlines() == ["7 600m", "5 True", "4", "3 700m"], done.stderr
    assert done.stderr == "", "neither Spark nor Java says anything"
    assert re.search(r"Hail (version )?\d", log.read_text())
    assert java_with(mark) == []
    assert time.monotonic() - started < 150


def test_engine__starts_nothing_where_nothing_is_to_do(finished: Study, monkeypatch: pytest.MonkeyPatch):
    def start(*given: object, **named: object) -> None:
        raise AssertionError("started")

    monkeypatch.setattr("etl.pipeline.starting", start)
    config = finished.config()
    assert not has_work(config)
    with engine(config) as idle:
        assert idle is None
    with pytest.raises(AssertionError, match="started"):
        engine(finished.config(masks__preset="genebass"))


def test_engine__starts_nothing_where_the_inputs_are_at_fault(mini: MiniInputs):
    mini.vcf.unlink()
    assert not has_work(load_config(EtlConfig, mini.write_config()))


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("url", ["hdfs://namenode:8020/x", "s3a://bucket/x"])
def test_write_where_java_can__is_still_needed(url: str):
    """Where the first call raises no more, Hail has learned these schemes: `write_where_java_can` can go."""
    import hail as hl

    backend = hl.current_backend()
    with pytest.raises(ValueError, match="no file system found for url"):
        type(backend).validate_file(backend, url)
    backend.validate_file(url)
