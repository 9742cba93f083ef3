"""Part files of the cohort."""

from __future__ import annotations

import posixpath


def part_name(number: int) -> str:
    """File of the rows of one range."""
    return f"part-{number:05d}.parquet"


def file_name(part: str) -> str:
    """Name of a part file in its folder: parts of the same variants have the same in every table."""
    return posixpath.basename(part)
