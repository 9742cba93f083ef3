"""Alleles of a record: minimal representation, and what makes an allele unusable."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BASES = re.compile("[ACGTN]+")


def is_sequence(allele: str) -> bool:
    """Whether an allele is written in bases: not symbolic such as <DEL>, not the star, no breakend."""
    return _BASES.fullmatch(allele) is not None


def minimal_representation(position: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Position and alleles without shared bases, as `hl.min_rep` gives them.

    Shared bases go from the end first, then from the start, but one base of each allele stays. Alleles that
    are not written in bases are left alone.
    """
    if not (is_sequence(ref) and is_sequence(alt)) or ref == alt:
        return position, ref, alt
    shared, most = 0, min(len(ref), len(alt)) - 1
    while shared < most and ref[-1 - shared] == alt[-1 - shared]:
        shared += 1
    ref, alt = ref[: len(ref) - shared], alt[: len(alt) - shared]
    shared, most = 0, min(len(ref), len(alt)) - 1
    while shared < most and ref[shared] == alt[shared]:
        shared += 1
    return position + shared, ref[shared:], alt[shared:]


def allele_reasons(ref: str, alts: Sequence[str], place: int) -> list[str]:
    """Names of what is wrong with one alternate allele of a record, upper-case alleles."""
    reasons = []
    if not (is_sequence(ref) and is_sequence(alts[place])):
        reasons.append("not_bases")
    if alts[place] == ref:
        reasons.append("ref_equals_alt")
    if alts[place] in alts[:place] or alts[place] in alts[place + 1 :]:
        # Which of the two a carrier has can't be told: both would lose some of their carriers.
        reasons.append("repeated_allele")
    return reasons
