"""The dataset's optional tables from what earlier steps have found: relatives, and metrics of each person."""

from __future__ import annotations

import pandas as pd

METRICS = (
    "call_rate",
    "mean_dp",
    "mean_gq",
    "charr",
    "n_singleton",
    "n_snp",
    "n_het",
    "n_hom_var",
    "r_ti_tv",
    "r_het_hom_var",
    "r_insertion_deletion",
)
"""Metrics of `etl.qc.sample_metrics` that go into people_qc.parquet, where they were measured."""


def kinship_table(pairs: pd.DataFrame, samples: pd.DataFrame, min_kinship: float) -> pd.DataFrame:
    """Pairs of relatives of whom both are in the dataset, by sample_index, the smaller one first.

    Parameters
    ----------
    pairs
        first, second (sample ids) and kinship.
    samples
        sample_id and sample_index of the people of the dataset.
    min_kinship
        From which kinship two people are relatives of second degree.
    """
    place = samples.set_index("sample_id")["sample_index"]
    close = pairs[pairs["kinship"] >= min_kinship]
    ends = pd.DataFrame({end: close[end].map(place) for end in ("first", "second")})
    ends["kinship"] = close["kinship"].astype(float)
    ends = ends.dropna(subset=["first", "second"])
    return pd.DataFrame(
        {
            "sample_index_1": ends[["first", "second"]].min(axis=1).astype("int32"),
            "sample_index_2": ends[["first", "second"]].max(axis=1).astype("int32"),
            "kinship": ends["kinship"],
        }
    )


def metrics_table(samples: pd.DataFrame) -> pd.DataFrame:
    """sample_index and those of `METRICS` that were measured."""
    return samples[["sample_index", *(name for name in METRICS if name in samples)]]
