"""The first cohort's variants, which new people's are joined with: a sorted file for each part and contig."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.reference import VariantFile
from contract.storage import join, write_whole
from etl.aggregate.masks import FEATURES_SCHEMA
from etl.cohort.calls import column
from etl.cohort.parts import file_name
from etl.cohort.passes import Parts
from etl.cohort.schema import KEY
from etl.frames import read_arrow
from etl.qc.person_sums import MIN_COMMON_FREQUENCY

ROWS_PER_GROUP = 4096
"""Few enough that a person's rare variants touch little else, enough to compress well."""

REFERENCE_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int32()),
        pa.field("ref", pa.string()),
        pa.field("alt", pa.string()),
        pa.field("passes", pa.bool_()),
        pa.field("allele_count", pa.int64()),
        pa.field("allele_number", pa.int64()),
        pa.field("site_alleles", pa.int64()),
        pa.field("site_called", pa.int64()),
        FEATURES_SCHEMA.field("features"),
    ]
)
"""A variant: whether it passed quality control; alternate and all alleles outside the sealed fold, null in
small cells; where it is common, alternate alleles (haploid calls as two) and people called among everybody of
the file, which sex and contamination are told by; and what its calls add to features, null for nothing."""

_VARIANT_COLUMNS = ("variant", *KEY, "passes", "reasons", "n_carriers", "allele_count", "allele_number")
_COUNT_COLUMNS = ("variant", "n_called", "n_het", "n_hom_alt", "n_haploid_alt", "site_reasons")


@dataclass(frozen=True)
class VariantTables:
    """Folders whose part files hold the same variants under the same names."""

    variants: str
    cohort: str
    features: str


@dataclass(frozen=True)
class SmallCells:
    """What fewer people share is hidden."""

    min_people: int
    rule: Literal["coarsen", "suppress"]


def write_variants(tables: VariantTables, folder: str, cells: SmallCells) -> list[VariantFile]:
    """Write variants/ in a folder, in tasks that read and write the parts themselves; nothing is shuffled.

    Left out are variants that only people who were dropped carry, as if nobody did, and with `suppress`
    those that fewer people than `min_people` carry.
    """
    parts = Parts(tables.variants, _VARIANT_COLUMNS)
    write = partial(_write_part, tables=tables, folder=folder, cells=cells)
    written: list[list[VariantFile]] = parts.tasks().map(write).collect()
    return [file for files in written for file in files]


def _write_part(part: str, tables: VariantTables, folder: str, cells: SmallCells) -> list[VariantFile]:
    name = file_name(part)
    rows = read_arrow(part, _VARIANT_COLUMNS)
    counts = _beside(rows, join(tables.cohort, name), _COUNT_COLUMNS)
    rows = rows.append_column(
        "features", _beside(rows, join(tables.features, name), ("features",))["features"]
    )
    few = (rows["n_carriers"].to_numpy() < cells.min_people) | _is_small(rows, cells.min_people)
    alleles, called = _site_counts(counts, cells.min_people)
    listed = pa.table(
        {
            "contig": rows["contig"],
            **{field: rows[field] for field in ("position", "ref", "alt", "passes", "features")},
            "allele_count": _hidden(rows["allele_count"], few),
            "allele_number": _hidden(rows["allele_number"], few),
            "site_alleles": alleles,
            "site_called": called,
        }
    )
    listed = listed.filter(pa.array(_is_listed(rows, few, cells)))
    files = []
    for contig in pc.unique(listed["contig"]).to_pylist():
        chosen = listed.filter(pc.equal(listed["contig"], contig)).select(REFERENCE_SCHEMA.names)
        files.append(_write(folder, f"variants/{contig}-{name}", contig, chosen.cast(REFERENCE_SCHEMA)))
    return files


def _is_listed(rows: pa.Table, few: NDArray[np.bool_], cells: SmallCells) -> NDArray[np.bool_]:
    # A variant that nobody who stays carries failed no other limit that people outside could fail alone.
    unseen = [list(reasons) == ["monomorphic"] for reasons in rows["reasons"].to_pylist()]
    return ~np.array(unseen, dtype=bool) & ~(few & (cells.rule == "suppress"))


def _is_small(rows: pa.Table, min_people: int) -> NDArray[np.bool_]:
    count_V, number_V = (rows[name].to_numpy().astype(np.int64) for name in ("allele_count", "allele_number"))
    minor_V = np.minimum(count_V, number_V - count_V)
    small_V: NDArray[np.bool_] = (minor_V > 0) & (minor_V < min_people)
    return small_V


def _hidden(values: pa.ChunkedArray, few: NDArray[np.bool_]) -> pa.Array:
    return pa.array(values.to_numpy(), pa.int64(), mask=few)


def _site_counts(counts: dict[str, pa.Array], min_people: int) -> tuple[pa.Array, pa.Array]:
    """Alleles and people called of common good sites, null elsewhere and in small cells."""
    called_V, het_V, hom_V, haploid_V = (
        counts[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in _COUNT_COLUMNS[1:5]
    )
    alleles_V = het_V + 2 * (hom_V + haploid_V)
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency_V = alleles_V / (2 * called_V)
    good_V = pc.equal(pc.list_value_length(counts["site_reasons"]), 0).to_numpy(zero_copy_only=False)
    # Two alleles each: as many people at least carry the rarer one.
    common_V = (frequency_V >= MIN_COMMON_FREQUENCY) & (frequency_V <= 1 - MIN_COMMON_FREQUENCY) & good_V
    common_V &= np.minimum(alleles_V, 2 * called_V - alleles_V) >= 2 * min_people
    hidden = ~common_V
    return tuple(
        pa.array(np.where(hidden, 0, values_V).astype(np.int64), mask=hidden)
        for values_V in (alleles_V, called_V)
    )


def _beside(rows: pa.Table, path: str, columns: tuple[str, ...]) -> dict[str, pa.Array]:
    """Columns of another table along the rows; null for variants that it lacks."""
    other = read_arrow(path, ["variant", *(name for name in columns if name != "variant")])
    place = pc.index_in(rows["variant"].combine_chunks(), value_set=other["variant"].combine_chunks())
    return {name: other[name].combine_chunks().take(place) for name in columns if name != "variant"}


def _write(folder: str, path: str, contig: str, rows: pa.Table) -> VariantFile:
    rows = rows.sort_by([(name, "ascending") for name in ("position", "ref", "alt")])
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, row_group_size=ROWS_PER_GROUP, compression="zstd")
    content = buffer.getvalue()
    write_whole(join(folder, path), content)
    position = column(rows.select(["position"]).combine_chunks().to_batches()[0], "position")
    return VariantFile(
        path=path,
        rows=rows.num_rows,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        contig=contig,
        first=int(position[0]),
        last=int(position[-1]),
    )
