"""Genes as intervals, one or several of each, and all genes that a variant lies in."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import pandas as pd

from contract.errors import InputError, fault
from etl.annotate.config import AnnotationConfig, GenesConfig
from etl.annotate.consequence import Annotator, Consequence, Site
from etl.annotate.gene_files import gene_file_format
from etl.annotate.genes import contig_names, read_lines
from etl.genome import Genome


def read_parts(
    config: AnnotationConfig, genes_config: GenesConfig, genes: pd.DataFrame, reference: Genome
) -> pd.DataFrame:
    """Intervals of the genes of the axis: the genes, their exons or coding sequences, or lines of a BED file.

    Returns
    -------
    Rows like those of the gene axis, one for each interval; genes without one have none.

    Raises
    ------
    InputError
        If parts of genes are wanted of a table, or the file has none of genes of the axis.
    """
    is_bed = genes_config.columns is None and gene_file_format(genes_config.path) == "bed"
    if config.features == "gene" and not is_bed:
        return genes
    if genes_config.columns is not None:
        raise InputError(
            fault(
                genes_config.path,
                "annotation.features",
                found=f"{config.features} with a gene table",
                wanted="a GTF or GFF3, or features: gene",
            )
        )
    rows = read_lines(genes_config, config.features)
    rows["contig"] = rows["contig"].map(contig_names(reference.name))
    # Of a gene id on two contigs (X and Y) the axis has one: its parts are those on that contig.
    parts = rows[["gene_id", "contig", "start", "end"]].merge(
        genes[["gene_id", "contig", "position", "symbol"]], on=["gene_id", "contig"]
    )
    if parts.empty:
        found = f"{config.features} of other genes, such as {rows['gene_id'].iloc[0]}"
        wanted = f"of the axis, such as {genes['gene_id'].iloc[0]}"
        raise InputError(fault(genes_config.path, "annotation.features", found=found, wanted=wanted))
    return parts.drop_duplicates(["position", "start", "end"])


@dataclass
class _Contig:
    """Intervals of one contig by start."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    consequences: list[Consequence] = field(default_factory=list)
    longest: int = 0


class IntervalAnnotator(Annotator):
    """Every gene that has one of the variant's reference bases in an interval, with class `any`.

    Parameters
    ----------
    parts
        Intervals, see `read_parts`; start and end 1-based and closed.
    padding
        bp added to both ends of each.
    reference
        The genome that positions are of.

    Raises
    ------
    InputError
        If a gene lies outside its contig: the genes are of another reference genome.
    """

    def __init__(self, parts: pd.DataFrame, padding: int, reference: Genome) -> None:
        super().__init__()
        _check(parts, reference)
        self._contigs: dict[str, _Contig] = {}
        parts = parts.sort_values("start")
        symbols = [None if pd.isna(symbol) else str(symbol) for symbol in parts["symbol"]]
        columns = (parts["contig"], parts["start"], parts["end"], parts["position"], symbols)
        for name, start, end, position, symbol in zip(*columns, strict=True):
            contig = self._contigs.setdefault(name, _Contig())
            contig.starts.append(start - padding)
            contig.ends.append(end + padding)
            contig.consequences.append(Consequence(int(position), symbol, None, "any"))
            contig.longest = max(contig.longest, end - start + 2 * padding)

    def __call__(self, site: Site) -> list[Consequence]:
        """Consequences of one variant, see `Annotator`."""
        contig = self._contigs.get(site.contig)
        if contig is None:
            return []
        last_base = site.position + len(site.ref) - 1
        # An interval that begins further before the variant than the longest one is long can't reach it.
        first = bisect.bisect_left(contig.starts, site.position - contig.longest)
        last = bisect.bisect_right(contig.starts, last_base)
        held = (place for place in range(first, last) if contig.ends[place] >= site.position)
        by_gene = {contig.consequences[place].gene: contig.consequences[place] for place in held}
        return [by_gene[gene] for gene in sorted(by_gene)]


def _check(parts: pd.DataFrame, reference: Genome) -> None:
    faults = [
        fault("genes", gene_id, found=f"{contig}:{end}", wanted=f"a position of {reference.name}")
        for gene_id, contig, end in zip(parts["gene_id"], parts["contig"], parts["end"], strict=True)
        if end > reference.lengths.get(contig, 0)
    ]
    if faults:
        raise InputError(faults[:3])
