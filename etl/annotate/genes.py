"""The gene axis of the dataset: genes in genome order, from a GTF or a table. Imports no Hail."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import fsspec
import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from contract.manifest import LedgerEntry
from contract.schema import GENE_SCHEMA
from etl.annotate.config import GeneColumns, GenesConfig

CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
"""Contigs that can hold genes of the axis, in the order of both reference genomes."""

COLUMNS = ["gene_id", "symbol", "contig", "start", "end"]
UNREADABLE = (OSError, ValueError, EOFError, zlib.error)
"""What empty, binary, ragged, truncated and damaged files raise, compressed or not."""

_VERSION = re.compile(r"^(ENS[A-Z]*\d+)\.\d+")
_ATTRIBUTE = re.compile(r'(\w+) "?([^";]*)"?')


def read_genes(config: GenesConfig, reference_genome: str) -> tuple[pd.DataFrame, list[LedgerEntry]]:
    """Read the gene axis.

    Genome order is contig in the reference's order, start, end, gene id. Version suffixes of Ensembl ids are
    dropped; of several rows with one gene id the first in genome order stays.

    Parameters
    ----------
    config
        The file and what to keep of it.
    reference_genome
        GRCh37 or GRCh38: contigs get its style of names ('1' or 'chr1'), whatever the file uses.

    Returns
    -------
    The columns of `GENE_SCHEMA`, `start` and `end` 1-based and closed, and the ledger of genes left out.

    Raises
    ------
    InputError
        If the file is absent or unreadable, lacks a column, has a start or end that is no position, or no
        gene is left.
    """
    rows = _read_gtf(config) if config.columns is None else _read_table(config.path, config.columns)
    _check_positions(config.path, rows)
    rows["gene_id"] = without_versions(rows["gene_id"])
    rows["contig"] = _bare_contigs(rows["contig"])
    kept, ledger = _drop(rows, config)
    if kept.empty:
        raise InputError(fault(config.path, "genes", found=f"{len(rows)}, none kept", wanted="at least one"))
    kept["contig"] = kept["contig"].map(contig_names(reference_genome))
    kept.insert(0, "position", np.arange(len(kept), dtype=np.int32))
    return kept[GENE_SCHEMA.names], ledger


def without_versions(ids: pd.Series) -> pd.Series:
    """Ensembl ids without what follows the dot; other ids as they are."""
    return ids.str.replace(_VERSION, r"\1", regex=True)


def contig_names(reference_genome: str) -> dict[str, str]:
    """Bare chromosome ('1' … 'X', 'Y', 'MT') to the contig name of GRCh37 or GRCh38."""
    if reference_genome == "GRCh37":
        return {name: name for name in CHROMOSOMES}
    return {name: "chrM" if name == "MT" else f"chr{name}" for name in CHROMOSOMES}


def _bare_contigs(contigs: pd.Series) -> pd.Series:
    bare = contigs.str.replace("^chr", "", regex=True)
    return bare.where(bare != "M", "MT")


def _drop(rows: pd.DataFrame, config: GenesConfig) -> tuple[pd.DataFrame, list[LedgerEntry]]:
    unknown = ~rows["contig"].isin(CHROMOSOMES)
    mitochondrial = (rows["contig"] == "MT") & (not config.include_mitochondrial)
    kept = rows[~unknown & ~mitochondrial].copy()
    rank = {name: place for place, name in enumerate(CHROMOSOMES)}
    kept["rank"] = kept["contig"].map(rank)
    kept = kept.sort_values(["rank", "start", "end", "gene_id"], ignore_index=True)
    repeated = kept["gene_id"].duplicated()
    reasons = {
        "contig outside the reference": unknown.sum(),
        "mitochondrial": mitochondrial.sum(),
        "gene id repeated": repeated.sum(),
    }
    ledger = [
        LedgerEntry(step="genes", unit="genes", reason=reason, count=int(count))
        for reason, count in reasons.items()
    ]
    return kept[~repeated].reset_index(drop=True), ledger


def _read_table(path: str, columns: GeneColumns) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except UNREADABLE as error:
        raise _unreadable(path, error) from None
    names = {name: getattr(columns, name) for name in COLUMNS if getattr(columns, name) is not None}
    faults = [
        fault(path, f"column {column}", found=f"columns {', '.join(table.columns)}", wanted=f"the {name}")
        for name, column in names.items()
        if column not in table.columns
    ]
    if faults:
        raise InputError(faults)
    rows = pd.DataFrame({name: table[column] for name, column in names.items()})
    symbol = rows["symbol"].replace("", None) if "symbol" in rows else None
    return rows.assign(symbol=symbol)[COLUMNS]


def _read_gtf(config: GenesConfig) -> pd.DataFrame:
    rows = list(_gene_lines(config))
    if not rows:
        wanted = f"gene lines with 9 columns and biotype {' or '.join(config.biotypes) or 'of any kind'}"
        raise InputError(fault(config.path, "feature", found="no gene", wanted=wanted))
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)


def _gene_lines(config: GenesConfig) -> Iterator[tuple[str, str | None, str, str, str]]:
    try:
        with fsspec.open(config.path, "rt", compression="infer", encoding="utf-8") as lines:
            for line in lines:
                fields = line.rstrip("\r\n").split("\t")
                if line.startswith("#") or len(fields) != 9 or fields[2] != "gene":
                    continue
                about = dict(_ATTRIBUTE.findall(fields[8]))
                biotype = about.get("gene_biotype", about.get("gene_type"))
                if config.biotypes and biotype is not None and biotype not in config.biotypes:
                    continue
                if "gene_id" not in about:
                    raise InputError(
                        fault(config.path, "gene_id", found=f"none in {fields[8][:40]!r}", wanted="one")
                    )
                yield about["gene_id"], about.get("gene_name"), fields[0], fields[3], fields[4]
    except UNREADABLE as error:
        raise _unreadable(config.path, error) from None


def _check_positions(path: str, rows: pd.DataFrame) -> None:
    for name in ("start", "end"):
        numbers = pd.to_numeric(rows[name], errors="coerce")
        bad = ~(numbers >= 1) | (numbers % 1 != 0)
        if bad.any():
            found = repr(rows[name][bad].iloc[0])
            raise InputError(fault(path, name, found=found, wanted="a position from 1"))
        rows[name] = numbers.astype(np.int64)
    inverted = rows["end"] < rows["start"]
    if inverted.any():
        first = rows[inverted].iloc[0]
        raise InputError(
            fault(path, "end", found=f"{first['end']} before start {first['start']}", wanted="start <= end")
        )


def _unreadable(path: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(
        fault(path, "genes", found=f"no readable file ({reason})", wanted="a GTF or gene table")
    )
