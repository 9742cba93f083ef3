"""VEP's CSQ: entries of the variant's own allele, and the worst of them in each gene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from contract.errors import InputError, fault
from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import Site
from etl.annotate.judgement import judge
from etl.annotate.scores import ScoreReader, predictor_names
from etl.annotate.transcripts import Candidate, TranscriptAnnotator

ABSENT = -1
"""Place of a sub-field that is not written: behind the last one of an entry stands ''."""


class CsqAnnotator(TranscriptAnnotator):
    """What VEP's entries say of each gene of the axis.

    Entries count when they are of the variant's own allele, of a protein-coding transcript (where BIOTYPE is
    known and the configuration says so), and of a gene on the axis. Of a gene's transcripts, those count that
    the configuration prefers; the worst is of the most damaging class and, in it, of the most severe term.

    Parameters
    ----------
    genes
        The gene axis.
    config
        Which transcripts to use.
    fields
        Sub-fields of an entry, in order.
    where
        The file, named in messages.
    """

    def __init__(
        self, genes: pd.DataFrame, config: AnnotationConfig, fields: Sequence[str], where: str = "annotation"
    ) -> None:
        super().__init__(genes)
        places = {name: place for place, name in enumerate(fields)}
        self._places = {name: places.get(name, ABSENT) for name in USED}
        self._n_fields = len(fields)
        self._has_loftee = "LoF" in places
        self._flags_lower = config.loftee_flags == "low_confidence"
        self._coding_only = config.protein_coding_only and "BIOTYPE" in places
        self._preferred = config.transcripts
        self.scores = ScoreReader(fields, predictor_names(config, fields))
        self._where, self._field = where, config.info_field

    def candidates(self, site: Site) -> Iterator[Candidate]:
        """See `TranscriptAnnotator`."""
        places = self._places
        gene_id, symbol, biotype = places["Gene"], places["SYMBOL"], places["BIOTYPE"]
        terms, loftee, polyphen, sift = (places[name] for name in ("Consequence", "LoF", "PolyPhen", "SIFT"))
        known, lower = self.gene.by_id, self._flags_lower
        for row in self.own_entries(site):
            gene = known.get(row[gene_id])
            if gene is None:
                gene = self.gene(row[gene_id], row[symbol])
            if gene is None or (self._coding_only and row[biotype] != "protein_coding"):
                continue
            # The words alone: the numbers are many, and judgements are remembered by what they rest on.
            predictors = row[polyphen].partition("(")[0], row[sift].partition("(")[0]
            yield Candidate(
                gene,
                row[symbol] or None,
                judge(row[terms], self._call(row) if lower else row[loftee], predictors, self._has_loftee),
                0 if self._preferred == "worst" else self._preference(row),
                row[loftee] or None,
                row,
            )

    def own_entries(self, site: Site) -> list[list[str]]:
        """Sub-fields, and '' behind them, of the entries that speak of the variant's own allele.

        Raises
        ------
        InputError
            If an entry of the record has another number of sub-fields than the header names.
        """
        rows = [text.split("|") for text in site.annotation or ()]
        for row in rows:
            if len(row) != self._n_fields:
                rows = self._rejoined(site)
                break
        for row in rows:
            row.append("")
        alleles, numbers = self._places["Allele"], self._places["ALLELE_NUM"]
        own = own_alleles(site, [row[alleles] for row in rows], [row[numbers] for row in rows])
        return rows if own is None else [row for row, is_own in zip(rows, own, strict=True) if is_own]

    def _call(self, row: Sequence[str]) -> str:
        call = row[self._places["LoF"]]
        return "LC" if call == "HC" and row[self._places["LoF_flags"]] else call

    def _rejoined(self, site: Site) -> list[list[str]]:
        """Entries that commas inside a sub-field have cut, as LOFTEE's LoF_info has some, put together."""
        rows: list[list[str]] = []
        for text in site.annotation or ():
            pieces = text.split("|")
            if rows and (len(pieces) == 1 or len(rows[-1]) < self._n_fields):
                rows[-1] = [*rows[-1][:-1], f"{rows[-1][-1]},{pieces[0]}", *pieces[1:]]
            else:
                rows.append(pieces)
        for row in rows:
            if len(row) != self._n_fields:
                name = f"INFO {self._field} of {site.contig}:{site.position}"
                wanted = f"{self._n_fields}, as the header names"
                raise InputError(
                    fault(self._where, name, found=f"an entry with {len(row)} sub-fields", wanted=wanted)
                )
        return rows

    def _preference(self, row: Sequence[str]) -> int:
        """0 for the transcript that is preferred, more for those that stand in for it."""
        canonical = 0 if row[self._places["CANONICAL"]] == "YES" else 1
        if self._preferred == "canonical":
            return canonical
        return 0 if row[self._places["MANE_SELECT"]] else 1 + canonical


USED = (
    "Allele", "ALLELE_NUM", "Consequence", "Gene", "SYMBOL", "BIOTYPE", "LoF", "LoF_flags", "PolyPhen",
    "SIFT", "CANONICAL", "MANE_SELECT",
)  # fmt: skip
"""Sub-fields that are used beside the scores."""


def own_alleles(site: Site, alleles: Sequence[str], numbers: Sequence[str]) -> list[bool] | None:
    """Which entries speak of the variant's own allele; None: all of them.

    A record of one alternate allele owns all its entries, unless they name several alleles (annotated before
    it was split). Otherwise ALLELE_NUM decides where it is written, else VEP's notation of the allele.

    Parameters
    ----------
    site
        The variant.
    alleles, numbers
        Allele and ALLELE_NUM of each entry; '' where there is none.
    """
    several = len(site.old_alleles) > 2
    if not several and len(set(alleles)) == 1:
        return None
    if several and all(numbers):
        return [number == str(site.a_index) for number in numbers]
    notation = vep_allele(site.old_alleles, site.a_index)
    if notation not in alleles:
        notation = vep_allele([site.ref, site.alt], 1)
    return [allele == notation for allele in alleles]


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
