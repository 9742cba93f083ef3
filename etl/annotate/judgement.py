"""How damaging an entry of an annotation is, whatever program wrote it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from etl.annotate.dialects import SNPEFF
from etl.annotate.severity import (
    LEAST_SEVERE,
    MISSENSE_TERMS,
    OTHER_MISSENSE_TERMS,
    PLOF_TERMS,
    SEVERITY,
    SYNONYMOUS_TERMS,
)

LOW_CONFIDENCE = "plof_low_confidence"
CLASSES = ("plof", LOW_CONFIDENCE, "damaging_missense", "other_missense", "synonymous", "other")
"""Variant classes, the most damaging first."""

BEHIND_A_STOP = "*"
"""bcftools' mark of a change that lies behind a premature stop of the same haplotype."""


class Judgement(NamedTuple):
    """What an entry says."""

    order: int
    """Place in the order of damage: by class, then by term."""
    term: str
    """The most severe of its terms."""
    variant_class: str
    terms: tuple[str, ...]
    unknown: tuple[str, ...]
    """Those of its terms that have no rank."""
    unjudged: bool = False
    """A term of loss of function that nobody called, where calls were made."""


@lru_cache(maxsize=4096)
def judge(
    consequence: str,
    call: str,
    predictors: tuple[str, str] = ("", ""),
    called: bool = False,  # by place: a name costs as much as the rest of a cached call
) -> Judgement:
    """Rank and class of an entry.

    Parameters
    ----------
    consequence
        Its terms, joined by `&`.
    call
        A call of loss of function: HC, another word for a call of low confidence, or ''.
    predictors
        Words of PolyPhen and SIFT; several of one predictor are joined by `&`.
    called
        Whether calls were made at all, see `variant_class`.
    """
    terms = tuple(term for term in consequence.split("&") if term) or ("sequence_variant",)
    term = min(terms, key=severity)
    name = variant_class(term, call, predictors, called=called)
    unjudged = called and not call and name == LOW_CONFIDENCE
    return Judgement(
        # Of one class, what was called goes before what was not: masks may ask for the call.
        order=(2 * CLASSES.index(name) + unjudged) * (LEAST_SEVERE + 1) + severity(term),
        term=term,
        variant_class=name,
        terms=terms,
        unknown=tuple(term for term in terms if not _is_known(term)),
        unjudged=unjudged,
    )


def severity(term: str) -> int:
    """Rank of a term, 0 for the most severe; terms of nobody's rank last."""
    return SEVERITY.get(SNPEFF.get(term, term), LEAST_SEVERE)


def _is_known(term: str) -> bool:
    return SNPEFF.get(term, term).removeprefix(BEHIND_A_STOP) in SEVERITY


def variant_class(term: str, call: str, predictors: tuple[str, str], *, called: bool) -> str:
    """Class of an entry from its most severe term.

    Where LOFTEE ran, plof is what it calls high confidence (HC). plof_low_confidence is what it calls
    anything else (LC, OS), and a term of loss of function that it did not judge, as in transcripts that code
    for no protein: nobody vouches for it, but its gene must not show a milder transcript instead. Without
    LOFTEE the term decides. Damaging missense: PolyPhen probably_damaging and SIFT deleterious (BipEx).
    In-frame changes, lost starts and stops are other_missense.
    """
    term = SNPEFF.get(term, term)
    if call == "HC" if called else term in PLOF_TERMS:
        return "plof"
    if call or term in PLOF_TERMS:
        return LOW_CONFIDENCE
    if term in MISSENSE_TERMS and _are_damaging(*predictors):
        return "damaging_missense"
    if term in MISSENSE_TERMS or term in OTHER_MISSENSE_TERMS:
        return "other_missense"
    return "synonymous" if term in SYNONYMOUS_TERMS else "other"


def _are_damaging(polyphen: str, sift: str) -> bool:
    return "probably_damaging" in polyphen.split("&") and "deleterious" in sift.split("&")
