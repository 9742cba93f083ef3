"""Columns of the dataset: names, types, axes, meaning.

A gene feature is addressed by its flat index = channel × n_genes + gene. Only non-zero features are stored.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from contract.errors import InputError, fault

FORMAT_VERSION = 1
N_FOLDS = 10

SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("sample_index", pa.int32(), nullable=False),
        pa.field("is_case", pa.int8()),
        pa.field("sex", pa.string()),
        pa.field("batch", pa.string()),
        pa.field("ancestry", pa.string()),
        pa.field("family", pa.int32(), nullable=False),
        pa.field("covariates", pa.list_(pa.float32()), nullable=False),
        pa.field("indices", pa.list_(pa.int32()), nullable=False),
        pa.field("values", pa.list_(pa.float32()), nullable=False),
    ]
)
"""One row per sample. `sample_index` runs from 0 without gaps over the whole dataset; `is_case` is 1, 0
or null when unknown; `sex` is female, male or null; `family` joins relatives who share a fold;
`covariates` has the fixed length and order that the manifest names; `indices` ascends."""

GENE_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int32(), nullable=False),
        pa.field("gene_id", pa.string(), nullable=False),
        pa.field("symbol", pa.string()),
        pa.field("contig", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
    ]
)
"""One row per gene in genome order; `position` is its place on the feature axis, from 0; `start` and `end`
are 1-based and closed, in the manifest's reference genome. Columns of doubles may follow: properties of genes
such as LOEUF or s_het, null where unknown, which models may use as priors."""

STATS_SCHEMA = pa.schema(
    [
        pa.field("fold", pa.int32(), nullable=False),
        pa.field("channel", pa.int32(), nullable=False),
        pa.field("gene", pa.int32(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("sum", pa.float64(), nullable=False),
        pa.field("sum_squares", pa.float64(), nullable=False),
    ]
)
"""Per fold × channel × gene over all samples of the fold, zeros counted in `n`. Features that are zero in
every sample of a fold are left out: their sums are 0."""

KINSHIP_SCHEMA = pa.schema(
    [
        pa.field("sample_index_1", pa.int32(), nullable=False),
        pa.field("sample_index_2", pa.int32(), nullable=False),
        pa.field("kinship", pa.float64(), nullable=False),
    ]
)
"""One row per pair of relatives of second degree or closer, both in the dataset; 0.25 is first degree."""


def gene_schema(properties: Iterable[str]) -> pa.Schema:
    """`GENE_SCHEMA` with columns for properties of genes."""
    return pa.schema([*GENE_SCHEMA, *(pa.field(name, pa.float64()) for name in properties)])


def gene_properties(names: Iterable[str]) -> list[str]:
    """Names of columns that are properties of genes: all that the contract does not name itself."""
    return [name for name in names if name not in GENE_SCHEMA.names]


def check_schema(found: pa.Schema, wanted: pa.Schema, path: str) -> None:
    """Compare names and types (not nullability, which writers change).

    Raises
    ------
    InputError
        With one sentence for each column that is absent, of another type, or not in the contract.
    """
    faults = []
    for field in wanted:
        if field.name not in found.names:
            faults.append(fault(path, field.name, found="no such column", wanted=str(field.type)))
        elif not _same_type(found.field(field.name).type, field.type):
            faults.append(
                fault(path, field.name, found=str(found.field(field.name).type), wanted=str(field.type))
            )
    for name in found.names:
        if name not in wanted.names:
            faults.append(fault(path, name, found="a column", wanted="no column outside the contract"))
    if faults:
        raise InputError(faults)


def _same_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_list(found) and pa.types.is_list(wanted):
        return bool(found.value_type == wanted.value_type)
    return bool(found == wanted)
