"""What a score is worth: pure functions on arrays, each with a bootstrap interval over families."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from train.config import EvaluationConfig

Labels = NDArray[np.int8]
Values = NDArray[np.float64]
Metric = Callable[[Labels, Values], float]

EDGE = 1e-6  # probabilities are kept this far from 0 and 1 where their logit is taken


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A metric on all people and on each of D bootstrap draws."""

    estimate: float
    value_D: Values

    def interval(self) -> Interval:
        """The middle 95 % of the draws (percentile bootstrap); NaN where there are none."""
        if not len(self.value_D):
            return Interval(self.estimate, float("nan"), float("nan"))
        low, high = np.quantile(self.value_D, [0.025, 0.975], method="inverted_cdf")
        return Interval(self.estimate, float(low), float(high))

    def __sub__(self, other: Measured) -> Measured:
        return Measured(self.estimate - other.estimate, self.value_D - other.value_D)


def auroc(is_case_M: Labels, score_M: Values) -> float:
    """Probability that a case scores above a control, ties counting half; NaN without both classes."""
    if len(np.unique(is_case_M)) < 2:
        return float("nan")
    return float(roc_auc_score(is_case_M, score_M))


def average_precision(is_case_M: Labels, score_M: Values) -> float:
    """Precision averaged over the recall gained at each score."""
    return float(average_precision_score(is_case_M, score_M))


def accuracy(is_case_M: Labels, score_M: Values, threshold: float = 0.5) -> float:
    """Share of people on the right side of the threshold."""
    return float(np.mean((score_M >= threshold) == (is_case_M == 1)))


def balanced_accuracy(is_case_M: Labels, score_M: Values, threshold: float = 0.5) -> float:
    """Mean of the shares of cases and of controls on the right side of the threshold."""
    return float(balanced_accuracy_score(is_case_M, score_M >= threshold))


def brier(is_case_M: Labels, probability_M: Values) -> float:
    """Mean squared distance between probability and outcome."""
    return float(np.mean((probability_M - is_case_M) ** 2))


def calibration_slope(is_case_M: Labels, probability_M: Values) -> float:
    """Slope of a logistic regression of the outcome on the probability's logit (Cox 1958).

    1 is calibrated, less is overconfident.
    """
    clipped = np.clip(probability_M, EDGE, 1 - EDGE)
    logit_M1 = np.log(clipped / (1 - clipped))[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # people split perfectly have no finite slope
        fitted = LogisticRegression(C=1e6, solver="newton-cholesky").fit(logit_M1, is_case_M)
    return float(fitted.coef_[0, 0])


def expected_calibration_error(is_case_M: Labels, probability_M: Values, n_bins: int = 10) -> float:
    """Mean distance between mean probability and share of cases in equal-width bins, weighted by people.

    Naeini et al. 2015.
    """
    bin_M = np.minimum((probability_M * n_bins).astype(int), n_bins - 1)
    gap = np.bincount(bin_M, probability_M - is_case_M, n_bins)
    return float(np.abs(gap).sum() / len(is_case_M))


def liability_r2(is_case_M: Labels, probability_M: Values, prevalence: float) -> float:
    """Share of the variance of liability that the probability explains (Lee et al. 2012, equation 15).

    Parameters
    ----------
    is_case_M
        1 or 0; cases may be more frequent here than in the population.
    probability_M
        Score of each person.
    prevalence
        Share of cases in the population.
    """
    share = is_case_M.mean()
    if np.ptp(probability_M) == 0:
        return 0.0
    observed = np.corrcoef(is_case_M, probability_M)[0, 1] ** 2
    threshold = norm.ppf(1 - prevalence)
    density = norm.pdf(threshold)
    selection = density / prevalence * (share - prevalence) / (1 - prevalence)
    theta = selection * (selection - threshold)
    scale = (prevalence * (1 - prevalence) / density) ** 2 / (share * (1 - share))
    return float(observed * scale / (1 + observed * theta * scale))


def standard_metrics(config: EvaluationConfig) -> dict[str, Metric]:
    """All metrics of a probability; the threshold serves the two accuracies, the prevalence liability R²."""
    metrics: dict[str, Metric] = {
        "auroc": auroc,
        "average_precision": average_precision,
        "accuracy": partial(accuracy, threshold=config.threshold),
        "balanced_accuracy": partial(balanced_accuracy, threshold=config.threshold),
        "brier": brier,
        "calibration_slope": calibration_slope,
        "expected_calibration_error": expected_calibration_error,
    }
    if config.prevalence is not None:
        metrics["liability_r2"] = partial(liability_r2, prevalence=config.prevalence)
    return metrics


def family_draws(
    is_case_M: Labels, family_M: NDArray[np.int32], draws: int, seed: int
) -> list[NDArray[np.int64]]:
    """People of each bootstrap draw: whole families with replacement, as many as there are.

    Draws that hold only one class are drawn again, at most `draws` times in all.

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
    families, inverse = np.unique(family_M, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(inverse))[:-1])
    kept: list[NDArray[np.int64]] = []
    for _ in range(2 * draws):
        chosen = rng.integers(0, len(families), len(families))
        people = np.concatenate([members[family] for family in chosen])
        if 0 < is_case_M[people].sum() < len(people):
            kept.append(people)
        if len(kept) == draws:
            break
    return kept


def measure(
    metrics: Mapping[str, Metric], is_case_M: Labels, score_M: Values, drawn: list[NDArray[np.int64]]
) -> dict[str, Measured]:
    """Each metric on all people and on the people of each draw."""
    return {
        name: Measured(
            metric(is_case_M, score_M),
            np.array([metric(is_case_M[people], score_M[people]) for people in drawn]),
        )
        for name, metric in metrics.items()
    }
