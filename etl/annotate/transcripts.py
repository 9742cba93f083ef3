"""One consequence of each gene out of the entries of its transcripts, whatever program wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from etl.annotate.consequence import Annotator, Consequence, Site
from etl.annotate.genes import GeneLookup
from etl.annotate.judgement import Judgement

UNJUDGED = (
    "variants have a term of loss of function that LOFTEE did not judge, in the transcript that counts: "
    "class plof_low_confidence, no verdict"
)
"""Such variants, among an annotator's counts."""


class Candidate(NamedTuple):
    """What one transcript's entry says of a gene of the axis."""

    gene: int
    symbol: str | None
    judgement: Judgement
    preference: int = 0
    """Of the transcript: lower ones win, whatever they say."""
    loftee: str | None = None
    parts: Sequence[str] = ()
    """All sub-fields, for its scores."""


class TranscriptAnnotator(Annotator):
    """The worst candidate of the most preferred transcripts of each gene.

    Parameters
    ----------
    genes
        The gene axis, see `etl.annotate.genes.GeneLookup`.
    """

    def __init__(self, genes: pd.DataFrame) -> None:
        super().__init__()
        self.gene = GeneLookup(genes)

    def candidates(self, site: Site) -> Iterable[Candidate]:
        """What the entries of the variant's own allele say of genes of the axis."""
        raise NotImplementedError

    scores: Callable[[Sequence[str]], Sequence[float]] | None = None
    """Reads the scores of an entry; None: it has none."""

    def __call__(self, site: Site) -> list[Consequence] | None:
        """Consequences of one variant, see `Annotator`."""
        if site.annotation is None:
            return None
        best: dict[int, Candidate] = {}
        unknown: set[str] = set()
        for one in self.candidates(site):
            judgement = one.judgement
            if judgement.unknown:
                unknown.update(judgement.unknown)
            held = best.get(one.gene)
            if held is None or (one.preference, judgement.order) < (held.preference, held.judgement.order):
                best[one.gene] = one
        if unknown:
            self.unknown.update(unknown)
        if any(one.judgement.unjudged for one in best.values()):
            self.counts[UNJUDGED] += 1
        return [self._consequence(best[gene]) for gene in sorted(best)]

    def _consequence(self, one: Candidate) -> Consequence:
        _, term, variant_class, terms, *_ = one.judgement
        scores = self.scores(one.parts) if self.scores else ()
        return Consequence(one.gene, one.symbol, term or None, variant_class, one.loftee, scores, terms)
