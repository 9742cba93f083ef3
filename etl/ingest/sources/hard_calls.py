"""Calls from the genotype probabilities of BGEN: the likely ones, others missing.

Axes: P people, Q those of one ploidy, K alleles, G genotypes in the VCF's order.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from etl.ingest.sources.bgen_file import BgenVariant
from etl.ingest.split import HAPLOID

UNKNOWN = -1
_ROUNDING = 1e-6

Probabilities = NDArray[np.float64]


def hard_calls(variant: BgenVariant, min_probability: float) -> NDArray[np.int8]:
    """Allele numbers by haplotype and person (2 × P): the genotype of at least that probability, else -1.

    Haplotypes of phased calls are independent, so that the unordered genotype's probability is that of both
    orders together. A person of ploidy 0 has no call.

    Raises
    ------
    ValueError
        If somebody's ploidy is above 2, or probabilities are fewer or more than people need.
    """
    ploidy_P, n_alleles = variant.ploidy_P, len(variant.alleles)
    if n_alleles == 2 and not variant.phased and (ploidy_P == 2).all():
        return _common(variant, min_probability)
    if ploidy_P.max(initial=0) > 2:
        raise ValueError(f"calls of ploidy {ploidy_P.max()}, where only haploid and diploid ones are read")
    # Everybody stores all probabilities but the last, missing people zeros.
    widths = np.array([0, n_alleles - 1, _n_diploid(n_alleles, phased=variant.phased)])
    ends_P = np.cumsum(widths[ploidy_P])
    n_stored = int(ends_P[-1]) if len(ends_P) else 0
    if n_stored != len(variant.stored):
        raise ValueError(f"{len(variant.stored)} probabilities, where {n_stored} are needed")
    alleles_2P = np.full((2, len(ploidy_P)), UNKNOWN, dtype=np.int8)
    alleles_2P[1, ploidy_P == 1] = HAPLOID
    for ploidy in (1, 2):
        of_ploidy_Q = np.flatnonzero(ploidy_P == ploidy)
        if not len(of_ploidy_Q):
            continue
        places = (ends_P[of_ploidy_Q] - widths[ploidy])[:, np.newaxis] + np.arange(widths[ploidy])
        # The common case needs no gathering: everybody has the same ploidy.
        stored = (
            variant.stored.reshape(places.shape)
            if len(of_ploidy_Q) == len(ploidy_P)
            else variant.stored[places]
        )
        called_Q = ~variant.missing_P[of_ploidy_Q]
        shares = stored / variant.largest
        if ploidy == 1:
            found = _haploid(shares)
        elif variant.phased:
            found = _phased(shares.reshape(len(shares), 2, -1))
        else:
            found = _unphased(shares, n_alleles)
        first_Q, second_Q, probability_Q = found
        sure_Q = called_Q & (probability_Q >= min_probability - _ROUNDING)
        alleles_2P[0, of_ploidy_Q[sure_Q]] = first_Q[sure_Q]
        if ploidy == 2:
            alleles_2P[1, of_ploidy_Q[sure_Q]] = second_Q[sure_Q]
    return alleles_2P


def _common(variant: BgenVariant, min_probability: float) -> NDArray[np.int8]:
    """Two alleles, unphased, everybody diploid: nearly all variants, in whole numbers, ten times as fast."""
    n_people, stored = len(variant.ploidy_P), variant.stored
    if len(stored) != 2 * n_people:
        raise ValueError(f"{len(stored)} probabilities, where {2 * n_people} are needed")
    least = np.ceil((min_probability - _ROUNDING) * variant.largest).astype(np.int64)
    reference_P, both_P = stored[0::2], stored[1::2]
    alleles_2P = np.full((2, n_people), UNKNOWN, dtype=np.int8)
    alleles_2P[:, reference_P >= least] = 0
    het_P = both_P >= least
    alleles_2P[0, het_P], alleles_2P[1, het_P] = 0, 1
    alleles_2P[:, np.add(reference_P, both_P, dtype=np.int64) <= variant.largest - least] = 1
    alleles_2P[:, variant.missing_P] = UNKNOWN
    return alleles_2P


Found = tuple[NDArray[np.int64], NDArray[np.int64], Probabilities]
"""First and second allele of the likeliest genotype, and its probability."""


def _n_diploid(n_alleles: int, *, phased: bool) -> int:
    return 2 * (n_alleles - 1) if phased else n_alleles * (n_alleles + 1) // 2 - 1


def _with_last(shares: Probabilities) -> Probabilities:
    """All probabilities: the one that isn't stored is what the others leave."""
    return np.concatenate([shares, 1 - shares.sum(axis=-1, keepdims=True)], axis=-1)


def _haploid(shares: Probabilities) -> Found:
    shares_QK = _with_last(shares)
    best_Q = shares_QK.argmax(axis=1)
    return best_Q, best_Q, shares_QK.max(axis=1)


def _unphased(shares: Probabilities, n_alleles: int) -> Found:
    shares_QG = _with_last(shares)
    best_Q = shares_QG.argmax(axis=1)
    # The VCF's order, 0/0 0/1 1/1 0/2 …: by the larger allele first.
    pairs = sorted(combinations_with_replacement(range(n_alleles), 2), key=lambda pair: pair[::-1])
    pairs_G2 = np.array(pairs)
    return pairs_G2[best_Q, 0], pairs_G2[best_Q, 1], shares_QG.max(axis=1)


def _phased(shares: NDArray[np.float64]) -> Found:
    shares_Q2K = _with_last(shares)
    best_Q2 = shares_Q2K.argmax(axis=2)
    first_Q, second_Q = best_Q2[:, 0], best_Q2[:, 1]
    people = np.arange(len(first_Q))
    as_ordered = shares_Q2K[people, 0, first_Q] * shares_Q2K[people, 1, second_Q]
    other_order = shares_Q2K[people, 0, second_Q] * shares_Q2K[people, 1, first_Q]
    return first_Q, second_Q, as_ordered + np.where(first_Q == second_Q, 0, other_order)
