"""Whether an allele is more frequent in one batch than in the others, within ancestry groups.

Axes: V variants, A ancestry groups, B batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_EXPECTED = 5.0
"""Least room around the expected count in which the chi-squared distribution holds (Mantel & Fleiss 1980)."""

EXACT_BELOW = 1e-3
"""Where there is less room, asymptotic p-values below this are replaced by exact ones: one allele in a batch
that holds 0.9 % of the alleles has p = 2e-7 asymptotically, and 0.009 exactly."""

AS_LIKELY = 1 + 1e-7
"""Outcomes count as as unlikely as the observed one up to rounding, as in R's fisher.test."""


def batch_p(alternate_VAB: Counts, alleles_VAB: Counts, size_AB: Counts) -> Values:
    """P-value of each batch against all others.

    Cochran-Mantel-Haenszel with continuity correction over ancestry groups, and the exact conditional test
    where alternate alleles are too few for it. The formula of the first is that of
    `hl.cochran_mantel_haenszel_test`, which multiplies four margins as 64-bit integers: from about 10,000
    alleles in a cell the product overflows and the statistic is wrong.

    Parameters
    ----------
    alternate_VAB, alleles_VAB
        Alternate alleles, and all alleles of called people.
    size_AB
        People. An ancestry group says nothing about a batch that has nobody of it, or all of it.

    Returns
    -------
    numpy.ndarray
        V × B. NaN where nothing is compared and where nobody, or everybody, carries the variant: without
        variance there is no test.
    """
    compared_AB = (size_AB > 0) & (size_AB < size_AB.sum(axis=1, keepdims=True))
    inside, alleles_inside = alternate_VAB.astype(np.float64), alleles_VAB.astype(np.float64)
    alternate, total = (values.sum(axis=2, keepdims=True) for values in (inside, alleles_inside))
    # A group with fewer than two alleles has neither a difference nor a variance.
    counts_VAB = compared_AB & (total > 1)

    def summed(values_VAB: Values) -> Values:
        return np.where(counts_VAB, values_VAB, 0).sum(axis=1)

    with np.errstate(invalid="ignore", divide="ignore"):
        expected = alternate * alleles_inside / total
        variance_VB = summed(expected * (total - alternate) * (total - alleles_inside) / (total**2 - total))
        difference_VB = np.abs(summed(inside - expected))
        statistic_VB = (difference_VB - 0.5) ** 2 / variance_VB
    # Without carriers the variance is 0 and the statistic infinite, which is not significant.
    p_VB = np.where(variance_VB > 0, chdtrc(1, statistic_VB), np.nan)
    low_VB = summed(np.maximum(0, alternate + alleles_inside - total))
    high_VB = summed(np.minimum(alternate, alleles_inside))
    expected_VB = summed(expected)
    room_VB = np.minimum(expected_VB - low_VB, high_VB - expected_VB)
    for variant, batch in np.argwhere((room_VB < MIN_EXPECTED) & (p_VB < EXACT_BELOW)):
        groups = counts_VAB[variant, :, batch]
        p_VB[variant, batch] = exact_p(
            alternate_VAB[variant, groups], alleles_VAB[variant, groups], int(batch)
        )
    return p_VB


def exact_p(alternate_AB: Counts, alleles_AB: Counts, batch: int) -> float:
    """Two-sided exact conditional p-value of one batch against the others, over ancestry groups.

    Given the margins of each group, the batch's alternate alleles are hypergeometric, and their sum over
    groups has the distributions' convolution; with one group it is Fisher's exact test.
    """
    distribution = np.ones(1)
    for alternate_B, alleles_B in zip(alternate_AB, alleles_AB, strict=True):
        distribution = np.convolve(
            distribution, _hypergeometric(int(alleles_B.sum()), int(alternate_B.sum()), int(alleles_B[batch]))
        )
    observed = distribution[alternate_AB[:, batch].sum()]
    return float(min(1.0, distribution[distribution <= observed * AS_LIKELY].sum()))


def _hypergeometric(n_alleles: int, n_alternate: int, n_drawn: int) -> Values:
    """Probabilities of 0, 1, … alternate alleles among those drawn, up to all there are."""
    k = np.arange(n_alternate + 1)
    possible = (k <= n_drawn) & (n_drawn - k <= n_alleles - n_alternate)
    k = k[possible]
    log_p = (
        _log_choose(n_alternate, k)
        + _log_choose(n_alleles - n_alternate, n_drawn - k)
        - _log_choose(n_alleles, np.array(n_drawn))
    )
    probabilities = np.zeros(n_alternate + 1)
    probabilities[possible] = np.exp(log_p)
    return probabilities


def _log_choose(n: int, k: NDArray[np.int64]) -> Values:
    chosen: Values = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return chosen
