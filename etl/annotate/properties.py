"""Properties of genes, such as LOEUF and s_het, from a table of the user's. Imports no Hail."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from etl.annotate.config import PropertiesConfig
from etl.annotate.gene_files import UNREADABLE
from etl.annotate.genes import without_versions
from etl.frames import read_text_table

MISSING = {"", ".", "na", "n/a", "nan", "null", "none"}
"""What stands for an unknown value, in lower case."""


def read_properties(config: PropertiesConfig, genes: pd.DataFrame) -> pd.DataFrame:
    """Properties of the genes of the axis.

    Rows of other genes are left out. A symbol that several genes of the axis share belongs to none of them.

    Parameters
    ----------
    config
        The table and what to take of it.
    genes
        The gene axis.

    Returns
    -------
    One row per gene of the axis in its order, one column of doubles for each property, NaN where the table
    has no value or not the gene.

    Raises
    ------
    InputError
        If the table is absent or unreadable, lacks a column, has a value that is no number, has a gene of the
        axis twice, has none of them, or has a property of none of them.
    """
    table = _read(config)
    _check_columns(config, table)
    known = pd.DataFrame({name: _numbers(config, table, name) for name in config.columns})
    known.index = pd.Index(_keys(config, table))
    axis = genes["gene_id"] if config.gene_id else genes["symbol"]
    joined = axis.notna() & ~axis.duplicated(keep=False)
    known = known[known.index.isin(axis[joined])]
    _check_genes(config, known, genes)
    values = np.full((len(genes), len(config.columns)), np.nan)
    values[joined] = known.reindex(axis[joined]).to_numpy()
    return pd.DataFrame(values, genes.index, list(config.columns))


def property_counts(properties: pd.DataFrame) -> dict[str, int]:
    """How many genes have a value of each property and how many have none, for the manifest."""
    counts = {}
    for name, values in properties.items():
        counts[f"genes_with_{name}"] = int(values.notna().sum())
        counts[f"genes_without_{name}"] = int(values.isna().sum())
    return counts


def _read(config: PropertiesConfig) -> pd.DataFrame:
    path, stem = config.path, config.path
    for packing in (".gz", ".bgz", ".bz2", ".xz", ".zst", ".zip"):
        stem = stem.removesuffix(packing)
    compression: Literal["gzip", "infer"] = "gzip" if path.endswith(".bgz") else "infer"
    try:
        # All is text: a gene may be called NA, and the first row says nothing of the others.
        return read_text_table(
            path,
            sep="," if stem.endswith(".csv") else "\t",
            dtype=str,
            keep_default_na=False,
            compression=compression,
            index_col=False,
        )
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
    raise InputError(
        fault(path, "genes.properties", found=f"no readable file ({reason})", wanted="a table of genes")
    )


def _check_columns(config: PropertiesConfig, table: pd.DataFrame) -> None:
    names = [*(name for name in (config.gene_id, config.symbol) if name), *config.columns.values()]
    found = f"columns {', '.join(table.columns[:12])}{', …' if len(table.columns) > 12 else ''}"
    faults = [
        fault(config.path, f"column {name}", found=found, wanted=f"'{name}' (genes.properties)")
        for name in names
        if name not in table.columns
    ]
    if faults:
        raise InputError(faults)


def _keys(config: PropertiesConfig, table: pd.DataFrame) -> pd.Series:
    if config.gene_id:
        return without_versions(table[config.gene_id].str.strip())
    return table[config.symbol].str.strip()


def _numbers(config: PropertiesConfig, table: pd.DataFrame, name: str) -> pd.Series:
    column = config.columns[name]
    text = table[column].str.strip()
    missing = text.str.lower().isin(MISSING)
    numbers = pd.to_numeric(text.mask(missing), errors="coerce").astype(np.float64)
    bad = ~missing & ~np.isfinite(numbers)
    if bad.any():
        found = f"'{text[bad].iloc[0]}' in row {int(np.flatnonzero(bad)[0]) + 1}"
        raise InputError(
            fault(config.path, f"column {column}", found=found, wanted="finite numbers, or nothing")
        )
    return numbers


def _check_genes(config: PropertiesConfig, known: pd.DataFrame, genes: pd.DataFrame) -> None:
    where = f"column {config.gene_id or config.symbol}"
    if known.empty:
        first = genes["gene_id"].iloc[0] if config.gene_id else genes["symbol"].iloc[0]
        wanted = f"some of the {len(genes)} genes of the axis, such as '{first}'"
        raise InputError(fault(config.path, where, found="properties of other genes", wanted=wanted))
    repeated = known.index[known.index.duplicated()].unique()
    if len(repeated):
        found = f"{len(repeated)} genes more than once, such as '{repeated[0]}'"
        raise InputError(fault(config.path, where, found=found, wanted="one row for each gene"))
    faults = [
        fault(config.path, f"column {config.columns[name]}", found="no value", wanted="one of some gene")
        for name in known.columns[known.isna().all()]
    ]
    if faults:
        raise InputError(faults)
