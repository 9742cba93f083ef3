"""Sex from the X chromosome."""

from __future__ import annotations

import pandas as pd

from etl.qc.person_sums import GRID, Measured
from etl.thresholds import SampleThresholds

MIN_SITES_ON_Y = 5
"""Fewer sites with reads leave karyotypes unmeasured."""

UNCLEAR = 0.35
"""Copies further from a whole number than this are none."""

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


def call_karyotypes(sums: pd.DataFrame, imputed_sex: pd.Series, thresholds: SampleThresholds) -> pd.DataFrame:
    """Copies of X and Y by mean depth beside that of autosomes, as gnomAD does (sample_qc/sex.py).

    Two copies of X are the median of people imputed as women, one of Y that of men: kits capture both
    chromosomes differently. A site without a DP counts as one without reads on Y, and not at all on X.

    Parameters
    ----------
    sums
        `etl.ingest.vcf.READ_SUMS` along the people.
    imputed_sex
        female, male or missing.
    thresholds
        Least number of sites on X.

    Returns
    -------
    pandas.DataFrame
        x_copies, y_copies and karyotype (XX, XY, XXY, …; 'unclear' between two of them). All missing where
        sites on X or Y are too few, or women or men.
    """
    n_x, n_y = sums["n_dp_x"].max(), sums["n_dp_y"].max()
    autosomes = (sums["sum_dp"] - sums["sum_dp_x"] - sums["sum_dp_y"]) / (
        sums["n_dp"] - sums["n_dp_x"] - sums["n_dp_y"]
    ).where(lambda n: n > 0)
    x = sums["sum_dp_x"] / sums["n_dp_x"].where(sums["n_dp_x"] > 0) / autosomes
    y = sums["sum_dp_y"] / max(n_y, 1) / autosomes
    women, men = x[imputed_sex == "female"].median(), y[imputed_sex == "male"].median()
    if n_x < thresholds.min_sites_on_x or n_y < MIN_SITES_ON_Y or not (women > 0 and men > 0):
        x, y, women, men = x * float("nan"), y * float("nan"), 1.0, 1.0
    copies = pd.DataFrame({"x_copies": 2 * x / women, "y_copies": y / men})
    whole = copies.round()
    names = [
        None if pd.isna(n_x_copies + n_y_copies) else "X" * int(n_x_copies) + "Y" * int(n_y_copies)
        for n_x_copies, n_y_copies in whole.itertuples(index=False)
    ]
    clear = (copies - whole).abs().max(axis=1) <= UNCLEAR
    karyotype = pd.Series(names, index=sums.index, dtype=object)
    return copies.assign(karyotype=karyotype.where(clear | karyotype.isna(), "unclear"))


def odd_karyotypes(karyotype: pd.Series) -> list[str]:
    """A sentence on people whose karyotype is clearly neither XX nor XY; none where there are none."""
    odd = karyotype[karyotype.notna() & ~karyotype.isin(["XX", "XY", "unclear"])].value_counts()
    if odd.empty:
        return []
    told = ", ".join(f"{name or 'none'} {count}" for name, count in odd.items())
    return [f"{odd.sum()} people have a sex karyotype other than XX and XY by depth ({told}): they stay"]
