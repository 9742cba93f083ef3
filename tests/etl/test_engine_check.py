import os
from pathlib import Path

import pytest

from contract.errors import InputError
from etl.engine_check import (
    check_engine,
    executor_failure,
    executor_faults,
    java_above,
    java_fault,
    java_release,
    none_that_came,
    spark_fault,
    version_fault,
)


def spark_home(folder: Path, jar: str) -> Path:
    (folder / "jars").mkdir(parents=True)
    (folder / "jars" / jar).touch()
    return folder


@pytest.mark.parametrize(
    ("jar", "found"),
    [
        ("spark-core_2.12-3.4.1.jar", "3.4.1 (Scala 2.12)"),
        ("spark-core_2.13-4.0.0.jar", "4.0.0 (Scala 2.13)"),
        ("spark-core_2.13-3.5.3.jar", "3.5.3 (Scala 2.13)"),
    ],
)
def test_spark_fault__another_spark_than_hail_s(
    jar: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = spark_home(tmp_path / "spark", jar)
    monkeypatch.setenv("SPARK_HOME", str(home))
    text = spark_fault()
    assert text is not None
    assert text.startswith(f"{home}: Spark: found {found}, wanted ")
    assert text.endswith("with Scala 2.12, for which Hail is made: set SPARK_HOME to one, or unset it")


@pytest.mark.parametrize(
    "jar", ["spark-core_2.12-3.5.0.jar", "spark-core_2.12-3.5.3-amzn-1.jar", "vendor.jar"]
)
def test_spark_fault__none(jar: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPARK_HOME", str(spark_home(tmp_path / "spark", jar)))
    assert spark_fault() is None
    monkeypatch.delenv("SPARK_HOME")
    assert spark_fault() is None


def test_version_fault__of_a_cluster_that_runs():
    assert version_fault("the cluster", spark="3.5.9") is None
    assert str(version_fault("the cluster", spark="4.1.0-preview1")).startswith(
        "the cluster: Spark: found 4.1.0-preview1"
    )


def test_java_fault__another_java():
    assert java_fault("an executor", "17") is None
    assert java_fault("an executor", None) is None
    assert java_fault("an executor", "21") == (
        "an executor: Java: found 21, wanted Java 11 or 17: "
        "set JAVA_HOME, on executors by spark.executorEnv.JAVA_HOME"
    )


@pytest.mark.parametrize(
    ("program", "told", "version"),
    [("bin/java", "17.0.11", "17"), ("jre/bin/java", "1.8.0_402", "8"), ("bin/java", "21", "21")],
)
def test_java_release__by_the_file_of_its_folder(program: str, told: str, version: str, tmp_path: Path):
    (tmp_path / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{told}"\n')
    assert java_release(tmp_path / program) == version


def test_java_above__none_without_java():
    assert java_above(os.getpid()) is None


def test_executor_faults__java_and_packages():
    assert [text for text in executor_faults("11", []) if text] == []
    java, packages = executor_faults("8", ["cyvcf2", "fsspec"])
    assert str(java).startswith("an executor: Java: found 8, wanted Java 11 or 17")
    assert str(packages).startswith(
        "an executor: Python: found none of cyvcf2, fsspec, wanted that of this project"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'java.io.IOException: Cannot run program "/nowhere/python": error=2, No such file or directory',
            "an executor: Python: found no program /nowhere/python, wanted that of this project there",
        ),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version (3, 9) than in driver 3.11",
            "an executor: Python: found 3, 9, wanted 3.",
        ),
        (
            "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9 than",
            "an executor: Python: found 3.9, wanted 3.",
        ),
        (
            "ModuleNotFoundError: No module named 'fsspec'",
            "an executor: Python: found none of fsspec, wanted",
        ),
        (
            "java.lang.UnsupportedClassVersionError: is/hail/kryo/HailKryoRegistrator",
            "an executor: Java: found an older one, wanted Java 11 or 17",
        ),
        (
            "Job 0 cancelled because SparkContext was shut down",
            "the executors: processes: found an end at their",
        ),
        (
            "odd\njava.lang.OddException: x",
            "the executors: a task: found a first task that failed (java.lang.Odd",
        ),
    ],
)
def test_executor_failure__one_sentence(text: str, told: str):
    assert executor_failure(text).startswith(told)


@pytest.mark.usefixtures("hail_session")
def test_check_engine__a_store_that_java_can_not_reach():
    import hail as hl

    context = hl.spark_context()
    check_engine(context, ["/tmp", "file:///tmp"], on_a_cluster=False)
    check_engine(context, [], on_a_cluster=True)
    with pytest.raises(InputError) as caught:
        check_engine(context, ["ftpx://host/x"], on_a_cluster=False)
    (text,) = caught.value.faults
    assert text.startswith(
        "ftpx://host/x: store: found a Spark without the connector of this store (Spark says: "
    )


def test_none_that_came__says_where_to_look():
    assert none_that_came(20).startswith(
        "the executors: processes: found none within 20 s, wanted free cores and memory there, Java 11 or 17"
    )
