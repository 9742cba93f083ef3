"""Part files of the cohort."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def part_name(number: int) -> str:
    """File of the rows of one range."""
    return f"part-{number:05d}.parquet"


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A name to write under; what was written takes the place of `path` when the block ends without error.

    A task that is killed or repeated leaves no half of a file and no rows twice.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield partial
        if partial.exists():
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
