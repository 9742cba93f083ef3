"""What kind of change an alternate allele is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

KINDS = ("transition", "transversion", "insertion", "deletion", "other")
TRANSITION, TRANSVERSION, INSERTION, DELETION, OTHER = range(len(KINDS))

_TRANSITIONS = {"AG", "GA", "CT", "TC"}


def allele_kinds(refs: Sequence[str], alts: Sequence[str]) -> NDArray[np.int8]:
    """The place in `KINDS` of each alternate allele, by the rules of `hl.numeric_allele_type`.

    Parameters
    ----------
    refs, alts
        Upper-case bases, in parallel.
    """
    return np.array([_kind(ref, alt) for ref, alt in zip(refs, alts, strict=True)], dtype=np.int8)


def _kind(ref: str, alt: str) -> int:
    if len(ref) == len(alt):
        # Records with one alternate allele keep their bases: AT>AG is the SNV T>G.
        different = [first + second for first, second in zip(ref, alt, strict=True) if first != second]
        if len(different) != 1:
            return OTHER
        return TRANSITION if different[0] in _TRANSITIONS else TRANSVERSION
    shorter, longer = sorted((ref, alt), key=len)
    if shorter[0] == longer[0] and longer.endswith(shorter[1:]):
        return INSERTION if longer is alt else DELETION
    return OTHER
