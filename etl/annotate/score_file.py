"""A table of scores as it lies in storage: its columns, read without Spark and Hail."""

from __future__ import annotations

from itertools import islice
from typing import Literal

import pyarrow.dataset as ds

from contract.errors import InputError, fault
from contract.storage import open_storage, open_text
from etl.annotate.config import ScoresConfig
from etl.annotate.gene_files import PACKINGS, UNREADABLE

Format = Literal["parquet", "hail", "text"]

COMMENT_LINES = 1000
"""Lines that begin with ## may stand before the header, as in CADD's files; no more than these are read."""


def score_format(path: str) -> Format:
    """What the name of the table says of it."""
    stem = path.rstrip("/").lower()
    if stem.endswith(".ht"):
        return "hail"
    return "parquet" if stem.endswith((".parquet", ".pq")) else "text"


def score_files(path: str) -> list[str]:
    """Files that tell whether the table is still the same: it, or those of the folder that it is."""
    filesystem, inner = open_storage(path)
    if not filesystem.isdir(inner):
        return [path]
    if score_format(path) == "hail":
        return [f"{path.rstrip('/')}/metadata.json.gz"]
    return sorted(str(filesystem.unstrip_protocol(file)) for file in filesystem.glob(f"{inner}/*.parquet"))


def separator(path: str) -> str:
    """Of a text table."""
    stem = path.lower()
    for packing in PACKINGS:
        stem = stem.removesuffix(packing)
    return "," if stem.endswith(".csv") else "\t"


def text_columns(path: str) -> list[str]:
    """Columns of a text table, as its header writes them ('#Chrom' too).

    Raises
    ------
    InputError
        If the file is absent, unreadable or empty.
    """
    compression = "gzip" if path.endswith(PACKINGS) else "infer"
    try:
        with open_text(path, compression=compression) as lines:
            heads = (line for line in islice(lines, COMMENT_LINES) if not line.startswith("##"))
            header = next(heads, "").rstrip("\r\n")
    except UNREADABLE as error:
        raise _unreadable(path, getattr(error, "strerror", None) or error) from None
    if not header:
        raise _unreadable(path, "no header line")
    return header.split(separator(path))


def check_scores(config: ScoresConfig) -> None:
    """Whether the table is there and has the columns that the configuration names.

    Raises
    ------
    InputError
        If not. A Hail Table is looked at when Hail runs.
    """
    kind = score_format(config.path)
    if kind == "hail":
        filesystem, path = open_storage(config.path)
        if not filesystem.exists(f"{path}/metadata.json.gz"):
            raise _unreadable(config.path, "no Hail Table")
        return
    if kind == "parquet":
        filesystem, path = open_storage(config.path)
        try:
            columns = list(ds.dataset(path, filesystem=filesystem, format="parquet").schema.names)
        except UNREADABLE as error:
            raise _unreadable(config.path, getattr(error, "strerror", None) or error) from None
    else:
        columns = text_columns(config.path)
    check_columns(config, columns)


def check_columns(config: ScoresConfig, columns: list[str]) -> None:
    """Whether all columns are there.

    Raises
    ------
    InputError
        If not; it names the first columns that there are.
    """
    keys = (config.contig, config.position, config.ref, config.alt)
    shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    faults = [
        fault(config.path, f"column {name}", found=f"columns {shown}", wanted=f"'{name}' (annotation.scores)")
        for name in (*keys, *config.columns.values())
        if name not in columns
    ]
    if faults:
        raise InputError(faults)


def _unreadable(path: str, reason: object) -> InputError:
    wanted = "a table of scores: .parquet, .ht, .csv or tab-separated"
    return InputError(fault(path, "annotation.scores", found=f"no readable table ({reason})", wanted=wanted))
