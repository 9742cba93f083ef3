"""Small cohorts written down as text, as rows of the sparse cohort and as Hail's matrix of the same calls.

A variant is `variant("chr1", 1000, "0/0 0/1 1/1 ./. 1 fail")`: one call per person. `fail` is a call that
failed the genotype rules. Reads, depth and quality may follow as `0/1:12,13:25:99`; else they are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etl.cohort.schema import (
    COHORT_SCHEMA,
    FAILED,
    HAPLOID_ALT,
    HET,
    HOM_ALT,
    LIST_COLUMNS,
    MISSING,
    NOT_CALLED,
    RULES,
)
from etl.genome import GenomeName, genome

CODES = {
    "0/1": HET,
    "1/0": HET,
    "1/1": HOM_ALT,
    "1": HAPLOID_ALT,
    "./.": NOT_CALLED,
    ".": NOT_CALLED,
    "fail": FAILED,
}
REFERENCE = ("0/0", "0")


def variant(
    contig: str, position: int, calls: str, ref: str = "A", alt: str = "C", **columns: Any
) -> dict[str, Any]:
    """One variant; `columns` replace values of the cohort's columns, such as site_reasons or variant."""
    return {"contig": contig, "position": position, "ref": ref, "alt": alt, "calls": calls.split(), **columns}


def cohort_table(*variants: dict[str, Any], reference: GenomeName = "GRCh38") -> pa.Table:
    """Rows of the cohort, numbered in the order given."""
    rows = [_row(place, content, reference) for place, content in enumerate(variants)]
    return pa.Table.from_pylist(rows, COHORT_SCHEMA)


def write_cohort(table: pa.Table, folder: Path, parts: int = 1) -> str:
    """Write rows as a folder of Parquet files, neighbours together; returns its path."""
    folder.mkdir(parents=True)
    for place, rows in enumerate(np.array_split(np.arange(table.num_rows), parts)):
        pq.write_table(table.take(pa.array(rows)), folder / f"part-{place:05d}.parquet")
    return str(folder)


def hail_matrix(*variants: dict[str, Any], people: Sequence[str], reference: GenomeName = "GRCh38") -> Any:
    """The same calls as a Hail MatrixTable: GT, AD, DP, GQ; what failed has no GT."""
    import hail as hl

    entry = hl.tstruct(GT=hl.tcall, AD=hl.tarray(hl.tint32), DP=hl.tint32, GQ=hl.tint32)
    row = hl.tstruct(locus=hl.tlocus(reference), alleles=hl.tarray(hl.tstr), entries=hl.tarray(entry))
    rows = [
        hl.Struct(
            locus=hl.Locus(content["contig"], content["position"], reference),
            alleles=[content["ref"], content["alt"]],
            entries=[_entry(call) for call in content["calls"]],
        )
        for content in variants
    ]
    table = hl.Table.parallelize(rows, row, key=["locus", "alleles"])
    table = table.annotate_globals(people=[hl.struct(s=name) for name in people])
    return table._unlocalize_entries("entries", "people", ["s"])


def _row(place: int, content: dict[str, Any], reference: GenomeName) -> dict[str, Any]:
    calls = [_parsed(call) for call in content["calls"]]
    listed = [(person, *call) for person, call in enumerate(calls) if call is not None]
    codes = [call[1] for call in listed]
    lists = zip(*listed, strict=True) if listed else [()] * len(LIST_COLUMNS)
    derived = {
        "variant": place,
        "region": genome(reference).region(content["contig"], content["position"]),
        "old_position": content["position"],
        "old_alleles": [content["ref"], content["alt"]],
        "a_index": 1,
        "filters": [],
        "site_reasons": [],
        "n_called": len(calls) - codes.count(NOT_CALLED) - codes.count(FAILED),
        "n_het": codes.count(HET),
        "n_hom_alt": codes.count(HOM_ALT),
        "n_haploid_alt": codes.count(HAPLOID_ALT),
        "n_not_called": codes.count(NOT_CALLED),
        "failed": [codes.count(FAILED)] + [0] * (len(RULES) - 1),
        **{field.name: list(values) for field, values in zip(LIST_COLUMNS, lists, strict=True)},
    }
    return derived | {name: value for name, value in content.items() if name != "calls"}


def _parsed(text: str) -> tuple[int, int, int, int, int] | None:
    """Code, reads, depth and quality of a call; None where it is a reference call."""
    call, *fields = text.split(":")
    if call in REFERENCE:
        return None
    reads, depth, quality = (*fields, ".", ".", ".")[:3]
    ad = [MISSING, MISSING] if reads == "." else [int(count) for count in reads.split(",")]
    return CODES[call], *ad, *(MISSING if value == "." else int(value) for value in (depth, quality))


def _entry(text: str) -> Any:
    import hail as hl

    call, *fields = text.split(":")
    reads, depth, quality = (*fields, ".", ".", ".")[:3]
    called = call not in ("./.", ".", "fail")
    return hl.Struct(
        GT=hl.Call([int(allele) for allele in call.split("/")]) if called else None,
        AD=None if reads == "." else [int(count) for count in reads.split(",")],
        DP=None if depth == "." else int(depth),
        GQ=None if quality == "." else int(quality),
    )
