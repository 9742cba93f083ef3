"""Putting rows of the cohort together, and its part files."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cohort.schema import COHORT_SCHEMA, LIST_COLUMNS

_LIST_NAMES = [field.name for field in LIST_COLUMNS]


class RowBuilder:
    """Collects variants, each with its lists, into a table."""

    def __init__(self) -> None:
        self._plain: dict[str, list[object]] = {
            name: [] for name in COHORT_SCHEMA.names if name not in _LIST_NAMES
        }
        self._lists: dict[str, list[NDArray[np.integer]]] = {name: [] for name in _LIST_NAMES}
        self.n_listed = 0
        """Listed calls so far: what the table's size goes with."""

    def __len__(self) -> int:
        return len(self._plain["variant"])

    def add(self, plain: Mapping[str, object], lists: Mapping[str, NDArray[np.integer]]) -> None:
        """Add a row: plain values and the parallel lists, by column name."""
        for name, values in self._plain.items():
            values.append(plain[name])
        for name, arrays in self._lists.items():
            arrays.append(lists[name])
        self.n_listed += len(lists["person"])

    def table(self) -> pa.Table:
        """The rows so far, as a table of `COHORT_SCHEMA`."""
        columns = [
            list_array(self._lists[field.name], field.type)
            if field.name in self._lists
            else pa.array(self._plain[field.name], field.type)
            for field in COHORT_SCHEMA
        ]
        return pa.Table.from_arrays(columns, schema=COHORT_SCHEMA)


def list_array(lists: Sequence[NDArray[np.integer]], kind: pa.ListType) -> pa.ListArray:
    """Arrow lists of arrays of numbers."""
    offsets = np.zeros(len(lists) + 1, dtype=np.int32)
    np.cumsum([len(values) for values in lists], out=offsets[1:])
    values = np.concatenate(lists) if lists else np.empty(0, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, kind.value_type))


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
