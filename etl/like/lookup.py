"""Variants of a new cohort looked up among the first one's: only the rows that they need are read.

Imports neither Hail nor Spark: tasks run it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.reference import OpenReference, VariantFile
from contract.storage import absolute, open_storage
from etl.cohort.schema import KEY
from etl.export.reference_variants import REFERENCE_SCHEMA

FILES_OPEN = 64
"""Files whose footers a task remembers: those of the contigs around it."""

_ALLELES = ("position", "ref", "alt")


@dataclass(frozen=True)
class VariantTable:
    """The first cohort's variants, where their files are."""

    folder: str
    files: tuple[VariantFile, ...]

    @classmethod
    def of(cls, reference: OpenReference) -> VariantTable:
        """The variants of a reference."""
        return cls(absolute(reference.folder), tuple(reference.content.variants))

    def find(self, batch: pa.RecordBatch, columns: Sequence[str]) -> tuple[pa.Table, NDArray[np.bool_]]:
        """Columns of the first cohort along variants, null for those that it lacks, and which ones it has.

        Cost is that of the row groups in which variants lie, by the smallest and largest position of each.

        Parameters
        ----------
        batch
            With the columns of KEY.
        columns
            Of `REFERENCE_SCHEMA`.
        """
        keys = batch.select(list(KEY))
        schema = pa.schema([REFERENCE_SCHEMA.field(name) for name in columns])
        found = [self._of_contig(contig, keys, schema) for contig in pc.unique(keys["contig"]).to_pylist()]
        names = pa.concat_arrays([name for name, _ in found]) if found else pa.array([], pa.string())
        rows = pa.concat_tables([rows for _, rows in found]) if found else schema.empty_table()
        place = pc.index_in(_named(keys["contig"], keys), value_set=names)
        return rows.take(place), place.is_valid().to_numpy(zero_copy_only=False)

    def _of_contig(self, contig: str, keys: pa.RecordBatch, schema: pa.Schema) -> tuple[pa.Array, pa.Table]:
        """Rows of one contig at the positions of some variants, and their names."""
        chosen = keys.filter(pc.equal(keys["contig"], contig))
        wanted = np.unique(chosen["position"].to_numpy())
        tables = [pa.schema([REFERENCE_SCHEMA.field(name) for name in _named_columns(schema)]).empty_table()]
        for file in self.files:
            if file.contig == contig and _any_between(wanted, file.first, file.last):
                tables.append(
                    _rows_at(posixpath.join(self.folder, file.path), wanted, tables[0].schema.names)
                )
        rows = pa.concat_tables(tables).combine_chunks()
        alleles = rows.select(list(_ALLELES)).to_batches()
        names = [_named(pa.array([contig] * len(part), pa.string()), part) for part in alleles]
        return pa.concat_arrays(names) if names else pa.array([], pa.string()), rows.select(schema.names)


def _named_columns(schema: pa.Schema) -> list[str]:
    return [*_ALLELES, *(name for name in schema.names if name not in _ALLELES)]


def _named(contig: pa.Array, rows: pa.RecordBatch) -> pa.Array:
    position = pc.cast(rows["position"], pa.string())
    return pc.binary_join_element_wise(contig, position, rows["ref"], rows["alt"], ":")


def _any_between(wanted: NDArray[np.int32], first: int, last: int) -> bool:
    return bool(np.searchsorted(wanted, first) < np.searchsorted(wanted, last, side="right"))


def _rows_at(url: str, wanted: NDArray[np.int32], columns: Sequence[str]) -> pa.Table:
    """Rows of a file at some positions; row groups without any of them are not read."""
    file, ends = _opened(url)
    groups = [group for group, (first, last) in enumerate(ends) if _any_between(wanted, first, last)]
    if not groups:
        return file.schema_arrow.empty_table().select(list(columns))
    rows = file.read_row_groups(groups, columns=list(columns), use_threads=False)
    return rows.filter(pa.array(np.isin(rows["position"].to_numpy(), wanted))).select(list(columns))


@lru_cache(maxsize=FILES_OPEN)
def _opened(url: str) -> tuple[pq.ParquetFile, tuple[tuple[int, int], ...]]:
    """A file with its footer, and the smallest and largest position of each row group."""
    filesystem, path = open_storage(url)
    file = pq.ParquetFile(filesystem.open(path, "rb"))
    place = file.schema_arrow.names.index("position")
    groups = [file.metadata.row_group(group).column(place) for group in range(file.num_row_groups)]
    return file, tuple((group.statistics.min, group.statistics.max) for group in groups)
