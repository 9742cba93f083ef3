"""Calling people cases from a probability: where to put the threshold, and what that gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from train.metrics import Labels, Values

THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class OperatingPoint:
    """The probability from which a person is called a case, and the people who chose it, in words."""

    threshold: float
    chosen_on: str


def youden_threshold(is_case_M: Labels, probability_M: Values) -> float:
    """The probability at which sensitivity + specificity is largest (Youden 1950); the highest of equals."""
    false_T, true_T, threshold_T = roc_curve(is_case_M, probability_M)
    # The first threshold calls nobody and is infinite.
    best = int(np.argmax((true_T - false_T)[1:])) + 1
    return float(threshold_T[best])


def decision_curve(is_case_M: Labels, probability_M: Values) -> list[dict[str, float]]:
    """Net benefit of acting on a probability, by the threshold at which one would act (Vickers & Elkin 2006).

    Net benefit is the share of true positives less that of false positives, these weighted by the odds of the
    threshold. It holds for a population with the share of cases of these people.

    Returns
    -------
    For each threshold the net benefit of the network's probability, of calling everybody a case (all) and of
    calling nobody (none, always 0).
    """
    share = float(is_case_M.mean())
    curve = []
    for threshold in THRESHOLDS:
        called_M = probability_M >= threshold
        odds = threshold / (1 - threshold)
        gained = float(np.mean(called_M & (is_case_M == 1)) - odds * np.mean(called_M & (is_case_M == 0)))
        curve.append(
            {
                "threshold": float(threshold),
                "network": gained,
                "all": float(share - odds * (1 - share)),
                "none": 0.0,
            }
        )
    return curve
