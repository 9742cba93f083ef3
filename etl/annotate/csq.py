"""VEP's CSQ: entries of the variant's own allele, and the worst of them in each gene."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import pandas as pd

from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import Consequence, Site
from etl.annotate.severity import (
    LEAST_SEVERE,
    MISSENSE_TERMS,
    OTHER_MISSENSE_TERMS,
    PLOF_TERMS,
    SEVERITY,
    SYNONYMOUS_TERMS,
)

CLASSES = ("plof", "plof_low_confidence", "damaging_missense", "other_missense", "synonymous", "other")
"""Variant classes, the most damaging first."""


class Entry(NamedTuple):
    """The sub-fields that are used; '' where one is not written."""

    Allele: str = ""
    ALLELE_NUM: str = ""
    Consequence: str = ""
    Gene: str = ""
    SYMBOL: str = ""
    BIOTYPE: str = ""
    LoF: str = ""
    PolyPhen: str = ""
    SIFT: str = ""


class CsqAnnotator:
    """The worst consequence of a variant in each gene of the axis.

    Entries count when they are of the variant's own allele, of a protein-coding transcript (where BIOTYPE is
    known and the configuration says so), and of a gene on the axis: by Gene id without its version, else by
    SYMBOL where that is unique. The worst is of the most damaging class and, in it, of the most severe term.

    Parameters
    ----------
    genes
        The gene axis.
    config
        Which transcripts to use.
    fields
        Sub-fields of an entry, in order.
    """

    def __init__(self, genes: pd.DataFrame, config: AnnotationConfig, fields: Sequence[str]) -> None:
        places = {name: place for place, name in enumerate(fields)}
        self._places = [places.get(name) for name in Entry._fields]
        self._numbered = "ALLELE_NUM" in places
        self._has_loftee = "LoF" in places
        self._coding_only = config.protein_coding_only and "BIOTYPE" in places
        positions = genes["position"].map(int)
        self._by_id = dict(zip(genes["gene_id"], positions, strict=True))
        named = genes.dropna(subset="symbol").drop_duplicates("symbol", keep=False)
        self._by_symbol = dict(zip(named["symbol"], named["position"].map(int), strict=True))

    def __call__(self, site: Site) -> list[Consequence] | None:
        """Consequences of one variant, see `etl.annotate.consequence.Annotator`."""
        if site.annotation is None:
            return None
        worst: dict[int, tuple[int, Consequence]] = {}
        entries = [self.entry(text) for text in site.annotation]
        for entry in own_allele(site, entries, numbered=self._numbered):
            gene = self._gene(entry)
            if gene is None or (self._coding_only and entry.BIOTYPE != "protein_coding"):
                continue
            order, term, variant_class = judge(entry, has_loftee=self._has_loftee)
            if gene not in worst or order < worst[gene][0]:
                terms = entry.Consequence.split("&")
                worst[gene] = (
                    order,
                    Consequence(
                        gene, entry.SYMBOL or None, term, variant_class, entry.LoF or None, terms=terms
                    ),
                )
        return [worst[gene][1] for gene in sorted(worst)]

    def entry(self, text: str) -> Entry:
        """The sub-fields of an entry; writers may leave empty ones off the end."""
        parts = text.split("|")
        n_parts = len(parts)
        return Entry(*("" if place is None or place >= n_parts else parts[place] for place in self._places))

    def _gene(self, entry: Entry) -> int | None:
        by_id = self._by_id.get(entry.Gene.partition(".")[0])
        return self._by_symbol.get(entry.SYMBOL) if by_id is None else by_id


def own_allele(site: Site, entries: list[Entry], *, numbered: bool) -> list[Entry]:
    """Entries that speak of the variant's own allele.

    A record of one alternate allele owns all its entries, unless they name several alleles (annotated before
    it was split). Otherwise ALLELE_NUM decides where it is written, else VEP's notation of the allele.
    """
    several = len(site.old_alleles) > 2
    if not several and len({entry.Allele for entry in entries}) == 1:
        return entries
    if numbered and several and all(entry.ALLELE_NUM for entry in entries):
        return [entry for entry in entries if str(site.a_index) == entry.ALLELE_NUM]
    notation = vep_allele(site.old_alleles, site.a_index)
    by_notation = [entry for entry in entries if entry.Allele == notation]
    minimal = vep_allele([site.ref, site.alt], 1)
    return by_notation or [entry for entry in entries if entry.Allele == minimal]


def vep_allele(old_alleles: Sequence[str], a_index: int) -> str:
    """VEP's notation of one alternate allele of a record.

    When any allele of the record differs in length from the reference and all alleles (but `*`) begin with
    the same base, that base is cut off each; what is empty then is '-'. Otherwise the allele as it stands.
    """
    reference, alternate = old_alleles[0], old_alleles[a_index]
    concrete = [allele for allele in old_alleles if allele != "*" and not allele.startswith("<")]
    is_indel = any(len(allele) != len(reference) for allele in concrete)
    same_base = all(allele[0] == reference[0] for allele in concrete)
    if alternate == "*" or alternate.startswith("<") or not (is_indel and same_base):
        return alternate
    return alternate[1:] or "-"


def judge(entry: Entry, *, has_loftee: bool) -> tuple[int, str, str]:
    """Place in the order of damage, most severe term, and class of an entry."""
    predictors = entry.PolyPhen.partition("(")[0], entry.SIFT.partition("(")[0]
    return _judge(entry.Consequence, entry.LoF, predictors, has_loftee)


@lru_cache(maxsize=4096)
def _judge(
    consequence: str, loftee: str, predictors: tuple[str, str], has_loftee: bool
) -> tuple[int, str, str]:
    terms = consequence.split("&")
    term = min(terms, key=lambda term: SEVERITY.get(term, LEAST_SEVERE))
    name = variant_class(term, loftee, predictors, has_loftee=has_loftee)
    order = CLASSES.index(name) * (LEAST_SEVERE + 1) + SEVERITY.get(term, LEAST_SEVERE)
    return order, term, name


def variant_class(term: str, loftee: str, predictors: tuple[str, str], *, has_loftee: bool) -> str:
    """Class of an entry from its most severe term.

    Where LOFTEE ran, plof is what it calls high confidence (HC), plof_low_confidence what it calls anything
    else (LC, OS), and a term that it did not judge is no plof; without LOFTEE the term decides. Damaging
    missense: PolyPhen probably_damaging and SIFT deleterious (BipEx). In-frame changes, lost starts and stops
    are other_missense.
    """
    if loftee == "HC" if has_loftee else term in PLOF_TERMS:
        return "plof"
    if loftee:
        return "plof_low_confidence"
    if term in MISSENSE_TERMS and predictors == ("probably_damaging", "deleterious"):
        return "damaging_missense"
    if term in MISSENSE_TERMS or term in OTHER_MISSENSE_TERMS:
        return "other_missense"
    return "synonymous" if term in SYNONYMOUS_TERMS else "other"
