"""What models, metrics and intervals are called where people read them: command line and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODELS = {
    "cnn": "network",
    "logistic": "logistic regression",
    "network": "network (ours)",
    "covariates": "covariates alone",
    "batch": "batch alone",
    "total_count": "total count per channel",
    "polygenic_score": "polygenic score",
    "ridge": "logistic regression, ridge",
    "lasso": "logistic regression, lasso",
    "elastic_net": "logistic regression, elastic net",
    "boosted_trees": "boosted trees",
    "spike_slab": "spike and slab",
    "burden_weights": "empirical-Bayes burden weights",
    "paper": "the paper's network",
    "network_shuffled_genes": "ours, gene order shuffled",
    "network_shuffled_properties": "ours, gene properties shuffled",
    "network_no_convolution": "ours, without convolutions",
}
"""Words for a model; `cnn` and `logistic` are the keys of metrics.json, the others those of ladder.json."""

METRICS = {
    "auroc": "AUROC",
    "auroc_bootstrap": "AUROC, family bootstrap",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "brier": "Brier score",
    "scaled_brier": "scaled Brier score",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "expected_calibration_error": "expected calibration error",
    "liability_r2": "liability R²",
}
"""Words for a metric, in the order of tables."""


def model_name(key: str) -> str:
    """Words for a model; a key without words stands for itself."""
    return MODELS.get(key, key.replace("_", " "))


def metric_name(key: str) -> str:
    """Words for a metric; a key without words stands for itself."""
    return METRICS.get(key, key.replace("_", " "))


def interval_text(interval: Mapping[str, Any], *, signed: bool = False) -> str:
    """An estimate with its interval, such as 0.712 (0.604 to 0.811), or the note of what cannot be told.

    Parameters
    ----------
    interval
        Keys estimate, low and high, each null where it cannot be told, and perhaps note.
    signed
        Show the sign of an estimate above 0: for differences.
    """
    note = interval.get("note")
    if interval["estimate"] is None:
        return note or "not defined"
    estimate = f"{interval['estimate']:{'+' if signed else ''}.3f}"
    if interval["low"] is None or interval["high"] is None:
        return f"{estimate} ({note or 'no interval'})"
    return f"{estimate} ({interval['low']:.3f} to {interval['high']:.3f})"
