"""95 % intervals for people in families: DeLong's for AUROC, the family bootstrap for everything else.

Both were chosen by how often their intervals contain the truth on simulated test folds: see
`deploy/evidence/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from scipy.stats import t as student

from train.metrics import Labels, Metric, Values

Families = NDArray[np.integer[Any]]

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
DELONG = "logit DeLong, families as clusters"
PAIRED_DELONG = "paired DeLong, families as clusters"
BOOTSTRAP = "family bootstrap, bias-corrected"
BOUND = "exact binomial bound"
CHUNK = 2_000_000  # people × draws at a time: 16 MB for each matrix of a metric


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; what cannot be told is None, and the note says why."""

    estimate: float | None
    low: float | None
    high: float | None
    method: str = ""
    note: str | None = None


def nothing(note: str) -> Interval:
    """The interval of a metric that says nothing here."""
    return Interval(None, None, None, "", note)


def auroc_interval(is_case_M: Labels, score_M: Values, family_M: Families) -> Interval:
    """AUROC with DeLong's interval on the scale of its log odds, families as clusters.

    Placement values are summed by family (Obuchowski 1997), the interval is symmetric in log odds (Pepe
    2003, section 5.2) and uses Student's t with one degree of freedom less than there are families. With
    families of one person the variance is DeLong's (1988).

    Parameters
    ----------
    is_case_M
        1 or 0.
    score_M
        Higher for cases; ties count half.
    family_M
        Any integers; equal for members of a family.
    """
    counts = _Clusters(is_case_M, family_M)
    if counts.fault:
        return counts.unable(score_M)
    placement_M = placements(is_case_M, score_M)
    estimate = float(placement_M[is_case_M == 1].mean())
    if estimate in (0.0, 1.0):
        # No pair speaks against it: as many successes without failure as the rarer class has families.
        reach = 1 - float(TAIL ** (1 / min(counts.with_case, counts.with_control)))
        low, high = (1 - reach, 1.0) if estimate else (0.0, reach)
        return Interval(estimate, low, high, BOUND)
    half = counts.quantile * counts.deviation(placement_M - estimate) / (estimate * (1 - estimate))
    middle = np.log(estimate / (1 - estimate))
    low, high = (float(1 / (1 + np.exp(-(middle + sign * half)))) for sign in (-1, 1))
    return Interval(estimate, low, high, DELONG)


def auroc_difference(is_case_M: Labels, score_M: Values, rival_M: Values, family_M: Families) -> Interval:
    """AUROC of a score minus that of a rival on the same people: paired DeLong, families as clusters.

    DeLong et al. 1988 with the clusters of Obuchowski 1997, and Student's t as in `auroc_interval`.
    """
    counts = _Clusters(is_case_M, family_M)
    if counts.fault:
        return nothing(counts.fault)
    gained_M = placements(is_case_M, score_M) - placements(is_case_M, rival_M)
    estimate = float(gained_M[is_case_M == 1].mean())
    half = counts.quantile * counts.deviation(gained_M - estimate)
    return Interval(estimate, max(estimate - half, -1.0), min(estimate + half, 1.0), PAIRED_DELONG)


def placements(is_case_M: Labels, score_M: Values) -> Values:
    """Of a case the share of controls below it, of a control the share of cases above it; ties count half.

    Their mean over cases, as over controls, is the AUROC (DeLong 1988, V10 and V01).
    """
    cases_M = is_case_M == 1
    value_M = np.empty(len(score_M))
    rank_M = rankdata(score_M)
    n_cases = int(cases_M.sum())
    value_M[cases_M] = (rank_M[cases_M] - rankdata(score_M[cases_M])) / (len(score_M) - n_cases)
    value_M[~cases_M] = 1 - (rank_M[~cases_M] - rankdata(score_M[~cases_M])) / n_cases
    return value_M


class _Clusters:
    """Families of the people, and the variance of a mean of placement values between them."""

    def __init__(self, is_case_M: Labels, family_M: Families) -> None:
        self.is_case_M = is_case_M
        families, self.position_M = np.unique(family_M, return_inverse=True)
        self.families = len(families)
        self.with_case = len(np.unique(family_M[is_case_M == 1]))
        self.with_control = len(np.unique(family_M[is_case_M == 0]))
        self.fault = ""
        if not self.with_case or not self.with_control:
            self.fault = f"only {'controls' if not self.with_case else 'cases'}: no pair to compare"
        elif min(self.with_case, self.with_control) < 2:
            rarer = "case" if self.with_case < 2 else "control"
            self.fault = f"only one family with a {rarer}: no interval"

    @property
    def quantile(self) -> float:
        """Of Student's t: few families know their own variance badly."""
        return float(student.ppf(1 - TAIL, self.families - 1))

    def deviation(self, residual_M: Values) -> float:
        """Standard error of the AUROC from placement values less their mean (Obuchowski 1997, equation 3)."""
        n_cases = int(self.is_case_M.sum())
        of_cases_M = residual_M * self.is_case_M / n_cases
        of_controls_M = residual_M * (1 - self.is_case_M) / (len(residual_M) - n_cases)
        cases_F = np.bincount(self.position_M, of_cases_M, self.families)
        controls_F = np.bincount(self.position_M, of_controls_M, self.families)
        variance = (
            cases_F @ cases_F * self.with_case / (self.with_case - 1)
            + controls_F @ controls_F * self.with_control / (self.with_control - 1)
            + 2 * cases_F @ controls_F * self.families / (self.families - 1)
        )
        return float(np.sqrt(max(variance, 0.0)))

    def unable(self, score_M: Values) -> Interval:
        """The estimate without an interval where there is a pair at all."""
        if not self.with_case or not self.with_control:
            return nothing(self.fault)
        estimate = float(placements(self.is_case_M, score_M)[self.is_case_M == 1].mean())
        return Interval(estimate, None, None, "", self.fault)


@dataclass(frozen=True)
class FamilyDraws:
    """D bootstrap draws of F families: how often each holds a family, and the family of each of M people."""

    count_DF: NDArray[np.uint16]
    position_M: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.count_DF)

    @property
    def families(self) -> int:
        """Families that are drawn from."""
        return self.count_DF.shape[1]

    def weights(self) -> Iterator[Values]:
        """How often each person is in a draw, some draws at a time."""
        step = max(1, CHUNK // max(len(self.position_M), 1))
        for start in range(0, len(self), step):
            yield self.count_DF[start : start + step][:, self.position_M].astype(np.float64)


def family_draws(is_case_M: Labels, family_M: Families, draws: int, seed: int) -> FamilyDraws:
    """Draw whole families with replacement, as many as there are.

    Draws of one class are drawn again, at most `draws` times in all.

    Parameters
    ----------
    is_case_M
        1 or 0.
    family_M
        People of a family are drawn together.
    draws
        Number of draws.
    seed
        Of the draws.
    """
    rng = np.random.default_rng([seed, 11])
    families, position_M = np.unique(family_M, return_inverse=True)
    n = len(families)
    cases_F = np.bincount(position_M, is_case_M, n)
    controls_F = np.bincount(position_M, 1 - is_case_M, n)
    kept: list[NDArray[np.uint16]] = []
    for _ in range(2 * draws):
        count_F = np.bincount(rng.integers(0, n, n), minlength=n)
        if count_F @ cases_F > 0 and count_F @ controls_F > 0:
            kept.append(count_F.astype(np.uint16))
        if len(kept) == draws:
            break
    return FamilyDraws(np.array(kept, np.uint16).reshape(len(kept), n), position_M)


@dataclass(frozen=True)
class Measured:
    """A metric on all people and on each of D bootstrap draws of F families."""

    estimate: float
    value_D: Values
    families: int

    def interval(self) -> Interval:
        """Bias-corrected percentile interval (Efron 1987), its levels widened for few families.

        A bootstrap is too narrow by √((F - 1) / F) and by the normal quantile in place of Student's t
        (Hesterberg 2015, expanded percentiles). Without an estimate or where more than one draw in forty
        tells nothing, there is no interval.
        """
        if not np.isfinite(self.estimate):
            return nothing("not defined on these people")
        told_D = self.value_D[np.isfinite(self.value_D)]
        if self.families < 2 or len(told_D) <= (1 - TAIL) * len(self.value_D):
            return Interval(self.estimate, None, None, "", "too few families for an interval")
        low, high = np.quantile(told_D, self.levels(told_D), method="inverted_cdf")
        # Draws of an error that cannot fall below 0 may all lie above the estimate.
        low, high = min(low, self.estimate), max(high, self.estimate)
        return Interval(self.estimate, float(low), float(high), BOOTSTRAP)

    def levels(self, told_D: Values) -> tuple[float, float]:
        """Quantiles of the draws that bound the interval."""
        below = float((told_D < self.estimate).mean() + 0.5 * (told_D == self.estimate).mean())
        edge = 1 / (len(told_D) + 1)
        bias = float(norm.ppf(np.clip(below, edge, 1 - edge)))
        reach = float(student.ppf(1 - TAIL, self.families - 1)) * np.sqrt(self.families / (self.families - 1))
        return float(norm.cdf(2 * bias - reach)), float(norm.cdf(2 * bias + reach))

    def __sub__(self, other: Measured) -> Measured:
        return Measured(self.estimate - other.estimate, self.value_D - other.value_D, self.families)


def measure(
    metrics: Mapping[str, Metric], is_case_M: Labels, score_M: Values, drawn: FamilyDraws
) -> dict[str, Measured]:
    """Each metric on all people and on the people of each draw."""
    values: dict[str, list[Values]] = {name: [np.empty(0)] for name in metrics}
    for weight_DM in drawn.weights():
        for name, metric in metrics.items():
            values[name].append(metric.on_draws(is_case_M, score_M, weight_DM))
    return {
        name: Measured(metric(is_case_M, score_M), np.concatenate(values[name]), drawn.families)
        for name, metric in metrics.items()
    }
