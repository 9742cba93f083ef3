"""From judged people and probabilities to what metrics.json says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.adjustment import can_adjust, fit_adjustment
from train.calibration_error import calibration_error_interval
from train.config import EvaluationConfig, TrainConfig
from train.decisions import OperatingPoint, decision_curve, youden_threshold
from train.intervals import (
    BOUND,
    TAIL,
    FamilyDraws,
    Interval,
    Measured,
    auroc_difference,
    auroc_interval,
    family_draws,
    measure,
    nothing,
)
from train.metrics import (
    Labels,
    Metric,
    Values,
    auroc,
    balanced_accuracy,
    calibration_error_by_chance,
    f1,
    logit,
    sensitivity,
    specificity,
    standard_metrics,
)

NETWORK, COVARIATES = "cnn", "covariates"
CALIBRATION_ERROR = "expected_calibration_error"
OUT_OF_FOLD = "people outside the sealed fold, each scored by a fit without their fold"
VALIDATION = "validation people, whom no gene effect knows and who told training when to stop"
CONFIGURED = "nobody: the configured threshold (evaluation.threshold)"
SEALED = "the people of the sealed fold themselves"
CALLS = {
    "sensitivity": sensitivity,
    "specificity": specificity,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
}
SHARES = {*CALLS, "accuracy", "average_precision"}
NO_INCREMENT = {"auroc_bootstrap", "calibration_slope", "calibration_intercept"}
"""Metrics of which more is not better, or that stand elsewhere."""
WIDEST_SLOPE = 4.0  # an interval of a calibration slope that is wider cannot tell 0 (noise) from 2
LITTLE_SPREAD = 0.25  # standard deviation of logits: odds that differ by a quarter between ordinary people


@dataclass(frozen=True)
class Reference:
    """People outside the sealed fold, scored by what is judged, but without knowing them; `people` says how.

    `logit_M` is calibrated like the probabilities that it is compared with.
    """

    is_case_M: Labels
    logit_M: Values
    components_MK: Values
    people: str = OUT_OF_FOLD


@dataclass(frozen=True)
class Judged:
    """People of the sealed fold with a known label, ascending by sample_index, and each model's probability.

    `components_MK` holds the K ancestry components that the dataset names (K = 0: none).
    """

    is_case_M: Labels
    sample_M: NDArray[np.int32]
    family_M: NDArray[np.int32]
    probabilities: dict[str, Values]
    components_MK: Values = field(default_factory=lambda: np.empty((0, 0)))
    components: tuple[str, ...] = ()
    reference: Reference | None = None


def summarise(judged: Judged, config: TrainConfig) -> dict[str, Any]:
    """All metrics of all models with intervals, differences in AUROC, and what the network's calls gain.

    Each value has the keys estimate, low, high, method and note; what cannot be told is null, and the note
    says why.
    """
    y_M, settings = judged.is_case_M, config.evaluation
    drawn = family_draws(y_M, judged.family_M, settings.bootstrap_draws, config.seed)
    metrics = standard_metrics(settings)
    measured = {
        name: measure(metrics, y_M, probability_M, drawn)
        for name, probability_M in judged.probabilities.items()
    }
    found: dict[str, Any] = {
        "n_test": len(y_M),
        "n_cases": int(y_M.sum()),
        "n_controls": int((y_M == 0).sum()),
        "n_families": len(np.unique(judged.family_M)),
        "majority_share": float(max(y_M.mean(), 1 - y_M.mean())),
        "draws_used": len(drawn),
    }
    for name, values in measured.items():
        found[name] = _as_json(model_intervals(judged, name, values, settings))
    for name, probability_M in judged.probabilities.items():
        error = calibration_error_interval(y_M, probability_M, drawn)
        found[name][CALIBRATION_ERROR] = asdict(error) | {
            "binned": measured[name][CALIBRATION_ERROR].estimate
        }
    chance = calibration_error_by_chance(judged.probabilities[NETWORK], config.seed)
    found[NETWORK][CALIBRATION_ERROR]["if_calibrated"] = chance
    found |= found[NETWORK]
    found["auroc_differences"] = {
        f"{NETWORK} - {name}": asdict(_difference(judged, name)) for name in measured if name != NETWORK
    }
    found["increments"] = _as_json(increments(judged, measured, found))
    found["operating_point"] = operating_point(judged, settings, drawn)
    found["adjusted"] = adjusted_auroc(judged)
    found["decision_curve"] = decision_curve(y_M, judged.probabilities[NETWORK])
    return found


def model_intervals(
    judged: Judged, name: str, measured: Mapping[str, Measured], settings: EvaluationConfig
) -> dict[str, Interval]:
    """Every metric of one model: AUROC by DeLong and by bootstrap, the others by bootstrap, with notes."""
    y_M, probability_M = judged.is_case_M, judged.probabilities[name]
    found = {
        "auroc": auroc_interval(y_M, probability_M, judged.family_M),
        "auroc_bootstrap": measured["auroc"].interval(),
    }
    for metric, value in measured.items():
        if metric == "auroc":
            continue
        interval = value.interval()
        if metric in CALLS:
            interval = _called(interval, probability_M, settings.threshold)
        elif metric == "calibration_slope":
            interval = _slope(interval, y_M, probability_M)
        found[metric] = _not_certain(interval, judged) if metric in SHARES else interval
    return found


def increments(
    judged: Judged, measured: Mapping[str, Mapping[str, Measured]], found: Mapping[str, Any]
) -> dict[str, Interval]:
    """Each metric of the network less that of covariates alone, on the same draws; none without covariates.

    Where either of the two says nothing, their difference does not either.
    """
    if COVARIATES not in measured:
        return {}
    gained = {"auroc": _difference(judged, COVARIATES)}
    for metric, value in measured[NETWORK].items():
        if metric in NO_INCREMENT or metric in gained:
            continue
        notes = [found[model][metric]["note"] for model in (NETWORK, COVARIATES)]
        untold = next((note for note in notes if note), None)
        gained[metric] = nothing(untold) if untold else (value - measured[COVARIATES][metric]).interval()
    # What chance adds to both binned errors nearly cancels; their debiased estimates have no draws in common.
    binned = gained[CALIBRATION_ERROR]
    gained[CALIBRATION_ERROR] = replace(binned, method=f"{binned.method}, of errors as binned")
    return gained


def operating_point(judged: Judged, settings: EvaluationConfig, drawn: FamilyDraws) -> dict[str, Any]:
    """What the network's calls are worth at one threshold, and who chose it: never the people judged."""
    point = OperatingPoint(settings.threshold, CONFIGURED)
    if judged.reference is not None:
        reference = judged.reference
        chosen = youden_threshold(reference.is_case_M, 1 / (1 + np.exp(-reference.logit_M)))
        point = OperatingPoint(chosen, f"{reference.people} (Youden)")
    probability_M = judged.probabilities[NETWORK]
    metrics: dict[str, Metric] = {
        name: metric.at(threshold=point.threshold) for name, metric in CALLS.items()
    }
    intervals = {
        name: _not_certain(_called(value.interval(), probability_M, point.threshold), judged)
        for name, value in measure(metrics, judged.is_case_M, probability_M, drawn).items()
    }
    return {**asdict(point), **_as_json(intervals)}


def adjusted_auroc(judged: Judged) -> dict[str, Any]:
    """AUROC of the network's logit with mean and variance along the ancestry components taken out."""
    logit_M, reference = logit(judged.probabilities[NETWORK]), judged.reference
    fitted = (logit_M, judged.components_MK, SEALED)
    if reference is not None and reference.components_MK.shape[1]:
        fitted = (reference.logit_M, reference.components_MK, reference.people)
    score_M, components_MK, people = fitted
    facts = {"fitted_on": people, "components": list(judged.components)}
    untold = ""
    if not judged.components:
        untold = "the dataset names no ancestry components"
    elif not can_adjust(len(score_M), len(judged.components)):
        untold = f"{len(score_M)} people are too few for {len(judged.components)} ancestry components"
    elif np.ptp(score_M) < 1e-9:
        untold = "the scores do not vary"
    if untold:
        return {"auroc": asdict(nothing(untold)), "difference": asdict(nothing(untold)), **facts}
    adjusted_M = fit_adjustment(score_M, components_MK).adjust(logit_M, judged.components_MK)
    compared = (judged.is_case_M, adjusted_M, logit_M, judged.family_M)
    return {
        "auroc": asdict(auroc_interval(judged.is_case_M, adjusted_M, judged.family_M)),
        "difference": asdict(auroc_difference(*compared)),
        **facts,
    }


def _difference(judged: Judged, rival: str) -> Interval:
    ours_M, rival_M = judged.probabilities[NETWORK], judged.probabilities[rival]
    return auroc_difference(judged.is_case_M, ours_M, rival_M, judged.family_M)


def _as_json(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: asdict(interval) for name, interval in intervals.items()}


def _called(interval: Interval, probability_M: Values, threshold: float) -> Interval:
    called_M = probability_M >= threshold
    if called_M.all() or not called_M.any():
        everybody = "case" if called_M.all() else "control"
        return nothing(f"everybody is called a {everybody} at {threshold:.3g}")
    return interval


def _slope(interval: Interval, is_case_M: Labels, probability_M: Values) -> Interval:
    width = np.inf if interval.low is None or interval.high is None else interval.high - interval.low
    # A steep slope may be well known relative to its size: probabilities that are all too timid.
    if interval.estimate is not None and width <= max(WIDEST_SLOPE, abs(interval.estimate)):
        return interval
    if auroc(is_case_M, probability_M) in (0.0, 1.0):
        return nothing("the scores separate cases from controls: no slope is finite")
    spread = float(logit(probability_M).std())
    if spread < LITTLE_SPREAD:
        return nothing(f"the scores hardly vary (logits by {spread:.3f}): a slope says nothing")
    return nothing("too few people for a slope")


def _not_certain(interval: Interval, judged: Judged) -> Interval:
    """No bootstrap draw can show an error that was not seen: a binomial bound can."""
    if interval.estimate is None or interval.low != interval.high or interval.estimate not in (0.0, 1.0):
        return interval
    families = min(len(np.unique(judged.family_M[judged.is_case_M == label])) for label in (0, 1))
    reach = 1 - float(TAIL ** (1 / families))
    bounds = (1 - reach, 1.0) if interval.estimate else (0.0, reach)
    return replace(interval, low=bounds[0], high=bounds[1], method=BOUND)
