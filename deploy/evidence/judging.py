"""Scores of judges: AUROC with its interval, paired differences, over one and over several cohorts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Labels = NDArray[np.int8]
Values = NDArray[np.float64]
QUANTILE = 1.959964
"""Of the normal distribution, for 95 %."""


@dataclass(frozen=True)
class Estimate:
    """An estimate and its standard error."""

    value: float
    error: float

    def bounds(self) -> dict[str, float]:
        """Estimate and 95 % interval, rounded."""
        half = QUANTILE * self.error
        numbers = {"estimate": self.value, "low": self.value - half, "high": self.value + half}
        return {name: round(float(number), 4) for name, number in numbers.items()}


def auroc(is_case_M: Labels, score_M: Values) -> Estimate:
    """AUROC of unrelated people, with the standard error of DeLong et al. 1988."""
    case, control = _placements(is_case_M, score_M)
    return Estimate(float(case.mean()), _error(case, control))


def auroc_difference(is_case_M: Labels, score_M: Values, rival_M: Values) -> Estimate:
    """AUROC of a score less that of a rival on the same people (DeLong et al. 1988)."""
    case, control = (
        one - other
        for one, other in zip(_placements(is_case_M, score_M), _placements(is_case_M, rival_M), strict=True)
    )
    return Estimate(float(case.mean()), _error(case, control))


def pooled(estimates: Sequence[Estimate]) -> Estimate:
    """Mean over cohorts drawn independently.

    The error is that of the judges, or the spread between cohorts where that is larger: which genes were
    drawn matters too.
    """
    values = np.array([estimate.value for estimate in estimates])
    of_judges = np.sqrt(np.sum([estimate.error**2 for estimate in estimates])) / len(values)
    between = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return Estimate(float(values.mean()), float(max(of_judges, between)))


def precision_at_planted(ranking_G: Values, causal: NDArray[np.int64]) -> float | None:
    """Share of causal genes among the top-ranked, as many as are causal; none where all or no genes are."""
    n = len(causal)
    if not 0 < n < len(ranking_G):
        return None
    top = np.argsort(-ranking_G, kind="stable")[:n]
    return round(float(np.isin(top, causal).mean()), 4)


def _placements(is_case_M: Labels, score_M: Values) -> tuple[Values, Values]:
    """Of each case the share of controls below it, of each control the share of cases above it."""
    case_M = is_case_M == 1
    n_cases, n_controls = int(case_M.sum()), int((~case_M).sum())
    rank_M = rankdata(score_M)
    case = (rank_M[case_M] - rankdata(score_M[case_M])) / n_controls
    control = 1 - (rank_M[~case_M] - rankdata(score_M[~case_M])) / n_cases
    return case, control


def _error(case: Values, control: Values) -> float:
    return float(np.sqrt(case.var(ddof=1) / len(case) + control.var(ddof=1) / len(control)))


def row_of(estimate: Estimate) -> dict[str, Any]:
    """The columns auroc, low and high of the table."""
    bounds = estimate.bounds()
    return {"auroc": bounds["estimate"], "low": bounds["low"], "high": bounds["high"]}
