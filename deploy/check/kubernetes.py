"""Checks of `deploy/kubernetes`: fields and types, safety of pods, overlays, and a real API server."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from deploy.check import api_server, manifests, security
from deploy.check.manifests import Manifest
from deploy.check.owner_values import read_values
from deploy.check.runner import Check, program

VERSION = "1.32"
OWN_SCHEMAS = {"MPIJob": "mpijob.json", "SparkApplication": "sparkapplication.json"}
SCHEMAS = Path(__file__).with_name("schemas")
STYLE = "{extends: relaxed, rules: {line-length: {max: 120}}}"
YAML, VALIDATE, SCHEMA = "python:yaml", "python:kubernetes_validate", "python:jsonschema"

Judge = Callable[[str, Manifest], list[str]]


def checks(root: Path) -> list[Check]:
    """All checks of the manifests."""
    judges: list[tuple[str, Judge, tuple[str, ...]]] = [
        (f"fields of built-in kinds ({VERSION}, strict)", builtin_faults, (VALIDATE,)),
        ("fields of MPIJob and SparkApplication", custom_faults, (SCHEMA,)),
        ("non-root, read-only, limits, no secret", security.faults, ()),
    ]
    found = [
        Check("kubernetes", "values.env and its example", partial(value_faults, root)),
        Check("kubernetes", "files: yamllint", partial(style_faults, root), ("yamllint",)),
        Check("kubernetes", "overlays: kubectl kustomize", partial(overlay_faults, root), (YAML, "kubectl")),
    ]
    for name, judge, needs in judges:
        in_files = partial(judge_all, partial(manifests.base_files, root), judge)
        in_overlays = partial(judge_all, partial(manifests.rendered, root), judge)
        found.append(Check("kubernetes", f"files: {name}", in_files, (YAML, *needs)))
        found.append(Check("kubernetes", f"overlays: {name}", in_overlays, (YAML, "kubectl", *needs)))
    server = Check(
        "kubernetes", "a real API server", partial(api_server.faults, root), (YAML, *api_server.NEEDS)
    )
    return [*found, server]


def judge_all(sources: Callable[[], dict[str, list[Manifest]]], judge: Judge) -> list[str]:
    """What a judge says of every object, each sentence once."""
    said = [fault for where, objects in sources().items() for one in objects for fault in judge(where, one)]
    return list(dict.fromkeys(said))


def value_faults(root: Path) -> list[str]:
    """Whether the example has a value for each name that the owner's file has, and no other."""
    folder = manifests.folder(root)
    wanted = read_values(folder / "values.env")
    path = folder / "values.example.env"
    example = read_values(path)
    found = [f"{path}: {name}: found nothing, wanted an example" for name in wanted if not example.get(name)]
    return found + [
        f"{path}: {name}: found here alone, wanted it in values.env too" for name in example.keys() - wanted
    ]


def style_faults(root: Path) -> list[str]:
    """What yamllint says: a key that stands twice, among others, which no schema sees."""
    command = [program("yamllint") or "yamllint", "--format=parsable", f"--config-data={STYLE}", "."]
    done = subprocess.run(
        command, cwd=manifests.folder(root), capture_output=True, text=True, timeout=120, check=False
    )
    return [
        f"deploy/kubernetes/{line.removeprefix('./')}" for line in (done.stdout + done.stderr).splitlines()
    ]


def overlay_faults(root: Path) -> list[str]:
    """What keeps an overlay from being rendered, and places where a value of the owner's did not arrive."""
    names = read_values(manifests.folder(root) / "values.env")
    found = []
    for overlay in manifests.overlays(root):
        text, said = manifests.render(root, overlay)
        if said:
            found.append(f"deploy/kubernetes/{overlay}: found {said!r}, wanted a rendered overlay")
        for line in left_over(text, names):
            found.append(f"deploy/kubernetes/{overlay}: found {line!r}, wanted a value of values.env there")
    return found


def left_over(text: str, names: dict[str, str]) -> list[str]:
    """Lines that still hold a placeholder: the name of a value, or an image without a registry."""
    ends = "|".join([*map(re.escape, names), r"image: \w+"])
    return [
        line.strip()
        for line in text.splitlines()
        if re.search(rf"(^|[:= ])({ends})$", line) and not _name(line)
    ]


def _name(line: str) -> bool:
    return line.strip().removeprefix("- ").startswith("name: ")


def builtin_faults(where: str, manifest: Manifest) -> list[str]:
    """What the schemas of Kubernetes say of an object, or of the pods in one of a custom kind."""
    if manifest.get("kind") not in OWN_SCHEMAS:
        return list(_validate(f"{where}: {manifests.title(manifest)}", manifest))
    return [
        said
        for place, spec in manifests.pods(manifest)
        for said in _validate(
            f"{where}: {manifests.title(manifest)}: {place}", manifests.as_pod(manifest, place, spec)
        )
    ]


def _validate(prefix: str, manifest: Manifest) -> Iterator[str]:
    validator = importlib.import_module("kubernetes_validate")
    try:
        validator.validate(manifest, VERSION, strict=True)
    except validator.ValidationError as error:
        place = ".".join(map(str, error.path)) or "the object"
        yield f"{prefix}: {place}: {error.message}"
    except validator.SchemaNotFoundError:
        kind = f"{manifest.get('apiVersion')} {manifest.get('kind')}"
        yield f"{prefix}: kind: found {kind}, wanted one of Kubernetes {VERSION} or of our schemas"


def custom_faults(where: str, manifest: Manifest) -> list[str]:
    """What our own schema says of an object of a custom kind."""
    name = OWN_SCHEMAS.get(str(manifest.get("kind")))
    if name is None:
        return []
    schema = json.loads((SCHEMAS / name).read_text())
    validator = importlib.import_module("jsonschema").Draft202012Validator(schema)
    return [
        f"{where}: {manifests.title(manifest)}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator.iter_errors(manifest)
    ]
