"""What is in an image, as a CycloneDX list: Python packages of this interpreter and packages of the system.

    python -m deploy.sbom /opt/exoshard/sbom.json --name exoshard-etl --version 0.1.0

Needs nothing but the standard library. The same packages give the same bytes,
as neither time nor random number is in them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

Component = dict[str, Any]
_SYSTEMS = {
    "deb": ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"],
    "rpm": ["rpm", "-qa", "--qf", "ii \t%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n"],
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.sbom", description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="file to write")
    parser.add_argument("--name", required=True, help="of the image")
    parser.add_argument("--version", required=True, help="of the image")
    given = parser.parse_args(arguments)
    write(given.path, bill(given.name, given.version, [*python_components(), *system_components()]))


def bill(name: str, version: str, components: list[Component]) -> dict[str, Any]:
    """The document; components stand in the order of their addresses, each once."""
    unique = {component["bom-ref"]: component for component in components}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "version": version}},
        "components": [unique[reference] for reference in sorted(unique)],
    }


def python_components(path: list[str] | None = None) -> Iterator[Component]:
    """The distributions that are installed, of this interpreter unless a search path is given."""
    for found in distributions() if path is None else distributions(path=path):
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"] or "").lower()
        if name:
            yield _component(f"pkg:pypi/{name}@{quote(found.version)}", name, found.version) | _licences(
                found
            )


def _licences(found: Distribution) -> Component:
    """A licence by SPDX expression where the package states one, else in the words that it uses itself."""
    metadata = cast(Message, found.metadata)
    expression = metadata.get("License-Expression")
    if expression:
        return {"licenses": [{"expression": expression}]}
    classifiers = metadata.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    first_line = str(metadata.get("License") or "").strip().partition("\n")[0]
    names = names or [first_line] * bool(first_line)
    return {"licenses": [{"license": {"name": name}} for name in dict.fromkeys(names)]} if names else {}


def system_components() -> Iterator[Component]:
    """The packages of Debian's or Red Hat's kind that the system has; none where it has neither."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    vendor = release.get("ID", "linux")
    for kind, command in _SYSTEMS.items():
        if shutil.which(command[0]):
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            yield from parse_packages(told, kind, vendor)
            return


def parse_packages(told: str, kind: str, vendor: str) -> Iterator[Component]:
    """Components of lines `state, name, version, architecture`; those not installed are left out."""
    for line in told.splitlines():
        state, name, version, architecture = line.split("\t")
        if state.startswith("ii") and architecture != "(none)":
            reference = f"pkg:{kind}/{vendor}/{quote(name)}@{quote(version)}?arch={architecture}"
            yield _component(reference, name, version)


def _component(reference: str, name: str, version: str) -> Component:
    return {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference}


def write(path: Path, document: dict[str, Any]) -> None:
    """Write the document under another name first, so that it is never there in part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(partial, path)


if __name__ == "__main__":
    main()
