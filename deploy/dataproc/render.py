"""What Dataproc is told: files and settings made from values.env.

python -m deploy.dataproc.render files build/dataproc     all YAML files of this folder, filled in
python -m deploy.dataproc.render packages build/dataproc  the packages that a job needs, as packages.zip
python -m deploy.dataproc.render properties cluster       the properties of a job, as gcloud takes them
python -m deploy.dataproc.render shell PROJECT REGION     some values, as assignments for a shell

Where a value that is needed is unset it ends with status 2 and a sentence that names it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import zipfile
from pathlib import Path
from string import Template
from typing import Any

import yaml

from deploy.check.owner_values import read_values, unset, values_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = ("autoscaling_policy", "cluster", "etl_workflow", "train_workflow")
"""What `files` writes, each as NAME.yaml."""
PACKAGES = ("contract", "etl", "train")

PYTHON_HOMES = {"cluster": "/opt/exoshard/environment", "serverless": "/usr/local"}
"""Where a job finds the locked packages: init_environment.sh or serverless.Dockerfile put them there."""

_STANDARD, _HIGHMEM = 4.0, 8.0
GIB_PER_CORE = {"n1-standard": 3.75, "n1-highmem": 6.5}
GIB_PER_CORE |= {f"{family}-standard": _STANDARD for family in ("n2", "n2d", "n4", "e2", "c3")}
GIB_PER_CORE |= {f"{family}-highmem": _HIGHMEM for family in ("n2", "n2d", "n4", "e2", "c3")}

MOST_CORES = 4
"""Cores of an executor."""
YARN_SHARE = 0.95
"""What YARN gives away of a worker's memory."""
OFF_HEAP_SHARE = 0.6
"""What an executor leaves for Hail's values, which lie outside of Java's heap."""
SYSTEM_GIB, DRIVER_SHARE = 11, 0.9
"""What the master's services take of its memory, and the driver's share of the rest."""


class ValuesError(Exception):
    """Values that are unset or unusable, one sentence for each."""


def set_values(path: Path, names: list[str]) -> dict[str, str]:
    """The values of some names. Raises ValuesError with a sentence for each that is unset."""
    try:
        values, empty = read_values(path), unset(path)
    except (OSError, ValueError) as error:
        raise ValuesError(str(error)) from None
    absent = [name for name in names if name in empty or name not in values]
    if absent:
        raise ValuesError(
            "\n".join(f"{path}: {name}: found nothing, wanted a value of yours" for name in absent)
        )
    return {name: values[name] for name in names}


def names_in(template: Path) -> list[str]:
    """The values that a YAML file names as `${NAME}`."""
    return sorted(set(re.findall(r"\$\{(\w+)\}", template.read_text())))


def filled(template: Path, values: Path) -> dict[str, Any]:
    """A YAML file whose `${NAME}` are the values. Raises ValuesError that names each one that is unset."""
    text = Template(template.read_text()).substitute(set_values(values, names_in(template)))
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def machine(name: str, key: str, path: Path) -> tuple[int, float]:
    """Cores and GiB of memory of a machine type. Raises ValuesError where its memory is not known here."""
    kind, _, cores = name.rpartition("-")
    if kind not in GIB_PER_CORE or not cores.isdecimal():
        wanted = f"{', '.join(sorted(GIB_PER_CORE))}, followed by - and the number of cores"
        raise ValuesError(f"{path}: {key}: found {name}, wanted {wanted}")
    return int(cores), int(cores) * GIB_PER_CORE[kind]


def cluster_properties(path: Path) -> dict[str, str]:
    """Properties of the ETL's cluster: the memory that Hail wants outside of Java's heap, and patience.

    They are those of `hailctl dataproc start`, so that what runs on its clusters runs here, and one more.
    """
    values = set_values(path, ["MASTER_MACHINE", "WORKER_MACHINE"])
    _, master_gib = machine(values["MASTER_MACHINE"], "MASTER_MACHINE", path)
    cores, gib = machine(values["WORKER_MACHINE"], "WORKER_MACHINE", path)
    yarn_mb = int(gib * YARN_SHARE * 1024)
    executor_cores = min(cores, MOST_CORES)
    executor_mb = yarn_mb // cores * executor_cores
    off_heap_mb = int(executor_mb * OFF_HEAP_SHARE)
    return {
        "spark:spark.task.maxFailures": "20",
        "spark:spark.driver.extraJavaOptions": "-Xss4M",
        "spark:spark.executor.extraJavaOptions": "-Xss4M",
        "spark:spark.speculation": "true",
        "hdfs:dfs.replication": "1",
        "dataproc:dataproc.logging.stackdriver.enable": "false",
        "dataproc:dataproc.monitoring.stackdriver.enable": "false",
        "spark:spark.driver.memory": f"{int((master_gib - SYSTEM_GIB) * DRIVER_SHARE)}g",
        "yarn:yarn.nodemanager.resource.memory-mb": str(yarn_mb),
        "yarn:yarn.scheduler.maximum-allocation-mb": str(executor_mb),
        "spark:spark.executor.cores": str(executor_cores),
        "spark:spark.executor.memory": f"{executor_mb - off_heap_mb}m",
        "spark:spark.executor.memoryOverhead": f"{off_heap_mb}m",
        "spark:spark.memory.storageFraction": "0.2",
        "spark:spark.executorEnv.HAIL_WORKER_OFF_HEAP_MEMORY_PER_CORE_MB": str(yarn_mb // cores),
        # Shuffles lie on workers that stay: losing spot workers never costs a stage that was finished.
        "dataproc:efm.spark.shuffle": "primary-worker",
    }


def job_properties(where: str) -> dict[str, str]:
    """Properties of an ETL job, on a `cluster` or `serverless`: Hail's jar and serialiser, and its Python."""
    home = PYTHON_HOMES[where]
    jar = f"{home}/lib/python3.11/site-packages/hail/backend/hail-all-spark.jar"
    return {
        "spark.driver.extraClassPath": jar,
        "spark.executor.extraClassPath": jar,
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        "spark.kryo.registrator": "is.hail.kryo.HailKryoRegistrator",
        "spark.ui.showConsoleProgress": "false",
        **(python_properties() if where == "cluster" else {}),
    }


def python_properties() -> dict[str, str]:
    """Properties that start the locked Python instead of the image's, in the driver and in executors."""
    python = f"{PYTHON_HOMES['cluster']}/bin/python"
    return {"spark.pyspark.python": python, "spark.pyspark.driver.python": python}


def rendered(name: str, path: Path, folder: Path = HERE) -> dict[str, Any]:
    """One of FILES with the values of a file of values."""
    if name in ("cluster", "etl_workflow"):
        config = filled(folder / "cluster_config.yaml", path)
        config["softwareConfig"]["properties"] = cluster_properties(path)
        if name == "cluster":
            return {"config": config}
    content = filled(folder / f"{name}.yaml", path)
    if name == "etl_workflow":
        content["placement"]["managedCluster"]["config"] = config
        content["jobs"][0]["pysparkJob"]["properties"] = job_properties("cluster")
    if name == "train_workflow":
        for job in content["jobs"]:
            job["pysparkJob"]["properties"] = python_properties()
    return content


def write_files(path: Path, out: Path) -> None:
    """Write all FILES, or none where a value is unset: then all that are unset are named."""
    set_values(
        path, list(dict.fromkeys(name for file in sorted(HERE.glob("*.yaml")) for name in names_in(file)))
    )
    contents = {name: yaml.safe_dump(rendered(name, path), sort_keys=False, width=110) for name in FILES}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        (out / f"{name}.yaml").write_text(text)


def write_packages(out: Path) -> None:
    """Write packages.zip: packages with their data files, profiles, and the script that launches training."""
    out.mkdir(parents=True, exist_ok=True)
    files = [ROOT / "deploy/submit_train.sh", *sorted((ROOT / "conf/profiles").glob("*.yaml"))]
    files += [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*")) if file.is_file()]
    staged = out / "packages.zip.part"
    with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            if "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(ROOT))
    staged.replace(out / "packages.zip")


def properties_text(properties: dict[str, str]) -> str:
    """Properties as one argument of gcloud, which may hold commas: ^|^ makes | the separator."""
    return "^|^" + "|".join(f"{name}={value}" for name, value in properties.items())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.dataproc.render", description=__doc__.splitlines()[0]
    )
    parser.add_argument("what", choices=["files", "packages", "properties", "shell"])
    parser.add_argument("names", nargs="+", help="a folder, cluster or serverless, or names of values")
    given = parser.parse_args(arguments)
    path = Path(os.environ.get("VALUES") or values_file(ROOT, "dataproc"))
    try:
        if given.what == "files":
            write_files(path, Path(given.names[0]))
        elif given.what == "packages":
            write_packages(Path(given.names[0]))
        elif given.what == "properties":
            print(properties_text(job_properties(given.names[0])))
        else:
            for name, value in set_values(path, given.names).items():
                print(f"{name}={shlex.quote(value)}")
    except ValuesError as error:
        for sentence in str(error).splitlines():
            print(f"dataproc: {sentence}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
