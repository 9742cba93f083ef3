"""SnpEff's ANN, its classic EFF, and the calls of loss of function (LOF, NMD) beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from contract.errors import InputError, fault
from etl.annotate.config import LOSS_FIELDS, AnnotationConfig
from etl.annotate.consequence import Site
from etl.annotate.dialects import CLASSIC, SNPEFF
from etl.annotate.judgement import Judgement, judge
from etl.annotate.severity import LEAST_SEVERE, PLOF_TERMS
from etl.annotate.snpeff_format import normal
from etl.annotate.transcripts import Candidate, TranscriptAnnotator

_EFFECT = re.compile(r"([^(]+)\((.*)\)$")


class Entry(NamedTuple):
    """An entry of either field."""

    terms: str
    gene_id: str
    symbol: str
    biotype: str
    impact: str


class SnpEffAnnotator(TranscriptAnnotator):
    """The worst effect of a variant on each gene of the axis.

    Entries count when they are of the variant's own allele and of a protein-coding transcript (where the
    biotype is written and the configuration says so). Where SnpEff looked for loss of function, plof is what
    it calls so in LOF or NMD, and other terms of loss of function are plof_low_confidence; else the term
    decides. A call is one of the gene and the record: of several alternate alleles it is of those with an
    effect of HIGH impact. A gene that only LOF or NMD name is plof without a term.

    Parameters
    ----------
    genes
        The gene axis.
    config
        Which field, and which transcripts to use.
    fields
        Sub-fields of an entry, in order: names of ANN, or those in the brackets of EFF.
    calls_loss
        Whether the file's header declares LOF.
    where
        The file, named in messages.
    """

    def __init__(
        self,
        genes: pd.DataFrame,
        config: AnnotationConfig,
        fields: Sequence[str],
        *,
        calls_loss: bool,
        where: str = "annotation",
    ) -> None:
        super().__init__(genes)
        self._places = {normal(name): place for place, name in enumerate(fields)}
        self._n_fields = len(fields)
        self._calls_loss = calls_loss
        self._coding_only = config.protein_coding_only
        self._classic = config.kind == "eff"
        self._where, self._field = where, config.info_field

    def candidates(self, site: Site) -> Iterator[Candidate]:
        """See `TranscriptAnnotator`."""
        lost = self._lost_genes(site)
        named = set()
        for entry in self._own_allele(site):
            gene = self.gene(entry.gene_id, entry.symbol)
            if gene is None or not self._counts(entry):
                continue
            named.add(gene)
            call = self._call(entry, is_lost=gene in lost)
            yield Candidate(gene, entry.symbol or None, judge(entry.terms, call, NO_WORDS, self._calls_loss))
        if len(site.old_alleles) == 2:
            for gene in lost.keys() - named:
                yield Candidate(gene, lost[gene], _LOST)

    def _counts(self, entry: Entry) -> bool:
        return not (self._coding_only and entry.biotype) or entry.biotype.lower() in CODING

    def _call(self, entry: Entry, *, is_lost: bool) -> str:
        if not self._calls_loss:
            return ""
        if is_lost and entry.impact == "HIGH":
            return "HC"
        # SnpEff has looked and not called it.
        terms = entry.terms.split("&")
        return "LC" if any(SNPEFF.get(term, term) in PLOF_TERMS for term in terms) else ""

    def _own_allele(self, site: Site) -> list[Entry]:
        texts = [text for text in site.annotation or () if not text.startswith(_LOSS_MARKS)]
        rows = [self._classic_row(text) if self._classic else text.split("|") for text in texts]
        if not self._classic:
            self._check(site, rows)
        if "genotype_number" in self._places:
            numbers = [self._part(row, "genotype_number") for row in rows]
            own = [number in ("", str(site.a_index)) for number in numbers]
        elif "allele" in self._places:
            own = _of_allele(site, [self._part(row, "allele") for row in rows])
        else:
            own = [True] * len(rows)
        return [self._entry(row) for row, is_own in zip(rows, own, strict=True) if is_own]

    def _entry(self, row: Sequence[str]) -> Entry:
        terms = self._part(row, "annotation").replace("+", "&")
        if self._classic:
            # A classic name may carry what it was found in: CUSTOM[file], INTERGENIC[...].
            names = [term.partition("[")[0] for term in terms.split("&")]
            terms = "&".join(CLASSIC.get(name, name) for name in names)
        gene_id = self._part(row, "gene_id")
        return Entry(
            terms,
            gene_id,
            self._part(row, "gene_name"),
            self._part(row, "transcript_biotype"),
            self._part(row, "annotation_impact"),
        )

    def _part(self, row: Sequence[str], name: str) -> str:
        place = self._places.get(name)
        return "" if place is None or place >= len(row) else row[place].strip()

    def _check(self, site: Site, rows: Sequence[Sequence[str]]) -> None:
        for row in rows:
            if len(row) != self._n_fields:
                name = f"INFO {self._field} of {site.contig}:{site.position}"
                raise InputError(
                    fault(
                        self._where,
                        name,
                        found=f"an entry with {len(row)} sub-fields",
                        wanted=f"{self._n_fields}, as the header names",
                    )
                )

    def _classic_row(self, text: str) -> list[str]:
        """`EFFECT(a|b|…)` as EFFECT, a, b, …; what is in the brackets differs between versions."""
        match = _EFFECT.match(text)
        return [match.group(1), *match.group(2).split("|")] if match else [text]

    def _lost_genes(self, site: Site) -> dict[int, str | None]:
        """Genes of the axis that LOF or NMD name, and their symbols."""
        lost: dict[int, str | None] = {}
        for text in site.annotation or ():
            if text.startswith(_LOSS_MARKS):
                symbol, gene_id = (*text.partition("=")[2].strip("()").split("|"), "")[:2]
                gene = self.gene(gene_id, symbol)
                if gene is not None:
                    lost[gene] = symbol or None
        return lost


NO_WORDS = ("", "")
"""Of predictors: SnpEff has none."""

_LOSS_MARKS = tuple(f"{name}=" for name in LOSS_FIELDS)

CODING = ("protein_coding", "coding", "mrna")
"""Biotypes of protein-coding transcripts: Ensembl's, and those that SnpEff writes for RefSeq."""

_LOST = Judgement(LEAST_SEVERE, "", "plof", (), ())
"""Of a gene that only LOF or NMD name: less severe than any term of a plof entry."""


def _of_allele(site: Site, alleles: Sequence[str]) -> list[bool]:
    """Which entries name the variant's own allele; all of them where they name one and the record has one."""
    if len(site.old_alleles) == 2 and len(set(alleles)) == 1:
        return [True] * len(alleles)
    written = site.old_alleles[site.a_index]
    if written not in alleles:
        written = site.alt
    return [allele == written for allele in alleles]
