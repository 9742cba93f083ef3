"""Rows of another table by variant, read part by part: no task holds more than those of its own variants."""

from __future__ import annotations

import io
from typing import Any

import pyarrow.parquet as pq

from contract.storage import join, read_whole
from etl.cohort.parts import part_name

PART_BITS = 32
"""A variant's number begins with that of its part, see `etl.cohort.schema`."""


class PartRows:
    """Rows that `etl.annotate.variant_join` wrote: a file for each part that has any.

    Parameters
    ----------
    folder
        Where they lie; None: there are none.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._part = -1
        self._rows: dict[int, list[dict[str, Any]]] = {}

    def __call__(self, variant: int) -> list[dict[str, Any]]:
        """Rows of a variant."""
        part = variant >> PART_BITS
        if part != self._part:
            self._rows = self._read(part)
            self._part = part
        return self._rows.get(variant, [])

    def _read(self, part: int) -> dict[int, list[dict[str, Any]]]:
        rows: dict[int, list[dict[str, Any]]] = {}
        if self._folder is None:
            return rows
        try:
            content = read_whole(join(self._folder, part_name(part)))
        except FileNotFoundError:
            return rows
        for row in pq.read_table(io.BytesIO(content)).to_pylist():
            rows.setdefault(row["variant"], []).append(row)
        return rows
