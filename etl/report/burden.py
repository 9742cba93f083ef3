"""Burden by class and status: how much of each mask people carry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql
from scipy import stats


def person_burden(features: DataFrame, n_genes: int) -> pd.DataFrame:
    """Sum of each person's features by channel.

    Parameters
    ----------
    features
        Columns sample_index, index, value, see `feature_entries`.
    n_genes
        Length of the gene axis.

    Returns
    -------
    Columns sample_index, channel, burden; people without any feature of a channel have no row for it.
    """
    channel = sql.floor(sql.col("index") / n_genes).cast("int").alias("channel")
    return features.groupBy("sample_index", channel).agg(sql.sum("value").alias("burden")).toPandas()


def burden_by_status(
    burden: pd.DataFrame, samples: pd.DataFrame, channels: Sequence[str], *, test_fold: int
) -> pd.DataFrame:
    """Mean burden of cases and controls outside the test fold, with 95 % intervals of the mean (Student's t).

    Parameters
    ----------
    burden
        See `person_burden`.
    samples
        Columns sample_index, is_case, fold; people of unknown status are left out.
    channels
        Names in the order of the channels.
    test_fold
        The sealed fold: its people are not looked at.

    Returns
    -------
    Columns channel (name), status (case, control), n, mean, low, high, and p (Welch's t-test of cases against
    controls, the same in both rows of a channel; missing where it can't be made).
    """
    seen = samples[(samples["fold"] != test_fold) & samples["is_case"].notna()]
    wide = burden.pivot_table(index="sample_index", columns="channel", values="burden", aggfunc="sum")
    wide = wide.reindex(index=seen["sample_index"], columns=range(len(channels))).fillna(0.0)
    rows = []
    for place, channel in enumerate(channels):
        values = {
            status: wide[place].to_numpy()[(seen["is_case"] == code).to_numpy(dtype=bool)]
            for status, code in (("case", 1), ("control", 0))
        }
        p = _difference_p(*values.values())
        rows += [
            {"channel": channel, "status": status, **_mean_interval(found), "p": p}
            for status, found in values.items()
        ]
    return pd.DataFrame(rows)


def _mean_interval(values: np.ndarray) -> dict[str, float]:
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    return {"n": n, "mean": mean, "low": mean - half, "high": mean + half}


def _difference_p(cases: np.ndarray, controls: np.ndarray) -> float:
    if min(len(cases), len(controls)) < 2 or cases.std() + controls.std() == 0:
        return np.nan
    return float(stats.ttest_ind(cases, controls, equal_var=False).pvalue)
