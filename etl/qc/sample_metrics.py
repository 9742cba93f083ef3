"""Per-person metrics from the sparse cohort, and the hard limits on them."""

from __future__ import annotations

import pandas as pd

from etl.qc.person_sums import GRID, Measured
from etl.thresholds import SampleThresholds

COUNTS = ("n_transition", "n_transversion", "n_insertion", "n_deletion", "n_het", "n_hom_var")
"""Alternate alleles by kind, and calls, that ratios are made of."""


def measure_samples(measured: Measured) -> pd.DataFrame:
    """Metrics of every person on autosomes.

    Returns
    -------
    pandas.DataFrame
        Along the VCF's people: call_rate (share of the sites with a call that passes), n_singleton (alleles
        seen once in the cohort), n_snp, COUNTS and their ratios as in `hl.sample_qc` (missing where a divisor
        is 0), and charr where anybody has it: mean share of reference reads in homozygous alternate calls
        over the reference allele's frequency (Lu et al. 2023, CHARR), missing for people without such calls.
    """
    people = measured.people
    metrics = pd.DataFrame(
        {
            "call_rate": 1 - people["n_missing"] / measured.totals["n_sites"],
            "n_singleton": people["n_singleton"],
            "n_snp": people["n_transition"] + people["n_transversion"],
            **{name: people[name] for name in COUNTS},
            "r_ti_tv": _ratio(people["n_transition"], people["n_transversion"]),
            "r_het_hom_var": _ratio(people["n_het"], people["n_hom_var"]),
            "r_insertion_deletion": _ratio(people["n_insertion"], people["n_deletion"]),
        }
    )
    charr = _ratio(people["charr"] / GRID, people["n_charr"])
    return metrics.assign(charr=charr) if charr.notna().any() else metrics


def common_call_rate(measured: Measured) -> pd.Series:
    """Share of the common autosomal sites at which a person has a call that passes.

    Unlike those of all sites, they are the same whoever else is in the file.
    """
    rate: pd.Series = 1 - measured.people["a_missing"] / max(measured.totals["a_sites"], 1)
    return rate.rename("common_call_rate")


def mean_depth(sums: pd.DataFrame) -> pd.DataFrame:
    """Mean DP and GQ of every person: mean_dp, mean_gq; a column that nobody has a value for is left out.

    Parameters
    ----------
    sums
        n_dp, sum_dp, n_gq, sum_gq by person, see `etl.steps.ingest`.
    """
    means = {f"mean_{name}": _ratio(sums[f"sum_{name}"], sums[f"n_{name}"]) for name in ("dp", "gq")}
    return pd.DataFrame({name: mean for name, mean in means.items() if mean.notna().any()}, index=sums.index)


def _ratio(above: pd.Series, below: pd.Series) -> pd.Series:
    return above / below.where(below > 0)


def hard_failures(metrics: pd.DataFrame, thresholds: SampleThresholds) -> dict[str, pd.Series]:
    """Named limits that a person is outside of: reason -> boolean series along `metrics`.

    A metric that was not measured (no such column, or a missing value) fails nothing.
    """
    limits = {
        "call_rate": ("call_rate", "<", thresholds.min_call_rate),
        "mean_dp": ("mean_dp", "<", thresholds.min_mean_dp),
        "mean_gq": ("mean_gq", "<", thresholds.min_mean_gq),
        "contamination": ("charr", ">", thresholds.max_charr),
    }
    failures = {}
    for reason, (column, side, limit) in limits.items():
        if column in metrics:
            failures[reason] = metrics[column] < limit if side == "<" else metrics[column] > limit
    failures["status_unknown"] = metrics["is_case"].isna()
    failures["sex_mismatch"] = (
        metrics["imputed_sex"].notna()
        & metrics["reported_sex"].notna()
        & (metrics["imputed_sex"] != metrics["reported_sex"])
    )
    return {reason: failed.fillna(False).astype(bool) for reason, failed in failures.items()}


def join_reasons(failures: dict[str, pd.Series], index: pd.Index) -> pd.Series:
    """All reasons of each person as one text, comma-separated in the order given; empty for none."""
    reasons = pd.Series([""] * len(index), index=index, dtype=object)
    for reason, failed in failures.items():
        separator = reasons[failed].map(lambda text: "," if text else "")
        reasons[failed] = reasons[failed] + separator + reason
    return reasons
