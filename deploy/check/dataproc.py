"""What can be known of deploy/dataproc without Google Cloud.

Values that the owner has not set yet are taken as the EXAMPLES; those that are set are checked as they stand.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from deploy.check.owner_values import read_values, unset, used_names, values_file
from deploy.check.runner import Check, LeftOutError, program
from deploy.check.unreadable import or_fault

EXAMPLES = {
    "PROJECT": "example-project",
    "REGION": "us-central1",
    "ZONE": "us-central1-b",
    "BUCKET": "example-bucket",
    "SERVICE_ACCOUNT": "exoshard@example-project.iam.gserviceaccount.com",
    "CONTAINER_IMAGE": "us-central1-docker.pkg.dev/example-project/exoshard/etl:1",
}
MESSAGES = {
    "cluster": "Cluster",
    "autoscaling_policy": "AutoscalingPolicy",
    "etl_workflow": "WorkflowTemplate",
    "train_workflow": "WorkflowTemplate",
}
"""The message of Dataproc's API that each generated file is."""
STORES = ("gs", "s3")
"""Extras of pyproject.toml that machines have: clients of the stores where datasets and runs lie."""
COMMANDS = (
    ("create_cluster.sh", "--dry-run"),
    ("submit_etl.sh", "--dry-run", "conf/etl/demo.yaml", "folds.seed=2"),
    ("submit_etl.sh", "--dry-run", "--serverless", "conf/etl/demo.yaml"),
    ("run_workflow.sh", "--dry-run", "conf/etl/demo.yaml", "conf/train/gpu.yaml"),
)


def checks(root: Path) -> list[Check]:
    """All checks of deploy/dataproc in a checkout."""
    api, yaml = "python:google.cloud.dataproc_v1", "python:yaml"
    listed: list[tuple[str, Callable[[Path], list[str]], tuple[str, ...]]] = [
        ("values.env holds what the files name", value_faults, ()),
        ("machines have the stores' clients", client_faults, ()),
        ("files are messages of the API", message_faults, (api, yaml)),
        ("gcloud takes the commands", gcloud_faults, ("bash", "gcloud", yaml)),
        ("properties are hailctl's", hailctl_faults, ("hailctl", "gcloud", yaml)),
    ]
    return [
        Check("dataproc", name, partial(or_fault, "deploy/dataproc", partial(run, root)), needs)
        for name, run, needs in listed
    ]


def example_values(root: Path, folder: Path) -> Path:
    """A copy of values.env in which nothing is unset, or none where there is an example."""
    path = values_file(root, "dataproc")
    values = read_values(path)
    absent = [*unset(path), *(name for name in EXAMPLES if values.get(name) == "none")]
    values |= {name: EXAMPLES.get(name, "example") for name in absent}
    copy = folder / "values.env"
    copy.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return copy


def value_faults(root: Path) -> list[str]:
    """A name that has no line in values.env, or a line that nothing reads."""
    path = values_file(root, "dataproc")
    named = used_names(root, "dataproc")
    here = read_values(path)
    faults = [
        f"{file}: found {name}, wanted a name in {path}" for name, file in named.items() if name not in here
    ]
    return faults + [
        f"{path}: {name}: found a value that nothing reads" for name in here if name not in named
    ]


def client_faults(root: Path) -> list[str]:
    """Clients of stores that the initialization action does not install."""
    path = root / "deploy" / "dataproc" / "init_environment.sh"
    words = path.read_text().split()
    extras = {after for word, after in pairwise(words) if word == "--extra"}
    return [f"{path}: found no --extra {one}, wanted it" for one in STORES if one not in extras]


def message_faults(root: Path) -> list[str]:
    """Whatever in the generated files Dataproc's API does not know, or would not do as it is meant."""
    with tempfile.TemporaryDirectory() as folder:
        values = example_values(root, Path(folder))
        contents = {name: _rendered(root, name, values) for name in MESSAGES}
    faults = [text for name, content in contents.items() for text in parse_faults(name, content)]
    for name in ("etl_workflow", "train_workflow"):
        faults += order_faults(name, contents[name])
    return faults + shuffle_faults(contents["cluster"], contents["autoscaling_policy"])


def _rendered(root: Path, name: str, values: Path) -> dict[str, Any]:
    render = importlib.import_module("deploy.dataproc.render")
    content: dict[str, Any] = render.rendered(name, values, root / "deploy" / "dataproc")
    return content


def parse_faults(name: str, content: dict[str, Any]) -> list[str]:
    """Why one generated file is not its message: a field that is unknown, or a value of another type."""
    api = importlib.import_module("google.cloud.dataproc_v1")
    json_format = importlib.import_module("google.protobuf.json_format")
    message = getattr(api, MESSAGES[name])
    try:
        json_format.ParseDict(content, message.pb(message()), ignore_unknown_fields=False)
    except json_format.ParseError as error:
        said = " ".join(str(error).split())
        return [f"deploy/dataproc/{name}.yaml: found what is no {MESSAGES[name]} of Dataproc's API: {said}"]
    return []


def order_faults(name: str, workflow: dict[str, Any]) -> list[str]:
    """Steps that wait for a step which does not come before them."""
    faults, before = [], set[str]()
    for job in workflow["jobs"]:
        faults += [
            f"deploy/dataproc/{name}.yaml: {job['stepId']}: found prerequisite {step}, wanted an earlier step"
            for step in job.get("prerequisiteStepIds", [])
            if step not in before
        ]
        before.add(job["stepId"])
    return faults


def shuffle_faults(cluster: dict[str, Any], policy: dict[str, Any]) -> list[str]:
    """Settings with which workers that go would take shuffles with them, or would not be let go."""
    where, workers = "deploy/dataproc/autoscaling_policy.yaml", policy["workerConfig"]
    shuffle = cluster["config"]["softwareConfig"]["properties"].get("dataproc:efm.spark.shuffle")
    graceful = policy["basicAlgorithm"]["yarnConfig"]["gracefulDecommissionTimeout"]
    faults = []
    if shuffle != "primary-worker":
        faults.append(f"the cluster: dataproc:efm.spark.shuffle: found {shuffle}, wanted primary-worker")
    if workers["minInstances"] != workers["maxInstances"]:
        faults.append(f"{where}: workerConfig: found a range, wanted one number: these workers keep shuffles")
    if graceful != "0s":
        faults.append(f"{where}: gracefulDecommissionTimeout: found {graceful}, wanted 0s")
    return faults


def gcloud_faults(root: Path) -> list[str]:
    """Commands that gcloud would refuse, told by its own parser; it needs no account and no network."""
    with tempfile.TemporaryDirectory() as folder:
        values = example_values(root, Path(folder))
        lines = [line for words in COMMANDS for line in printed(root, values, *words)]
        return refused(list(dict.fromkeys(lines)), Path(folder))


def printed(root: Path, values: Path, script: str, *arguments: str) -> list[str]:
    """The commands that a script would run. Raises RuntimeError with what it said where it fails."""
    done = subprocess.run(
        ["bash", str(root / "deploy" / "dataproc" / script), *arguments],
        env={**os.environ, "VALUES": str(values), "PYTHON": sys.executable},
        cwd=root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{script} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def refused(lines: list[str], folder: Path) -> list[str]:
    """Why gcloud would refuse some of the commands; it is started once for all of them."""
    commands = folder / "commands.json"
    commands.write_text(json.dumps([{"command_string": _own_part(line)} for line in lines]))
    gcloud = program("gcloud") or "gcloud"
    done = subprocess.run(
        [gcloud, "meta", "lint-gcloud-commands", f"--commands-file={commands}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise LeftOutError("this gcloud has no `meta lint-gcloud-commands`") from None
    return [
        f"deploy/dataproc: {one['command_string_no_args']}: gcloud says: {first_line(one['error_message'])}"
        for one in found
        if not one["success"]
    ]


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "nothing")


def _own_part(line: str) -> str:
    """A command without what is the job's own: gcloud's parser of commands does not know `--`."""
    words = shlex.split(line)
    return shlex.join(words[: words.index("--")] if "--" in words else words)


def hailctl_faults(root: Path) -> list[str]:
    """Where the cluster differs from one that `hailctl dataproc start` would create on the same machines."""
    with tempfile.TemporaryDirectory() as folder:
        values = example_values(root, Path(folder))
        software = _rendered(root, "cluster", values)["config"]["softwareConfig"]
        machines = read_values(values)
    hailctl = program("hailctl") or "hailctl"
    done = subprocess.run(
        [
            hailctl, "dataproc", "start", "exoshard", "--dry-run", f"--region={machines['REGION']}",
            f"--master-machine-type={machines['MASTER_MACHINE']}",
            f"--worker-machine-type={machines['WORKER_MACHINE']}",
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise LeftOutError(f"hailctl ended with status {done.returncode}: {done.stderr.strip()[-200:]}")
    return cluster_differences(done.stdout, software)


def cluster_differences(said: str, software: dict[str, Any]) -> list[str]:
    """Image and properties in what `hailctl dataproc start --dry-run` said that ours lack."""
    flags = dict(
        word.removeprefix("--").split("=", 1)
        for word in shlex.split(said[said.index("gcloud ") :].replace("\\\n", " "))
        if word.startswith("--") and "=" in word
    )
    where = "deploy/dataproc/render.py"
    ours = software["properties"]
    wanted = dict(one.split("=", 1) for one in flags["properties"].removeprefix("^|||^").split("|||"))
    faults = [
        f"{where}: {name}: found {ours.get(name, 'nothing')}, wanted {value} as hailctl has it"
        for name, value in wanted.items()
        if ours.get(name) != value
    ]
    image, hails = (
        re.split(r"[.-]", str(text))[:2] for text in (software["imageVersion"], flags["image-version"])
    )
    if image != hails:
        faults.append(
            f"deploy/dataproc/values.env: IMAGE_VERSION: found {software['imageVersion']}, wanted "
            f"{'.'.join(hails)} as hailctl has it"
        )
    return faults
