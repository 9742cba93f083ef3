"""What Spark is asked before the first step: its version and Java's, its clients of stores, its executors.

Each would otherwise fail in the middle of a run, with many lines of Java.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contract.errors import InputError, fault
from contract.refusals import refusal, without_secrets
from contract.storage import hadoop_name
from etl.executor_watch import SETTING, watched_starts

USABLE_JAVA = ("11", "17")
NEEDED = ("numpy", "pandas", "pyarrow", "pydantic", "fsspec", "cyvcf2")
"""Packages that tasks import."""
MOST_TASKS = 64
"""Tasks by which executors are looked at: those of a large cluster are alike."""
GONE = re.compile(
    r"SparkContext was shut down|Max number of executor failures|Master removed our application"
    r"|ExecutorLostFailure|cancelled because"
)
STAYING = "Java 11 or 17 there (spark.executorEnv.JAVA_HOME) and room for their memory; see their logs"
ENVIRONMENT = "that of this project there: at PYSPARK_PYTHON, or sent by submit_etl.sh --environment"


def spark_fault() -> str | None:
    """The fault of the Spark of SPARK_HOME, if Hail can't run on it; told before it starts."""
    home = os.environ.get("SPARK_HOME")
    if not home:
        return None
    jars = sorted(path.name for path in Path(home, "jars").glob("spark-core_*.jar"))
    found = [match for match in (re.match(r"spark-core_([\d.]+)-(.+)\.jar", name) for name in jars) if match]
    if not found:  # a vendor's Spark, whose files have names of their own, is asked once it runs
        return None
    return version_fault(home, spark=found[0].group(2), scala=found[0].group(1))


def version_fault(where: str, *, spark: str, scala: str = "2.12") -> str | None:
    """The fault of a Spark of another version than the installed Hail asks for."""
    from packaging.requirements import Requirement

    try:
        named = [Requirement(text) for text in requires("hail") or []]
    except PackageNotFoundError:
        return None
    ranges = [requirement.specifier for requirement in named if requirement.name == "pyspark"]
    plain = ".".join(re.findall(r"\d+", spark)[:3])
    if scala == "2.12" and all(plain in versions for versions in ranges):
        return None
    bounds = ", ".join(str(versions) for versions in ranges)
    wanted = f"{bounds} with Scala 2.12, for which Hail is made: set SPARK_HOME to one, or unset it"
    return fault(where, "Spark", found=f"{spark} (Scala {scala})", wanted=wanted)


def check_engine(context: Any, places: Iterable[str], *, on_a_cluster: bool) -> None:
    """Ask a Spark that runs.

    Parameters
    ----------
    context
        The SparkContext.
    places
        A URL of each store.
    on_a_cluster
        Whether executors are other processes than the driver.

    Raises
    ------
    InputError
        With every fault.
    """
    java = str(context._jvm.java.lang.System.getProperty("java.specification.version"))
    faults = [version_fault("the cluster", spark=context.version), java_fault("the driver", java)]
    faults += [_store_fault(context, place) for place in places]
    if on_a_cluster and not any(faults):
        faults += _executor_faults(context)
    told = list(dict.fromkeys(text for text in faults if text))
    if told:
        raise InputError(told)


def java_fault(where: str, version: str | None) -> str | None:
    """The fault of a Java that neither Spark 3.5 nor Hail is made for."""
    if version is None or version in USABLE_JAVA:
        return None
    wanted = "Java 11 or 17: set JAVA_HOME, on executors by spark.executorEnv.JAVA_HOME"
    return fault(where, "Java", found=version, wanted=wanted)


def _store_fault(context: Any, place: str) -> str | None:
    path = context._jvm.org.apache.hadoop.fs.Path(hadoop_name(place))
    try:
        path.getFileSystem(context._jsc.hadoopConfiguration()).exists(path)
    except Exception as error:  # noqa: BLE001 - of py4j, or of Hail where it was started before
        java = getattr(error, "java_exception", None)
        words = str(java.toString()) if java else (str(error).splitlines() or [type(error).__name__])[0]
        return refusal(place, f"Spark says: {words}")
    return None


def _executor_faults(context: Any) -> list[str | None]:
    n = min(context.defaultParallelism, MOST_TASKS)
    with watched_starts(context) as wait:
        try:
            seen = context.parallelize(range(n), n).mapPartitions(seen_by_a_task).collect()
        except Exception as error:  # noqa: BLE001 - of Spark or py4j
            return [none_that_came(wait.seconds) if wait.seconds else executor_failure(str(error))]
    return [text for java, lacking in seen for text in executor_faults(java, lacking)]


def seen_by_a_task(_: Iterable[int]) -> Iterator[tuple[str | None, list[str]]]:
    """Java of the executor that a task runs under, and packages that its Python lacks."""
    yield java_above(os.getppid()), [name for name in NEEDED if find_spec(name) is None]


def executor_faults(java: str | None, lacking: Sequence[str]) -> list[str | None]:
    """The faults of one executor."""
    packages = fault("an executor", "Python", found=f"none of {', '.join(lacking)}", wanted=ENVIRONMENT)
    return [java_fault("an executor", java), packages if lacking else None]


def none_that_came(seconds: int) -> str:
    """A sentence on executors that were waited for in vain."""
    wanted = (
        f"free cores and memory there, {STAYING} (app-*/*/stderr of a worker), a way to the driver "
        f"(spark.driver.host); {SETTING} is how long to wait"
    )
    return fault("the executors", "processes", found=f"none within {seconds} s", wanted=wanted)


def executor_failure(text: str) -> str:
    """A sentence on why a first task failed."""
    if no_program := re.search(r'Cannot run program "([^"]+)"', text):
        return fault("an executor", "Python", found=f"no program {no_program.group(1)}", wanted=ENVIRONMENT)
    if version := re.search(r"(?:worker has different version|PYTHON_VERSION_MISMATCH)\D*([\d., ]*\d)", text):
        wanted = f"{sys.version_info.major}.{sys.version_info.minor} as in the driver: {ENVIRONMENT}"
        return fault("an executor", "Python", found=version.group(1), wanted=wanted)
    if missing := re.search(r"No module named '?([\w.]+)", text):
        return fault("an executor", "Python", found=f"none of {missing.group(1)}", wanted=ENVIRONMENT)
    if "UnsupportedClassVersionError" in text:
        return str(java_fault("an executor", "an older one"))
    if GONE.search(text):
        wanted = f"{STAYING} (yarn logs -applicationId ...)"
        return fault("the executors", "processes", found="an end at their start", wanted=wanted)
    causes = [line.strip() for line in text.splitlines() if "Exception" in line or "Error" in line]
    found = f"a first task that failed ({without_secrets(causes[-1] if causes else text)[:200]})"
    return fault("the executors", "a task", found=found, wanted="executors that run Python tasks")


def java_above(process: int) -> str | None:
    """Version of the Java that is above a process, by the file `release` of its folder; None: unknown."""
    while process > 1:
        try:
            program = Path(os.readlink(f"/proc/{process}/exe"))
            parent = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return None
        if program.name == "java":
            return java_release(program)
        process = parent
    return None


def java_release(program: Path) -> str | None:
    """Version of a Java program by the file beside it: 8, 11, 17 ...; None where there is no such file."""
    for folder in program.parents[1:3]:  # Java 8 has jre/bin/java
        if (folder / "release").is_file():
            told = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', (folder / "release").read_text())
            return told.group(1) if told else None
    return None
