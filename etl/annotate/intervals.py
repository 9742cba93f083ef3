"""Genes as intervals, and all of them that a variant lies in."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import pandas as pd

from contract.errors import InputError, fault
from etl.annotate.consequence import Consequence, Site
from etl.genome import Genome


@dataclass
class _Contig:
    """Genes of one contig by start."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    consequences: list[Consequence] = field(default_factory=list)
    longest: int = 0


class IntervalAnnotator:
    """Every gene whose interval holds the variant's first position, with class `any`.

    Parameters
    ----------
    genes
        The gene axis; start and end 1-based and closed.
    padding
        bp added to both ends of each gene.
    reference
        The genome that positions are of.

    Raises
    ------
    InputError
        If a gene lies outside its contig: the genes are of another reference genome.
    """

    def __init__(self, genes: pd.DataFrame, padding: int, reference: Genome) -> None:
        _check(genes, reference)
        self._contigs: dict[str, _Contig] = {}
        genes = genes.sort_values("start")
        symbols = [None if pd.isna(symbol) else str(symbol) for symbol in genes["symbol"]]
        columns = (genes["contig"], genes["start"], genes["end"], genes["position"], symbols)
        for name, start, end, position, symbol in zip(*columns, strict=True):
            contig = self._contigs.setdefault(name, _Contig())
            contig.starts.append(start - padding)
            contig.ends.append(end + padding)
            contig.consequences.append(Consequence(position, symbol, None, "any"))
            contig.longest = max(contig.longest, end - start + 2 * padding)

    def __call__(self, site: Site) -> list[Consequence]:
        """Consequences of one variant, see `etl.annotate.consequence.Annotator`."""
        contig = self._contigs.get(site.contig)
        if contig is None:
            return []
        # A gene that begins further before the variant than the longest one is long can't reach it.
        first = bisect.bisect_left(contig.starts, site.position - contig.longest)
        last = bisect.bisect_right(contig.starts, site.position)
        held = (place for place in range(first, last) if contig.ends[place] >= site.position)
        return sorted(contig.consequences[place] for place in held)


def _check(genes: pd.DataFrame, reference: Genome) -> None:
    faults = [
        fault("genes", gene_id, found=f"{contig}:{end}", wanted=f"a position of {reference.name}")
        for gene_id, contig, end in zip(genes["gene_id"], genes["contig"], genes["end"], strict=True)
        if end > reference.lengths.get(contig, 0)
    ]
    if faults:
        raise InputError(faults[:3])
