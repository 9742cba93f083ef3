"""What an allele is multiplied by: weights by its frequency, or a score. Axis C: consequences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

from etl.aggregate.config import MaskConfig, Weight
from etl.aggregate.states import Alleles

Values = NDArray[np.float64]


def weights(weight: Weight, alleles: Alleles, score_C: Values | None) -> Values:
    """Weights of the allele that is counted.

    Madsen-Browning is 1 / sqrt(n q (1 - q)), where n people were called and q = (count + 1) / (2n + 2)
    (Madsen & Browning 2009, who take q of unaffected people; here no status is looked at). Beta is the
    density of Beta(a, b) at the allele's frequency, with 1 and 25 that of SKAT (Wu et al. 2011).

    Parameters
    ----------
    weight
        Which one.
    alleles
        The allele that is counted, in other people; the weight is NaN where nobody else was called.
    score_C
        The score of a weight by score; one that is missing or negative weighs 0.
    """
    frequency_C = alleles.frequency_C
    if weight.kind == "none":
        return np.ones(len(frequency_C))
    if weight.kind == "score":
        assert score_C is not None
        return np.fmax(score_C, 0.0)
    if weight.kind == "madsen_browning":
        number_C = np.where(np.isnan(frequency_C), np.nan, alleles.number_C)
        q_C = (alleles.count_C + 1) / (number_C + 2)
        return 1 / np.sqrt(number_C / 2 * q_C * (1 - q_C))
    a, b = weight.shape
    density_C: Values = np.exp(xlogy(a - 1, frequency_C) + xlog1py(b - 1, -frequency_C) - betaln(a, b))
    return density_C


def formula(mask: MaskConfig) -> str:
    """The weight of a mask in words, for the manifest: p is the frequency of the allele that is counted."""
    weight = mask.weight
    if weight.kind == "score":
        return f"score {weight.score}, 0 where it is missing or negative"
    if weight.kind == "madsen_browning":
        return "Madsen-Browning: 1 / sqrt(n q (1 - q)), q = (count + 1) / (2 n + 2), n people called"
    a, b = weight.shape
    # No word of these may be one that the audit takes for an estimate from labels.
    return "1" if weight.kind == "none" else f"p^(a-1) (1-p)^(b-1) / B(a, b), a = {a:g}, b = {b:g}"
