"""Sex from the X chromosome."""

from __future__ import annotations

import pandas as pd

from etl.qc.person_sums import GRID, Measured
from etl.thresholds import SampleThresholds


def impute_sex(measured: Measured, thresholds: SampleThresholds) -> pd.DataFrame:
    """Impute sex by the inbreeding coefficient on common sites of X outside the pseudo-autosomal regions.

    F = (O − E) / (N − E) over the N sites with a call: O of them are homozygous, E are expected to be by the
    cohort's allele frequencies (`hl.impute_sex`, PLINK 1.7). Haploid calls count as homozygous.

    Returns
    -------
    pandas.DataFrame
        Along the VCF's people: f_stat, n_sites_on_x, imputed_sex (female, male, or missing between the
        limits). f_stat and imputed_sex are missing where too few sites were called.
    """
    people, totals = measured.people, measured.totals
    called = totals["x_sites"] - people["x_missing"]
    expected = (totals["x_expected"] - people["x_expected_missing"]) / GRID
    enough = called >= thresholds.min_sites_on_x
    f_stat = ((called - people["x_het"] - expected) / (called - expected)).where(enough)
    sex = [
        "female" if f < thresholds.max_f_female else "male" if f > thresholds.min_f_male else None
        for f in f_stat
    ]
    return pd.DataFrame({"f_stat": f_stat, "n_sites_on_x": called, "imputed_sex": sex})
