"""The Kubernetes manifests as objects: files of the base, rendered overlays, and the pods in both."""

from __future__ import annotations

import functools
import importlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.check.runner import program

Manifest = dict[str, Any]


def folder(root: Path) -> Path:
    return root / "deploy" / "kubernetes"


def overlays(root: Path) -> list[str]:
    """The base and every overlay, as folders below `deploy/kubernetes`."""
    return ["base", *sorted(f"overlays/{path.name}" for path in (folder(root) / "overlays").iterdir())]


def load(text: str) -> list[Manifest]:
    """The objects of a YAML stream."""
    yaml = importlib.import_module("yaml")
    return [document for document in yaml.safe_load_all(text) if document]


def base_files(root: Path) -> dict[str, list[Manifest]]:
    """Objects by file, of those files of the base and the components that hold objects of Kubernetes."""
    found: dict[str, list[Manifest]] = {}
    paths = [*folder(root).glob("base/*.yaml"), *folder(root).glob("components/*/*.yaml")]
    for path in sorted(paths):
        objects = [one for one in load(path.read_text()) if isinstance(one, dict) and _is_object(one)]
        if objects:
            found[str(path.relative_to(root))] = objects
    return found


def _is_object(document: Manifest) -> bool:
    return "kind" in document and not str(document.get("apiVersion", "")).startswith("kustomize.")


@functools.lru_cache(maxsize=32)
def render(root: Path, overlay: str) -> tuple[str, str]:
    """What `kubectl kustomize` makes of an overlay with the example values, and what it says if it fails."""
    kubectl = program("kubectl")
    if kubectl is None:
        raise FileNotFoundError("kubectl")
    with tempfile.TemporaryDirectory(prefix="exoshard-kubernetes-") as copy:
        shutil.copytree(folder(root), copy, dirs_exist_ok=True)
        shutil.copyfile(Path(copy) / "values.example.env", Path(copy) / "values.env")
        done = subprocess.run(
            [kubectl, "kustomize", "--load-restrictor", "LoadRestrictionsNone", f"{copy}/{overlay}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stderr.strip().replace(f"{copy}/", "")
    return done.stdout, "" if done.returncode == 0 else said or f"status {done.returncode}"


def rendered(root: Path) -> dict[str, list[Manifest]]:
    """Objects by overlay; an overlay that can't be rendered has none, which is told by its own check."""
    return {f"deploy/kubernetes/{overlay}": load(render(root, overlay)[0]) for overlay in overlays(root)}


def title(manifest: Manifest) -> str:
    """Kind and name of an object, as kubectl writes them."""
    return f"{manifest.get('kind')}/{manifest.get('metadata', {}).get('name')}"


def pods(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Place and specification of every pod that an object asks for."""
    spec = manifest.get("spec", {})
    kind = manifest.get("kind")
    if kind == "Pod":
        yield "spec", spec
    elif kind == "MPIJob":
        for role, replica in spec.get("mpiReplicaSpecs", {}).items():
            yield f"spec.mpiReplicaSpecs.{role}.template.spec", replica.get("template", {}).get("spec", {})
    elif kind == "SparkApplication":
        for role in ("driver", "executor"):
            yield f"spec.{role}.template.spec", spec.get(role, {}).get("template", {}).get("spec", {})
    elif "template" in spec:
        yield "spec.template.spec", spec["template"].get("spec", {})


def as_pod(manifest: Manifest, place: str, spec: Manifest) -> Manifest:
    """A Pod that stands for one template, so that what knows Pods can judge it."""
    words = [part for part in place.split(".") if part not in {"spec", "template", "mpiReplicaSpecs"}]
    name = "-".join([str(manifest.get("metadata", {}).get("name")), *words]).lower()
    namespace = manifest.get("metadata", {}).get("namespace")
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
