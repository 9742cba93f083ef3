"""Versions and digests that are stored with every output."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib import metadata
from io import BufferedReader
from pathlib import Path


def software_versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed version of each distribution; 'absent' where it is not installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


SOURCES = (".py", ".j2", ".css", ".js")
"""Suffixes of files that are code."""


def source_digest(folder: Path) -> str:
    """Digest of all sources under a package folder, templates included: the code's own version."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*.*") if path.suffix in SOURCES):
        total.update(path.relative_to(folder).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return stream_digest(stream)


def stream_digest(stream: BufferedReader) -> str:
    """The same of an open file."""
    return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
