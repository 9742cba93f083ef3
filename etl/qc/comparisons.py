"""A person's metrics beside those of people like them, by what is known of these. Imports no scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contract.reference import Comparison

RATIOS = {
    "r_ti_tv": ("n_transition", "n_transversion"),
    "r_insertion_deletion": ("n_insertion", "n_deletion"),
    "r_het_hom_var": ("n_het", "n_hom_var"),
}
"""Metrics that are ratios, and the counts above and below; all others are counts themselves."""


def compare(people: pd.DataFrame, comparison: Comparison) -> pd.Series:
    """Deviations of a metric, in standard deviations, of people of the comparison's ancestry; NaN of others.

    Parameters
    ----------
    people
        ancestry, pc1, pc2, …, and the metric or the counts that it is a ratio of.
    comparison
        Of `fit_comparisons`.
    """
    values, chance = stabilised(comparison.metric, people)
    scores = people[[f"pc{place + 1}" for place in range(len(comparison.centres))]].to_numpy()
    explained = (scores - np.array(comparison.centres)) @ np.array(comparison.slopes) + comparison.intercept
    left = values - explained - comparison.median
    deviation = left / chance.clip(lower=comparison.spread)
    return deviation.where(people["ancestry"] == comparison.ancestry)


def stabilised(metric: str, people: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Values of a spread that does not depend on them, and the standard deviation that chance alone gives."""
    if metric not in RATIOS:
        return people[metric].astype("float64") ** 0.5, pd.Series(0.5, index=people.index)
    above, below = (people[name].astype("float64") for name in RATIOS[metric])
    total = above + below
    share = (above + 3 / 8) / (total + 3 / 4)
    return share.pow(0.5).map(np.arcsin), 0.5 / (total + 1 / 2).pow(0.5)
