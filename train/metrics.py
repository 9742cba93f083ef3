"""What a score is worth: each metric on everybody at once, and on many weighted draws of the same people.

Axes: M people, D draws of families. Every metric is written once, for weights, so that a bootstrap of a
thousand draws takes a few passes over a matrix instead of a thousand calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from train.config import EvaluationConfig

Labels = NDArray[np.int8]
Values = NDArray[np.float64]

EDGE = 1e-6  # probabilities are kept this far from 0 and 1 where their logit is taken
CALIBRATION_BINS = 10  # of equal width, as Naeini et al. 2015 have them
NEWTON_STEPS, NEWTON_TOLERANCE, LONGEST_STEP = 30, 1e-7, 5.0
STEEPEST = 50.0  # log odds per standard deviation; more has no end: cases and controls are separated


class Metric:
    """A metric that is called with labels and scores, and knows its value on weighted draws too.

    It wraps a function of (is_case_M, value_M, weight_DM) that returns value_D; weights count how often a
    draw holds each person. Values are NaN where a draw cannot tell: of one class, for example.
    """

    def __init__(self, values: Callable[..., Values]) -> None:
        self.values = values
        update_wrapper(self, values)

    def __call__(self, is_case_M: Labels, value_M: Values, **settings: float) -> float:
        """The metric on everybody, each person once."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value_D = self.values(is_case_M, value_M, np.ones((1, len(is_case_M))), **settings)
        return float(value_D[0])

    def on_draws(self, is_case_M: Labels, value_M: Values, weight_DM: Values) -> Values:
        """The metric on each draw."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.values(is_case_M, value_M, weight_DM)

    def at(self, **settings: float) -> Metric:
        """The same metric with a threshold or prevalence set."""
        return Metric(partial(self.values, **settings))


@Metric
def auroc(is_case_M: Labels, score_M: Values, weight_DM: Values) -> Values:
    """Probability that a case scores above a control, ties counting half; NaN without both classes."""
    cases_N, controls_K = np.flatnonzero(is_case_M == 1), np.flatnonzero(is_case_M == 0)
    controls_K = controls_K[np.argsort(score_M[controls_K])]
    # Weight of the controls below each case: the first `under` by score, those up to `until` counting half.
    summed_DK = np.zeros((len(weight_DM), len(controls_K) + 1))
    np.cumsum(weight_DM[:, controls_K], axis=1, out=summed_DK[:, 1:])
    under_N, until_N = (
        np.searchsorted(score_M[controls_K], score_M[cases_N], side) for side in ("left", "right")
    )
    cases_DN = weight_DM[:, cases_N]
    below_D = np.einsum("dn,dn->d", cases_DN, summed_DK[:, under_N])
    if (under_N < until_N).any():
        below_D = (below_D + np.einsum("dn,dn->d", cases_DN, summed_DK[:, until_N])) / 2
    return np.asarray(below_D / (cases_DN.sum(axis=1) * summed_DK[:, -1]))


@Metric
def average_precision(is_case_M: Labels, score_M: Values, weight_DM: Values) -> Values:
    """Precision averaged over the recall gained at each score; NaN without cases."""
    cases_DT, controls_DT = _by_score(is_case_M, -score_M, weight_DM)
    true_DT = np.cumsum(cases_DT, axis=1)
    called_DT = true_DT + np.cumsum(controls_DT, axis=1)
    # Scores above all people of a draw call nobody: no recall is gained there, whatever the precision.
    precision_DT = np.divide(true_DT, called_DT, out=np.zeros_like(true_DT), where=called_DT > 0)
    return np.asarray(np.einsum("dt,dt->d", cases_DT, precision_DT) / cases_DT.sum(axis=1))


@Metric
def accuracy(is_case_M: Labels, score_M: Values, weight_DM: Values, threshold: float = 0.5) -> Values:
    """Share of people on the right side of the threshold; a score at the threshold calls a case."""
    right_M = (score_M >= threshold) == (is_case_M == 1)
    return _mean(weight_DM, right_M)


@Metric
def sensitivity(is_case_M: Labels, score_M: Values, weight_DM: Values, threshold: float = 0.5) -> Values:
    """Share of cases called cases; NaN without cases."""
    return _mean(weight_DM * is_case_M, score_M >= threshold)


@Metric
def specificity(is_case_M: Labels, score_M: Values, weight_DM: Values, threshold: float = 0.5) -> Values:
    """Share of controls called controls; NaN without controls."""
    return _mean(weight_DM * (1 - is_case_M), score_M < threshold)


@Metric
def balanced_accuracy(
    is_case_M: Labels, score_M: Values, weight_DM: Values, threshold: float = 0.5
) -> Values:
    """Mean of sensitivity and specificity."""
    found = sensitivity.values(is_case_M, score_M, weight_DM, threshold)
    return (found + specificity.values(is_case_M, score_M, weight_DM, threshold)) / 2


@Metric
def f1(is_case_M: Labels, score_M: Values, weight_DM: Values, threshold: float = 0.5) -> Values:
    """Harmonic mean of precision and sensitivity; 0 where nobody is rightly called a case."""
    called_M = score_M >= threshold
    true_D = weight_DM @ (called_M & (is_case_M == 1))
    return np.asarray(2 * true_D / (weight_DM @ (called_M + is_case_M)))


@Metric
def brier(is_case_M: Labels, probability_M: Values, weight_DM: Values) -> Values:
    """Mean squared distance between probability and outcome."""
    return _mean(weight_DM, (probability_M - is_case_M) ** 2)


@Metric
def scaled_brier(is_case_M: Labels, probability_M: Values, weight_DM: Values) -> Values:
    """Share of the Brier score that is gained over giving everybody the share of cases (Steyerberg 2010).

    1 is perfect, 0 tells no more than the share of cases, below 0 tells less.
    """
    share_D = _mean(weight_DM, is_case_M)
    return 1 - brier.values(is_case_M, probability_M, weight_DM) / (share_D * (1 - share_D))


@Metric
def calibration_slope(is_case_M: Labels, probability_M: Values, weight_DM: Values) -> Values:
    """Slope of a logistic regression of the outcome on the probability's logit (Cox 1958).

    1 is calibrated, less is overconfident. NaN where the maximum likelihood has no finite slope: the score
    does not vary, or separates cases from controls.
    """
    logit_M = logit(probability_M)
    scale = float(logit_M.std())
    if scale < 1e-9:
        return np.full(len(weight_DM), np.nan)
    x_2M = np.stack([np.ones(len(logit_M)), (logit_M - logit_M.mean()) / scale])
    theta_D2 = _logistic_regressions(is_case_M, x_2M, np.zeros(len(logit_M)), weight_DM)
    return theta_D2[:, 1] / scale


@Metric
def calibration_intercept(is_case_M: Labels, probability_M: Values, weight_DM: Values) -> Values:
    """Calibration in the large: what has to be added to everybody's logit (Cox 1958, slope fixed at 1).

    0 is calibrated, above 0 the probabilities are too low.
    """
    ones_1M = np.ones((1, len(is_case_M)))
    return _logistic_regressions(is_case_M, ones_1M, logit(probability_M), weight_DM)[:, 0]


@Metric
def expected_calibration_error(
    is_case_M: Labels, probability_M: Values, weight_DM: Values, n_bins: int = CALIBRATION_BINS
) -> Values:
    """Mean distance between mean probability and share of cases in equal-width bins, weighted by people.

    Naeini et al. 2015. Chance alone makes it positive: see `calibration_error_by_chance` and
    `train.calibration_error`.
    """
    gap_MB = calibration_gaps(is_case_M, probability_M, n_bins)
    return np.asarray(np.abs(weight_DM @ gap_MB).sum(axis=1) / weight_DM.sum(axis=1))


@Metric
def liability_r2(
    is_case_M: Labels, probability_M: Values, weight_DM: Values, prevalence: float = 0.01
) -> Values:
    """Share of the variance of liability that the score explains (Lee et al. 2012, equation 15), signed.

    Below 0 where the score is higher in controls, so that an interval around chance contains 0; 0 where the
    score does not vary. Cases may be more frequent here than in the population, where their share is
    `prevalence`.
    """
    share_D = _mean(weight_DM, is_case_M)
    centred_M = probability_M - probability_M.mean()
    mean_D = _mean(weight_DM, centred_M)
    variance_D = _mean(weight_DM, centred_M**2) - mean_D**2
    covariance_D = _mean(weight_DM, centred_M * is_case_M) - mean_D * share_D
    varies_D = variance_D > 1e-18
    scaled_D = np.where(varies_D, variance_D, 1.0) * share_D * (1 - share_D)
    observed_D = np.where(varies_D, covariance_D**2 / scaled_D, 0.0)
    threshold = norm.ppf(1 - prevalence)
    density = norm.pdf(threshold)
    selection_D = density / prevalence * (share_D - prevalence) / (1 - prevalence)
    theta_D = selection_D * (selection_D - threshold)
    scale_D = (prevalence * (1 - prevalence) / density) ** 2 / (share_D * (1 - share_D))
    explained_D = observed_D * scale_D / (1 + observed_D * theta_D * scale_D)
    return np.asarray(np.sign(covariance_D) * explained_D)


def standard_metrics(config: EvaluationConfig) -> dict[str, Metric]:
    """All metrics of a probability; the threshold is for those that call cases, the prevalence for R²."""
    threshold = {"threshold": config.threshold}
    metrics = {
        "auroc": auroc,
        "average_precision": average_precision,
        "accuracy": accuracy.at(**threshold),
        "balanced_accuracy": balanced_accuracy.at(**threshold),
        "sensitivity": sensitivity.at(**threshold),
        "specificity": specificity.at(**threshold),
        "f1": f1.at(**threshold),
        "brier": brier,
        "scaled_brier": scaled_brier,
        "calibration_slope": calibration_slope,
        "calibration_intercept": calibration_intercept,
        "expected_calibration_error": expected_calibration_error,
    }
    if config.prevalence is not None:
        metrics["liability_r2"] = liability_r2.at(prevalence=config.prevalence)
    return metrics


def calibration_error_by_chance(probability_M: Values, seed: int, draws: int = 200) -> float:
    """Expected calibration error that these probabilities would have if they were right, on average.

    Outcomes are drawn from the probabilities themselves.
    """
    rng = np.random.default_rng([seed, 13])
    errors = [
        expected_calibration_error(
            (rng.random(len(probability_M)) < probability_M).astype(np.int8), probability_M
        )
        for _ in range(draws)
    ]
    return float(np.mean(errors))


def calibration_gaps(is_case_M: Labels, probability_M: Values, n_bins: int) -> Values:
    """Probability less outcome of each person (M), in the column of the person's bin (B), else 0."""
    bin_M = np.minimum((probability_M * n_bins).astype(int), n_bins - 1)
    return np.asarray(np.eye(n_bins)[bin_M] * (probability_M - is_case_M)[:, None])


def logit(probability_M: Values) -> Values:
    """Log odds; probabilities are kept `EDGE` away from 0 and 1."""
    clipped_M = np.clip(probability_M, EDGE, 1 - EDGE)
    return np.log(clipped_M / (1 - clipped_M))


def _mean(weight_DM: Values, value_M: NDArray[Any]) -> Values:
    return np.asarray(weight_DM @ value_M / weight_DM.sum(axis=1))


def _by_score(is_case_M: Labels, score_M: Values, weight_DM: Values) -> tuple[Values, Values]:
    """Weight of cases and of controls at each of T distinct scores, ascending."""
    order_M = np.argsort(score_M, kind="stable")
    sorted_M = score_M[order_M]
    sorted_DM = weight_DM[:, order_M]
    cases_DM = sorted_DM * is_case_M[order_M]
    controls_DM = sorted_DM - cases_DM
    first_T = np.flatnonzero(np.r_[True, sorted_M[1:] != sorted_M[:-1]])
    if len(first_T) == len(sorted_M):
        return cases_DM, controls_DM
    return np.add.reduceat(cases_DM, first_T, axis=1), np.add.reduceat(controls_DM, first_T, axis=1)


def _logistic_regressions(is_case_M: Labels, x_KM: Values, offset_M: Values, weight_DM: Values) -> Values:
    """Coefficients (D × K) of one unpenalised logistic regression per draw; NaN where none is finite."""
    # Draws differ little from their mean: its coefficients save most of the steps.
    start_1K = _newton(
        is_case_M, x_KM, offset_M, weight_DM.mean(axis=0, keepdims=True), np.zeros((1, len(x_KM)))
    )
    return _newton(
        is_case_M, x_KM, offset_M, weight_DM, np.nan_to_num(start_1K).repeat(len(weight_DM), axis=0)
    )


def _newton(is_case_M: Labels, x_KM: Values, offset_M: Values, weight_DM: Values, start_DK: Values) -> Values:
    theta_DK, n_terms = start_DK.copy(), len(x_KM)
    cross_MK = np.einsum("km,lm->mkl", x_KM, x_KM).reshape(len(offset_M), -1)
    converged_D = np.zeros(len(weight_DM), bool)
    for _ in range(NEWTON_STEPS):
        fitted_DM = expit(theta_DK @ x_KM + offset_M)
        gradient_DK = (weight_DM * (is_case_M - fitted_DM)) @ x_KM.T
        fitted_DM *= 1 - fitted_DM
        fitted_DM *= weight_DM
        hessian_DKK = (fitted_DM @ cross_MK).reshape(-1, n_terms, n_terms)
        # Separated people flatten the likelihood: the ridge keeps the step finite, and the slope runs away.
        hessian_DKK += 1e-10 * np.eye(n_terms)
        step_DK = np.linalg.solve(hessian_DKK, gradient_DK[:, :, None])[:, :, 0]
        theta_DK += np.clip(step_DK, -LONGEST_STEP, LONGEST_STEP)
        converged_D = np.abs(step_DK).max(axis=1) < NEWTON_TOLERANCE
        if converged_D.all():
            break
    finite_D = converged_D & (np.abs(theta_DK).max(axis=1) < STEEPEST)
    return np.where(finite_D[:, None], theta_DK, np.nan)
