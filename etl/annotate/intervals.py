"""Gene intervals as a Hail table, and all genes that a variant lies in."""

from __future__ import annotations

import hail as hl
import pandas as pd

from contract.errors import InputError, fault


def interval_consequences_expr(rows: hl.Table, genes: pd.DataFrame, padding: int) -> hl.ArrayExpression:
    """Every gene whose interval holds the variant's first position, with class `any`.

    Overlapping genes each get the variant: a plain interval join would give it to one of them.

    Parameters
    ----------
    rows
        Keyed by locus and alleles.
    genes
        The gene axis of the same reference genome.
    padding
        bp added to both ends of each gene, cut at the ends of the contig.

    Returns
    -------
    array<struct{gene: int32, symbol: str, consequence: str, variant_class: str}>, ascending by gene.

    Raises
    ------
    InputError
        If a gene lies outside its contig: the genes are of another reference genome.
    """
    intervals = _gene_intervals(genes, padding, rows.locus.dtype.reference_genome)
    found = intervals.index(rows.locus, all_matches=True)
    consequences = found.map(
        lambda gene: hl.struct(
            gene=gene.position, symbol=gene.symbol, consequence=hl.missing(hl.tstr), variant_class="any"
        )
    )
    none = hl.empty_array(consequences.dtype.element_type)
    return hl.or_else(hl.sorted(consequences, key=lambda gene: gene.gene), none)


def _gene_intervals(genes: pd.DataFrame, padding: int, reference: hl.ReferenceGenome) -> hl.Table:
    faults = [
        fault("genes", gene_id, found=f"{contig}:{end}", wanted=f"a position of {reference.name}")
        for gene_id, contig, end in zip(genes["gene_id"], genes["contig"], genes["end"], strict=True)
        if contig not in reference.lengths or end > reference.lengths[contig]
    ]
    if faults:
        raise InputError(faults[:3])
    lengths = genes["contig"].map(reference.lengths)
    rows = [
        hl.Struct(
            interval=hl.Interval(
                hl.Locus(contig, int(start), reference), hl.Locus(contig, int(end), reference), True, True
            ),
            position=int(position),
            symbol=None if pd.isna(symbol) else symbol,
        )
        for contig, start, end, position, symbol in zip(
            genes["contig"],
            (genes["start"] - padding).clip(lower=1),
            (genes["end"] + padding).clip(upper=lengths),
            genes["position"],
            genes["symbol"],
            strict=True,
        )
    ]
    schema = hl.tstruct(interval=hl.tinterval(hl.tlocus(reference)), position=hl.tint32, symbol=hl.tstr)
    return hl.Table.parallelize(rows, schema, key="interval", n_partitions=1)
