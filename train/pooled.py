"""AUROC and average precision of out-of-fold scores, pooled over folds within which they are comparable.

Every fold is scored by a fit of its own, with an intercept and a scale of its own, and logits of different
fits must not be ranked against each other: a fold that by chance holds more cases leaves fewer to its fit,
whose intercept is then lower, and pooled ranks come out too low (Parker, Günter and Bedo 2007; Airola et al.
2011). Standardising logits within folds mends the intercept, but gives folds with more and with fewer cases
one mean. Here only a case and a control of the same fold are compared, and pairs of all folds are averaged:
each fold's share is an unbiased estimate for its fit, whatever the scale.

Axes in names: D draws, N people of a fold, T groups of people with tied scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class FoldScores:
    """People of one fold: labels, and scores by one fit."""

    is_case_N: NDArray[np.int8]
    score_N: Values


@dataclass(frozen=True)
class Pooled:
    """A metric of all people and of each draw."""

    estimate: float
    value_D: Values

    def __sub__(self, other: Pooled) -> Pooled:
        return Pooled(self.estimate - other.estimate, self.value_D - other.value_D)

    def interval(self) -> dict[str, float]:
        """Estimate and the middle 95 % of the draws, moved so that their mean is the estimate.

        A family drawn twice ties with itself, which lifts the average precision of every draw.
        """
        low, high = np.quantile(self.value_D - self.value_D.mean() + self.estimate, [0.025, 0.975])
        return {"estimate": self.estimate, "low": float(low), "high": float(high)}


def draw_families(families: Sequence[NDArray[np.int32]], draws: int, seed: int) -> list[NDArray[np.float32]]:
    """How often each person is drawn, D × N for each fold: whole families, as many as the fold has.

    Families lie within folds, so that folds are the strata of the bootstrap. Row 0 is the people themselves.
    The fits are not repeated: intervals are of scores on other people, not of other training sets.
    """
    weights = []
    for fold, family_N in enumerate(families):
        rng = np.random.default_rng([seed, 13, fold])
        _, place_N = np.unique(family_N, return_inverse=True)
        n_families = int(place_N.max()) + 1
        times = rng.multinomial(n_families, np.full(n_families, 1 / n_families), draws)
        weights.append(np.vstack([np.ones(len(family_N)), times[:, place_N]]).astype(np.float32))
    return weights


def pooled_auroc(folds: Sequence[FoldScores], weights: Sequence[NDArray[np.float32]]) -> Pooled:
    """Share of pairs of a case and a control of one fold in which the case scores higher; ties count half."""
    won, pairs = [], []
    for fold, weight_DN in zip(folds, weights, strict=True):
        cases_DT, controls_DT = _by_rank(fold, weight_DN)
        below_DT = np.cumsum(controls_DT, axis=1) - controls_DT
        won.append((cases_DT * (below_DT + 0.5 * controls_DT)).sum(axis=1))
        pairs.append(cases_DT.sum(axis=1) * controls_DT.sum(axis=1))
    return _pooled(won, pairs)


def pooled_average_precision(folds: Sequence[FoldScores], weights: Sequence[NDArray[np.float32]]) -> Pooled:
    """Share of cases among the people of a case's fold with at least its score, averaged over all cases."""
    precision, cases = [], []
    for fold, weight_DN in zip(folds, weights, strict=True):
        cases_DT, controls_DT = (part[:, ::-1] for part in _by_rank(fold, weight_DN))
        found_DT = np.cumsum(cases_DT, axis=1)
        called_DT = np.maximum(found_DT + np.cumsum(controls_DT, axis=1), 1e-12)
        precision.append((cases_DT * found_DT / called_DT).sum(axis=1))
        cases.append(cases_DT.sum(axis=1))
    return _pooled(precision, cases)


def mean_over_seeds(values: Sequence[Pooled]) -> Pooled:
    """Mean of a metric over fits with several seeds, draw by draw."""
    return Pooled(
        float(np.mean([value.estimate for value in values])),
        np.mean([value.value_D for value in values], axis=0),
    )


def _by_rank(fold: FoldScores, weight_DN: NDArray[np.float32]) -> tuple[Values, Values]:
    order = np.argsort(fold.score_N, kind="stable")
    sorted_N = fold.score_N[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_N[1:] > sorted_N[:-1]]))
    is_case_N = fold.is_case_N[order]
    ordered_DN = weight_DN[:, order].astype(np.float64)
    cases_DT = np.add.reduceat(ordered_DN * is_case_N, starts, axis=1)
    return cases_DT, np.add.reduceat(ordered_DN * (1 - is_case_N), starts, axis=1)


def _pooled(part: list[Values], whole: list[Values]) -> Pooled:
    part_D, whole_D = np.sum(part, axis=0), np.sum(whole, axis=0)
    value_D = part_D / np.maximum(whole_D, 1e-12)
    usable = np.flatnonzero(whole_D[1:] > 0) + 1
    return Pooled(float(value_D[0]), value_D[usable])
