"""Sex from the X chromosome."""

from __future__ import annotations

import pandas as pd

from etl.qc.person_sums import GRID, Measured
from etl.thresholds import SampleThresholds

MOST_INBRED = 0.5
"""Autosomal coefficients beyond it say nothing of ancestry: such a sample has other faults."""


def impute_sex(measured: Measured, thresholds: SampleThresholds) -> pd.DataFrame:
    """Impute sex by heterozygosity on common sites of X outside the pseudo-autosomal regions.

    `f_x` is the inbreeding coefficient (O − E) / (N − E) over the N sites with a call: O of them are
    homozygous, E are expected to be by the cohort's allele frequencies (`hl.impute_sex`, PLINK 1.7); haploid
    calls count as homozygous. In a cohort of several ancestries it is above 0 in women of those whose
    frequencies are far from the cohort's. So is `f_autosomes`, the same of autosomes, in both sexes: sex is
    judged by f_stat = 1 − (1 − f_x) / (1 − f_autosomes), a person's heterozygosity on X beside their own on
    autosomes: 0 in women, 1 in men, whatever their ancestry.

    Returns
    -------
    pandas.DataFrame
        Along the VCF's people: f_x, f_autosomes, f_stat, n_sites_on_x, imputed_sex (female, male, or missing
        between the limits). f_x, f_stat and imputed_sex are missing where too few sites of X were called;
        f_stat is f_x where too few autosomal ones were.
    """
    f_x, called = _inbreeding(measured, "x")
    f_autosomes, called_autosomes = _inbreeding(measured, "a")
    f_x = f_x.where(called >= thresholds.min_sites_on_x)
    f_autosomes = f_autosomes.where(called_autosomes >= thresholds.min_sites_on_x)
    f_stat = 1 - (1 - f_x) / (1 - f_autosomes.fillna(0.0).clip(-MOST_INBRED, MOST_INBRED))
    sex = [
        "female" if f < thresholds.max_f_female else "male" if f > thresholds.min_f_male else None
        for f in f_stat
    ]
    return pd.DataFrame(
        {
            "f_x": f_x,
            "f_autosomes": f_autosomes,
            "f_stat": f_stat,
            "n_sites_on_x": called,
            "imputed_sex": sex,
        }
    )


def _inbreeding(measured: Measured, part: str) -> tuple[pd.Series, pd.Series]:
    """Inbreeding coefficient on the common sites of a part of the genome, and how many were called."""
    people, totals = measured.people, measured.totals
    called = totals[f"{part}_sites"] - people[f"{part}_missing"]
    expected = (totals[f"{part}_expected"] - people[f"{part}_expected_missing"]) / GRID
    varying = (called - expected).where(called > expected)
    return (called - people[f"{part}_het"] - expected) / varying, called
