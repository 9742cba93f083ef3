"""VEP's CSQ in Hail: entries of the variant's own allele, and the worst of them in each gene."""

from __future__ import annotations

from collections.abc import Sequence

import hail as hl
import pandas as pd

from etl.annotate.config import AnnotationConfig
from etl.annotate.severity import (
    LEAST_SEVERE,
    MISSENSE_TERMS,
    OTHER_MISSENSE_TERMS,
    PLOF_TERMS,
    SEVERITY,
    SYNONYMOUS_TERMS,
)

CLASS_RANK = {
    name: rank
    for rank, name in enumerate(
        ("plof", "plof_low_confidence", "damaging_missense", "other_missense", "synonymous", "other")
    )
}
"""Variant classes, the most damaging first."""


def csq_consequences_expr(
    rows: hl.Table, genes: pd.DataFrame, config: AnnotationConfig, fields: Sequence[str]
) -> hl.ArrayExpression:
    """The worst consequence of each variant in each gene of the axis.

    Entries count when they are of the variant's own allele, of a protein-coding transcript (where BIOTYPE is
    known and the configuration says so), and of a gene on the axis: by Gene id without its version, else by
    SYMBOL where that is unique. The worst is of the most damaging class and, in it, of the most severe term.

    Parameters
    ----------
    rows
        Fields alleles, old_alleles, a_index and annotation (one string per entry).
    genes
        The gene axis.
    config
        Which transcripts to use.
    fields
        Sub-fields of an entry, in order.

    Returns
    -------
    array<struct{gene: int32, symbol: str, consequence: str, variant_class: str}>, ascending by gene; missing
    where the variant has no annotation at all.
    """
    entries = rows.annotation.map(lambda text: _entry(text, fields))
    entries = own_allele_expr(rows, entries, "ALLELE_NUM" in fields)
    if config.protein_coding_only and "BIOTYPE" in fields:
        entries = entries.filter(lambda entry: entry.BIOTYPE == "protein_coding")
    with_gene = _join_genes(entries, genes).filter(lambda entry: hl.is_defined(entry.gene))
    judged = with_gene.map(lambda entry: _judge(entry, "LoF" in fields))
    return hl.sorted(judged.group_by(lambda entry: entry.gene).values().map(_worst), key=lambda e: e.gene)


def own_allele_expr(
    rows: hl.Table, entries: hl.ArrayExpression, has_allele_number: bool
) -> hl.ArrayExpression:
    """Entries that speak of the variant's own allele.

    A record of one alternate allele owns all its entries, unless they name several alleles (annotated before
    it was split). Otherwise ALLELE_NUM decides where it is written, else VEP's notation of the allele.
    """
    notation = vep_allele_expr(rows.old_alleles, rows.a_index)
    minimal = _minimal_allele_expr(rows.alleles)
    by_notation = entries.filter(lambda entry: entry.Allele == notation)
    by_minimal = entries.filter(lambda entry: entry.Allele == minimal)
    by_text = hl.if_else(hl.len(by_notation) > 0, by_notation, by_minimal)
    single = (hl.len(rows.old_alleles) == 2) & (hl.len(hl.set(entries.map(lambda entry: entry.Allele))) == 1)
    if not has_allele_number:
        return hl.if_else(single, entries, by_text)
    numbered = entries.all(lambda entry: entry.ALLELE_NUM != "") & (hl.len(rows.old_alleles) > 2)
    by_number = entries.filter(lambda entry: hl.str(rows.a_index) == entry.ALLELE_NUM)
    return hl.case().when(single, entries).when(numbered, by_number).default(by_text)


def vep_allele_expr(old_alleles: hl.ArrayExpression, a_index: hl.Int32Expression) -> hl.StringExpression:
    """VEP's notation of one alternate allele of a record.

    When any allele of the record differs in length from the reference and all alleles (but `*`) begin with
    the same base, that base is cut off each; what is empty then is '-'. Otherwise the allele as it stands.
    """
    alternate = old_alleles[a_index]
    concrete = old_alleles.filter(lambda allele: (allele != "*") & ~allele.startswith("<"))
    is_indel = concrete.any(lambda allele: hl.len(allele) != hl.len(old_alleles[0]))
    same_base = concrete.all(lambda allele: allele[0] == old_alleles[0][0])
    trimmed = hl.if_else(hl.len(alternate) == 1, "-", alternate[1:])
    literal = (alternate == "*") | alternate.startswith("<") | ~is_indel | ~same_base
    return hl.if_else(literal, alternate, trimmed)


def _minimal_allele_expr(alleles: hl.ArrayExpression) -> hl.StringExpression:
    reference, alternate = alleles[0], alleles[1]
    shared = (hl.len(reference) != hl.len(alternate)) & (reference[0] == alternate[0])
    rest = hl.if_else(hl.len(alternate) == 1, "-", alternate[1:])
    return hl.if_else(shared, rest, alternate)


def _entry(text: hl.StringExpression, fields: Sequence[str]) -> hl.StructExpression:
    wanted = (
        "Allele",
        "ALLELE_NUM",
        "Consequence",
        "Gene",
        "SYMBOL",
        "BIOTYPE",
        "LoF",
        "PolyPhen",
        "SIFT",
    )
    parts = text.split(r"\|")
    # Writers may leave empty sub-fields off the end.
    return hl.struct(
        **{
            name: hl.if_else(hl.len(parts) > list(fields).index(name), parts[list(fields).index(name)], "")
            if name in fields
            else ""
            for name in wanted
        }
    )


def _join_genes(entries: hl.ArrayExpression, genes: pd.DataFrame) -> hl.ArrayExpression:
    by_id = hl.literal(
        dict(zip(genes["gene_id"], genes["position"].map(int), strict=True)), "dict<str, int32>"
    )
    named = genes.dropna(subset="symbol").drop_duplicates("symbol", keep=False)
    by_symbol = hl.literal(
        dict(zip(named["symbol"], named["position"].map(int), strict=True)), "dict<str, int32>"
    )
    return entries.map(
        lambda entry: entry.annotate(
            gene=hl.or_else(by_id.get(entry.Gene.split(r"\.")[0]), by_symbol.get(entry.SYMBOL))
        )
    )


def _judge(entry: hl.StructExpression, has_loftee: bool) -> hl.StructExpression:
    severity = hl.literal(SEVERITY, "dict<str, int32>")
    terms = entry.Consequence.split("&")
    ranks = terms.map(lambda term: severity.get(term, LEAST_SEVERE))
    worst = hl.argmin(ranks)
    variant_class = variant_class_expr(entry, terms[worst], has_loftee)
    return hl.struct(
        gene=entry.gene,
        symbol=hl.or_missing(entry.SYMBOL != "", entry.SYMBOL),
        consequence=terms[worst],
        variant_class=variant_class,
        order=hl.literal(CLASS_RANK, "dict<str, int32>")[variant_class] * (LEAST_SEVERE + 1) + ranks[worst],
    )


def variant_class_expr(
    entry: hl.StructExpression, term: hl.StringExpression, has_loftee: bool
) -> hl.StringExpression:
    """Class of one entry from its most severe term.

    Where LOFTEE ran, plof is what it calls high confidence (HC), plof_low_confidence what it calls anything
    else (LC, OS), and a term that it did not judge is no plof; without LOFTEE the term decides. Damaging
    missense: PolyPhen probably_damaging and SIFT deleterious (BipEx). In-frame changes, lost starts and stops
    are other_missense.
    """
    polyphen, sift = entry.PolyPhen.split(r"\(")[0], entry.SIFT.split(r"\(")[0]
    is_missense = hl.literal(MISSENSE_TERMS).contains(term)
    is_damaging = is_missense & (polyphen == "probably_damaging") & (sift == "deleterious")
    is_plof = (entry.LoF == "HC") if has_loftee else hl.literal(PLOF_TERMS).contains(term)
    return (
        hl.case()
        .when(is_plof, "plof")
        .when(entry.LoF != "", "plof_low_confidence")
        .when(is_damaging, "damaging_missense")
        .when(is_missense | hl.literal(OTHER_MISSENSE_TERMS).contains(term), "other_missense")
        .when(hl.literal(SYNONYMOUS_TERMS).contains(term), "synonymous")
        .default("other")
    )


def _worst(judged: hl.ArrayExpression) -> hl.StructExpression:
    return judged[hl.argmin(judged.map(lambda entry: entry.order))].drop("order")
