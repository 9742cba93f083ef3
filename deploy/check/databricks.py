"""What can be known of deploy/databricks without a workspace.

Values that the owner has not set yet are taken as the EXAMPLES; those that are set are checked as they stand.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deploy.check.owner_values import read_values, unset, values_file
from deploy.check.runner import Check, LeftOutError, program
from deploy.check.unreadable import or_fault

EXAMPLES = {
    "HOST": "https://adb-1234567890123456.7.azuredatabricks.net",
    "VOLUME": "/Volumes/example/default/exoshard",
    "ETL_CONF": "/Volumes/example/default/exoshard/etl.yaml",
    "TRAIN_CONF": "/Volumes/example/default/exoshard/train.yaml",
    "NODE_TYPE": "Standard_E8ds_v4",
    "TRAIN_NODE_TYPE": "Standard_NC96ads_A100_v4",
}
HAIL_NEEDS = {
    "spark.driver.extraClassPath": r"/opt/exoshard/hail-all-spark\.jar",
    "spark.executor.extraClassPath": r"/opt/exoshard/hail-all-spark\.jar",
    "spark.serializer": r"org\.apache\.spark\.serializer\.KryoSerializer",
    "spark.kryo.registrator": r"is\.hail\.kryo\.HailKryoRegistrator",
    "spark.hadoop.io.compression.codecs": r"(\S+,)?is\.hail\.io\.compress\.BGzipCodec(,\S+)?",
    "spark.hadoop.mapreduce.input.fileinputformat.split.minsize": "0",
}
"""Without these in a cluster's spark_conf Hail refuses its session."""
RUNTIME = r"1[56]\.4\.x-((cpu|gpu)-ml-)?scala2\.12"
LOCKS = {"15.4": "local.lock", "16.4": "gpu.lock"}
"""The lock for the Python of a runtime that trains."""
TOP_LEVEL = {"bundle", "include", "sync", "variables", "targets", "resources"}
TASK_KIND = "spark_python_task"
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_GIVEN = ("bundle.", "workspace.", "resources.")
"""What begins the references that the CLI fills in itself."""


def checks(root: Path) -> list[Check]:
    """All checks of deploy/databricks in a checkout."""
    yaml = "python:yaml"
    listed: list[tuple[str, Callable[[Path], list[str]], tuple[str, ...]]] = [
        ("values.env holds the variables", value_faults, (yaml,)),
        ("the bundle holds together", bundle_faults, (yaml,)),
        ("jobs are databricks-bundles'", job_faults, ("python:databricks.bundles", yaml)),
        ("files fit the CLI's JSON schema", schema_faults, ("databricks", "check-jsonschema")),
    ]
    return [
        Check("databricks", name, partial(or_fault, "deploy/databricks", partial(run, root)), needs)
        for name, run, needs in listed
    ]


def folder_of(root: Path) -> Path:
    """Where the bundle lies in a checkout."""
    return root / "deploy" / "databricks"


def read_bundle(folder: Path) -> dict[str, Any]:
    """The bundle's files as one: databricks.yml, and the resources of those that it includes."""
    yaml = importlib.import_module("yaml")
    content: dict[str, Any] = yaml.safe_load((folder / "databricks.yml").read_text())
    content["resources"] = {}
    for pattern in content.get("include", []):
        for path in sorted(folder.glob(pattern)):
            for kind, named in yaml.safe_load(path.read_text())["resources"].items():
                content["resources"].setdefault(kind, {}).update(named)
    return content


def resolved(root: Path, target: str) -> dict[str, Any]:
    """The jobs of a target with its variables in place: the target's, values.env's, examples or defaults."""
    content = read_bundle(folder_of(root))
    path = values_file(root, "databricks")
    owners = read_values(path) | {name: EXAMPLES.get(name, "example") for name in unset(path)}
    values: dict[str, Any] = {
        name: declared["default"] for name, declared in content["variables"].items() if "default" in declared
    }
    values |= {name.lower(): value for name, value in owners.items()}
    values |= content["targets"][target].get("variables", {})
    given = {"bundle.target": target, "workspace.file_path": "/Workspace/files"}
    known = given | {f"var.{name}": value for name, value in values.items()}
    jobs: dict[str, Any] = _filled(content["resources"]["jobs"], known)
    return jobs


def _filled(content: Any, known: dict[str, Any]) -> Any:
    if isinstance(content, dict):
        return {name: _filled(value, known) for name, value in content.items()}
    if isinstance(content, list):
        return [_filled(value, known) for value in content]
    if not isinstance(content, str):
        return content
    whole = _REFERENCE.fullmatch(content)
    text = _REFERENCE.sub(lambda found: str(known.get(found[1], found[0])), content)
    return int(text) if whole and text.isdecimal() else text


def value_faults(root: Path) -> list[str]:
    """A variable without default that values.env lacks, or a value that is no such variable."""
    path = values_file(root, "databricks")
    declared = read_bundle(folder_of(root))["variables"]
    wanted = {name.upper() for name, one in declared.items() if "default" not in one} | {"HOST"}
    here = read_values(path)
    faults = [
        f"{path}: found no {name}, wanted it: the bundle has no default"
        for name in sorted(wanted - set(here))
    ]
    return faults + [
        f"{path}: {name}: found a value that no variable takes" for name in here if name not in wanted
    ]


def bundle_faults(root: Path) -> list[str]:
    """Whatever does not fit together in the bundle, or would not run with Hail."""
    folder = folder_of(root)
    content = read_bundle(folder)
    where = "deploy/databricks/databricks.yml"
    faults = [f"{where}: found {key}, wanted one of {', '.join(sorted(TOP_LEVEL))}" for key in content
              if key not in TOP_LEVEL]  # fmt: skip
    faults += [
        f"{where}: sync: found {path}, wanted a folder that is there"
        for path in content["sync"]["paths"]
        if not (folder / path).is_dir()
    ]
    faults += reference_faults(content)
    for target in content["targets"]:
        for name, job in resolved(root, target).items():
            faults += [
                f"deploy/databricks: target {target}: job {name}: {fault}" for fault in _job(job, folder)
            ]
    return list(dict.fromkeys(faults))


def reference_faults(content: dict[str, Any]) -> list[str]:
    """Variables that are used and not declared, or declared and not used."""
    used = set(_REFERENCE.findall(json.dumps([content["resources"], content["targets"]])))
    declared = {f"var.{name}" for name in content["variables"]}
    overridden = {
        f"var.{name}" for target in content["targets"].values() for name in target.get("variables", {})
    }
    unknown = {one for one in used | overridden if one not in declared and not one.startswith(_GIVEN)}
    faults = [f"deploy/databricks: found ${{{one}}}, wanted a declared variable" for one in sorted(unknown)]
    return faults + [
        f"deploy/databricks/databricks.yml: variables: found {one.removeprefix('var.')}, which nothing uses"
        for one in sorted(declared - used)
    ]


def _job(job: dict[str, Any], folder: Path) -> list[str]:
    clusters = {one["job_cluster_key"]: one["new_cluster"] for one in job["job_clusters"]}
    faults, before = [], set[str]()
    for task in job["tasks"]:
        where = f"task {task['task_key']}"
        faults += [
            f"{where}: depends_on: found {one['task_key']}, wanted an earlier task"
            for one in task.get("depends_on", [])
            if one["task_key"] not in before
        ]
        before.add(task["task_key"])
        if task.get("job_cluster_key") not in clusters:
            faults.append(
                f"{where}: job_cluster_key: found {task.get('job_cluster_key')}, wanted a job cluster"
            )
        file = task.get(TASK_KIND, {}).get("python_file", "nothing")
        if not (folder / "resources" / file).is_file():
            faults.append(f"{where}: python_file: found {file}, wanted a file that is there")
    for key, cluster in clusters.items():
        faults += [f"cluster {key}: {fault}" for fault in cluster_faults(cluster)]
    return faults


def cluster_faults(cluster: dict[str, Any]) -> list[str]:
    """Why a cluster would not run what it is for: Hail, or training with the packages of a lock."""
    runtime, environment = cluster["spark_version"], cluster["spark_env_vars"]
    conf, mode = cluster.get("spark_conf", {}), cluster.get("data_security_mode")
    faults = []
    if not re.fullmatch(RUNTIME, runtime):
        faults.append(
            f"spark_version: found {runtime}, wanted 15.4 or 16.4 LTS with Scala 2.12, as Hail has it"
        )
    if mode not in ("SINGLE_USER", "DATA_SECURITY_MODE_DEDICATED"):
        faults.append(
            f"data_security_mode: found {mode}, wanted SINGLE_USER: others forbid Spark's own interface"
        )
    if environment["EXOSHARD_EXTRA"] == "etl":
        faults += [
            f"spark_conf: {name}: found {conf.get(name, 'nothing')}, wanted {wanted} for Hail"
            for name, wanted in HAIL_NEEDS.items()
            if not re.fullmatch(wanted, str(conf.get(name)))
        ]
        java = environment.get("JNAME", "nothing")
        if not java.startswith("zulu17"):
            faults.append(f"spark_env_vars: JNAME: found {java}, wanted zulu17-ca-amd64, Java 17")
    elif environment["EXOSHARD_LOCK"] != LOCKS.get(runtime[:4]):
        faults.append(
            f"spark_env_vars: EXOSHARD_LOCK: found {environment['EXOSHARD_LOCK']}, wanted "
            f"{LOCKS.get(runtime[:4])} for the Python of {runtime}"
        )
    return faults


def job_faults(root: Path) -> list[str]:
    """Why databricks-bundles would not take a job: a field that it does not know, a value of another type."""
    model = importlib.import_module("databricks.bundles.jobs")
    faults = []
    for target in read_bundle(folder_of(root))["targets"]:
        for name, job in resolved(root, target).items():
            # Its errors do not say where: each part is tried by itself.
            parts = [("the job", model.Job, {**job, "tasks": [], "job_clusters": []})]
            parts += [(f"task {one['task_key']}", model.Task, one) for one in job["tasks"]]
            parts += [
                (f"cluster {one['job_cluster_key']}", model.JobCluster, one) for one in job["job_clusters"]
            ]
            for part, kind, content in parts:
                try:
                    kind.from_dict(content)
                except (TypeError, ValueError) as error:
                    said = " ".join(str(error).split())
                    faults.append(f"deploy/databricks: target {target}: job {name}: {part}: {said}")
    return faults


def schema_faults(root: Path) -> list[str]:
    """Where the bundle's files do not fit the JSON schema that the Databricks CLI prints."""
    folder = folder_of(root)
    cli, validator = program("databricks") or "databricks", program("check-jsonschema") or "check-jsonschema"
    printed = subprocess.run(
        [cli, "bundle", "schema"], capture_output=True, text=True, timeout=60, check=False
    )
    if printed.returncode or not printed.stdout.lstrip().startswith("{"):
        raise LeftOutError("this databricks has no `bundle schema`: it is not the CLI of today")
    with tempfile.TemporaryDirectory() as scratch:
        schema = Path(scratch) / "bundle.json"
        schema.write_text(printed.stdout)
        files = [folder / "databricks.yml", *sorted(folder.glob("resources/*.yml"))]
        done = subprocess.run(
            [validator, "--schemafile", str(schema), *map(str, files)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    if done.returncode == 0:
        return []
    return [
        f"deploy/databricks: {' '.join(line.split())}" for line in done.stdout.splitlines() if "::" in line
    ]
