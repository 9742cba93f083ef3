"""Sex from the X chromosome."""

from __future__ import annotations

import hail as hl
import pandas as pd

from etl.qc.sites import dense
from etl.thresholds import SampleThresholds

MIN_FREQUENCY = 0.05
"""Minor allele frequency of the sites on X; BipEx uses common variants for its F statistic."""


def impute_sex(mt: hl.MatrixTable, thresholds: SampleThresholds) -> pd.DataFrame:
    """Impute sex by the inbreeding coefficient on common sites of X outside the pseudo-autosomal regions.

    Parameters
    ----------
    mt
        Sparse cohort; haploid calls count as homozygous.

    Returns
    -------
    pandas.DataFrame
        sample_id, f_stat, n_sites_on_x, imputed_sex (female, male, or missing between the limits or where
        too few sites were called).
    """
    on_x = mt.filter_rows(mt.locus.in_x_nonpar())
    frequency = (on_x.calls.n_het + 2 * on_x.calls.n_hom_var) / (2 * on_x.calls.n_called)
    on_x = dense(on_x.filter_rows((frequency >= MIN_FREQUENCY) & (frequency <= 1 - MIN_FREQUENCY)))
    diploid = hl.if_else(on_x.GT.ploidy == 1, hl.call(on_x.GT[0], on_x.GT[0]), on_x.GT)
    on_x = on_x.annotate_entries(GT=diploid)
    sexes = hl.impute_sex(
        on_x.GT, female_threshold=thresholds.max_f_female, male_threshold=thresholds.min_f_male
    ).to_pandas()
    enough = sexes["n_called"] >= thresholds.min_sites_on_x
    sex = sexes["is_female"].map({True: "female", False: "male"}).where(enough)
    return pd.DataFrame(
        {
            "sample_id": sexes["s"],
            "f_stat": sexes["f_stat"].where(enough),
            "n_sites_on_x": sexes["n_called"],
            "imputed_sex": sex.astype(object).where(sex.notna(), None),
        }
    )
