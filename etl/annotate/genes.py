"""The gene axis of the dataset: genes in genome order, from a gene file or a table. Imports no Hail."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from contract.manifest import LedgerEntry
from contract.schema import GENE_SCHEMA
from etl.annotate.config import GeneColumns, GenesConfig
from etl.annotate.gene_files import UNREADABLE, bare_contig, gene_file_format, gene_lines
from etl.frames import read_text_table

CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
"""Contigs that can hold genes of the axis, in the order of both reference genomes."""

COLUMNS = ["gene_id", "symbol", "contig", "start", "end"]
_VERSION = re.compile(r"^(ENS[A-Z]*\d+)\.\d+")


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
    rows = read_lines(config, "gene") if config.columns is None else _read_table(config.path, config.columns)
    if config.columns is None and gene_file_format(config.path) == "bed":
        rows = _spans(rows)
    kept, ledger = _drop(rows, config)
    if kept.empty:
        raise InputError(fault(config.path, "genes", found=f"{len(rows)}, none kept", wanted="at least one"))
    kept["contig"] = kept["contig"].map(contig_names(reference_genome))
    kept.insert(0, "position", np.arange(len(kept), dtype=np.int32))
    return kept[GENE_SCHEMA.names], ledger


class GeneLookup:
    """Places of genes on the axis by the names that annotations write.

    An id may be Ensembl's, with or without its version, or any other that the axis has (RefSeq's numbers or
    symbols). Where it is none of the axis, the symbol decides, if it belongs to one gene of the axis alone.

    Parameters
    ----------
    genes
        The gene axis.
    """

    def __init__(self, genes: pd.DataFrame) -> None:
        positions = genes["position"].map(int)
        self.by_id = dict(zip(genes["gene_id"].map(str), positions, strict=True))
        named = genes.dropna(subset="symbol").drop_duplicates("symbol", keep=False)
        self._by_symbol = dict(zip(named["symbol"], named["position"].map(int), strict=True))

    def __call__(self, gene_id: str, symbol: str = "") -> int | None:
        """Place of a gene; None where it is not on the axis."""
        known = self.by_id.get(gene_id)
        if known is None and "." in gene_id:
            known = self.by_id.get(gene_id.partition(".")[0])
        if known is None and symbol:
            known = self._by_symbol.get(symbol)
            return self.by_id.get(symbol) if known is None else known
        return known


def without_versions(ids: pd.Series) -> pd.Series:
    """Ensembl ids without what follows the dot; other ids as they are."""
    return ids.str.replace(_VERSION, r"\1", regex=True)


def contig_names(reference_genome: str) -> dict[str, str]:
    """Bare chromosome ('1' … 'X', 'Y', 'MT') to the contig name of GRCh37 or GRCh38."""
    if reference_genome == "GRCh37":
        return {name: name for name in CHROMOSOMES}
    return {name: "chrM" if name == "MT" else f"chr{name}" for name in CHROMOSOMES}


def read_lines(config: GenesConfig, feature: str) -> pd.DataFrame:
    """Lines of one feature (gene, exon, CDS) of a GTF or GFF3, or all lines of a BED file.

    Returns
    -------
    gene_id without version, symbol, contig as a bare chromosome, start and end, 1-based and closed.

    Raises
    ------
    InputError
        If the file is absent or unreadable, has no such line, or has a start or end that is no position.
    """
    rows = [
        line[:5]
        for line in gene_lines(config.path, (feature,))
        if not config.biotypes or line.biotype is None or line.biotype in config.biotypes
    ]
    if not rows:
        wanted = f"{feature} lines with 9 columns and biotype {' or '.join(config.biotypes) or 'of any kind'}"
        raise InputError(fault(config.path, "feature", found=f"no {feature}", wanted=wanted))
    return _normal(config.path, pd.DataFrame(rows, columns=COLUMNS, dtype=object))


def _normal(path: str, rows: pd.DataFrame) -> pd.DataFrame:
    _check_positions(path, rows)
    rows["gene_id"] = without_versions(rows["gene_id"])
    rows["contig"] = rows["contig"].map(bare_contig)
    return rows


def _spans(rows: pd.DataFrame) -> pd.DataFrame:
    """Genes from the first base of their intervals to the last, for each contig."""
    spans = rows.groupby(["gene_id", "contig"], sort=False, as_index=False).agg(
        symbol=("symbol", "first"), start=("start", "min"), end=("end", "max")
    )
    return spans[COLUMNS]


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
        table = read_text_table(path, sep="\t", dtype=str, keep_default_na=False)
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
    return _normal(path, rows.assign(symbol=symbol)[COLUMNS])


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
