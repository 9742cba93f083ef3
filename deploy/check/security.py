"""What no pod of ours may do, and where no secret may stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.check.manifests import Manifest, pods, title

SHORTEST_GRACE = 30
"""Seconds that ranks need at least to save when they are told to end (docs/training.md)."""

_SECRET_NAME = re.compile(
    r"(password|passwd|secret|token|credential|(secret|api|access|account|private).?key)s?$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bA[KS]IA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|"
    r"\beyJ[\w-]{10,}\.[\w-]{10,}\.|\bAIza[\w-]{35}|[?&]sig=[\w%]{20,}"
)


def faults(where: str, manifest: Manifest) -> list[str]:
    """One sentence for each rule that an object breaks."""
    prefix = f"{where}: {title(manifest)}"
    found = [f"{prefix}: {place}: {said}" for place, said in _secrets(manifest)]
    for place, spec in pods(manifest):
        found += [f"{prefix}: {place}.{said}" for said in [*_pod(spec), *_account(manifest, place, spec)]]
        for name, container, said in _containers(spec):
            found += [f"{prefix}: {place}.{name}: {one}" for one in [*said, *_resources(manifest, container)]]
    if manifest.get("kind") == "SparkApplication":
        found += [f"{prefix}: {said}" for said in _spark_limits(manifest)]
    return found


def _pod(spec: Manifest) -> Iterator[str]:
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True:
        yield f"securityContext.runAsNonRoot: found {context.get('runAsNonRoot')}, wanted true"
    if not context.get("runAsUser"):
        yield f"securityContext.runAsUser: found {context.get('runAsUser')}, wanted a user that is not root"
    profile = context.get("seccompProfile", {}).get("type")
    if profile != "RuntimeDefault":
        yield f"securityContext.seccompProfile.type: found {profile}, wanted RuntimeDefault"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{name}: found {spec[name]}, wanted none"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"volumes.{volume.get('name')}: found hostPath, wanted a volume of the cluster"
        if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
            yield f"volumes.{volume.get('name')}: found no sizeLimit, wanted one"
    grace = spec.get("terminationGracePeriodSeconds", 0)
    if grace < SHORTEST_GRACE:
        yield f"terminationGracePeriodSeconds: found {grace}, wanted at least {SHORTEST_GRACE}"


def _account(manifest: Manifest, place: str, spec: Manifest) -> Iterator[str]:
    asks_the_server = manifest.get("kind") == "SparkApplication" and place.startswith("spec.driver.")
    if not asks_the_server and spec.get("automountServiceAccountToken") is not False:
        found = spec.get("automountServiceAccountToken")
        yield f"automountServiceAccountToken: found {found}, wanted false"


def _containers(spec: Manifest) -> Iterator[tuple[str, Manifest, list[str]]]:
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind, []):
            yield f"{kind}.{container.get('name')}", container, list(_container(spec, container))
    if not spec.get("containers"):
        yield "containers", {"resources": None}, ["found none, wanted one"]


def _container(spec: Manifest, container: Manifest) -> Iterator[str]:
    context = container.get("securityContext", {})
    for name, wanted in (("allowPrivilegeEscalation", False), ("readOnlyRootFilesystem", True)):
        if context.get(name) is not wanted:
            yield f"securityContext.{name}: found {context.get(name)}, wanted {str(wanted).lower()}"
    if context.get("privileged"):
        yield "securityContext.privileged: found true, wanted none"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield f"securityContext.capabilities: found {capabilities or None}, wanted drop: [ALL] alone"
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "securityContext: found the user root, wanted another"
    empty = {volume.get("name") for volume in spec.get("volumes", []) if "emptyDir" in volume}
    places = {
        mount.get("mountPath") for mount in container.get("volumeMounts", []) if mount.get("name") in empty
    }
    if "/tmp" not in places:
        yield "volumeMounts: found no emptyDir at /tmp, wanted one: the root file system is read-only"


def _resources(manifest: Manifest, container: Manifest) -> Iterator[str]:
    if manifest.get("kind") == "SparkApplication":  # stand beside the template
        return
    resources = container.get("resources") or {}
    for kind in ("requests", "limits"):
        for name in ("cpu", "memory"):
            if name not in resources.get(kind, {}):
                yield f"resources.{kind}.{name}: found none, wanted one"


def _spark_limits(manifest: Manifest) -> Iterator[str]:
    for role in ("driver", "executor"):
        for name in ("cores", "coreLimit", "memory", "memoryOverhead"):
            if name not in manifest.get("spec", {}).get(role, {}):
                yield f"spec.{role}.{name}: found none, wanted one"


def _secrets(manifest: Manifest) -> Iterator[tuple[str, str]]:
    if manifest.get("kind") == "Secret":
        yield "kind", "found Secret, wanted none in a file: the cluster's own identity does"
    for place, name, value in _named_values("", manifest):
        if _SECRET_NAME.search(name) and value:
            yield place, "found a value written out, wanted none: its name is that of a secret"
        elif _SECRET_VALUE.search(value):
            yield place, "found what looks like a key, wanted none"


def _named_values(place: str, value: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Place, name and text of every string; `name` and `value` of an environment's entry belong together."""
    if isinstance(value, dict):
        entry = isinstance(value.get("name"), str) and isinstance(value.get("value"), str)
        for key, item in value.items():
            named = value["name"] if entry and key == "value" else str(key)
            yield from _named_values(f"{place}.{key}".lstrip("."), item, named)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _named_values(f"{place}.{number}", item)
    elif isinstance(value, str):
        yield place, name, value
