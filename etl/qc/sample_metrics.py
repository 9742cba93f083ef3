"""Per-person metrics from the sparse cohort, and the hard limits on them."""

from __future__ import annotations

import hail as hl
import pandas as pd

from etl.thresholds import SampleThresholds

RATIOS = ("r_ti_tv", "r_het_hom_var", "r_insertion_deletion")


def measure_samples(mt: hl.MatrixTable) -> pd.DataFrame:
    """Measure every person on the rows given.

    Parameters
    ----------
    mt
        Sparse cohort (absent entries are passing homozygous reference), autosomal rows; column key `s`.

    Returns
    -------
    pandas.DataFrame
        sample_id, call_rate (share of the rows with a call), n_singleton (alleles seen once in the cohort),
        the ratios of `hl.sample_qc` (missing where a divisor is 0), and charr where AD and GQ are
        there: mean share of reference reads in homozygous alternate calls over the reference allele's
        frequency (Lu et al. 2023, CHARR), missing for people without such calls.
    """
    n_rows = mt.count_rows()
    measured = hl.sample_qc(mt).cols()
    qc = measured.sample_qc
    table = measured.select(
        call_rate=1 - qc.n_not_called / n_rows,
        n_singleton=qc.n_singleton,
        n_snp=qc.n_snp,
        **{name: qc[name] for name in RATIOS},
    )
    if {"AD", "GQ"} <= set(mt.entry):
        reference_frequency = 1 - (mt.calls.n_het + 2 * mt.calls.n_hom_var) / (2 * mt.calls.n_called)
        table = table.annotate(charr=hl.compute_charr(mt, ref_AF=reference_frequency)[table.key].charr)
    return table.to_pandas().rename(columns={"s": "sample_id"})


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
