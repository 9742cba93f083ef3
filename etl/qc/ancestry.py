"""Principal components fitted on unrelated people outside the test fold, ancestry groups, outliers."""

from __future__ import annotations

from collections.abc import Sequence

import hail as hl
import numpy as np
import pandas as pd
from gnomad.sample_qc.ancestry import run_pca_with_relateds
from gnomad.sample_qc.relatedness import compute_related_samples_to_drop
from scipy.stats import median_abs_deviation
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from etl.qc.relatedness import score_frame
from etl.thresholds import AncestryThresholds, SampleThresholds

GROUPING_COMPONENTS = 3
"""Leading components that groups are looked for in; later ones hold family and batch."""

UPPER_ONLY = ("n_singleton",)
"""Metrics of which only high values are suspect (gnomAD, sample_qc/filtering.py)."""

SCALE = 1.4826
"""Turns a median absolute deviation into a standard deviation of normal data."""


def choose_unrelated(people: pd.DataFrame, pairs: pd.DataFrame, min_kinship: float) -> set[str]:
    """People of a largest set without relatives; of two relatives the case stays, then the better called.

    Parameters
    ----------
    people
        sample_id, is_case, call_rate.
    pairs
        first, second, kinship.
    min_kinship
        Kinship from which two are relatives.
    """
    close = pairs[pairs["kinship"] >= min_kinship]
    close = close[close["first"].isin(people["sample_id"]) & close["second"].isin(people["sample_id"])]
    everybody = set(people["sample_id"])
    if close.empty:
        return everybody
    close = close.rename(columns={"first": "i", "second": "j", "kinship": "kin"})
    order = people.sort_values(["is_case", "call_rate", "sample_id"], ascending=[False, False, True])
    ranked = pd.DataFrame({"s": order["sample_id"], "rank": range(len(order))})
    dropped = compute_related_samples_to_drop(
        hl.Table.from_pandas(close[["i", "j", "kin"]], key=["i", "j"]),
        hl.Table.from_pandas(ranked, key="s"),
        kin_threshold=min_kinship,
    )
    return everybody - set(dropped.s.collect())


def fit_components(
    markers: hl.MatrixTable, fitted_on: set[str], thresholds: AncestryThresholds
) -> pd.DataFrame:
    """Principal components: loadings from the people named, everybody else projected.

    Parameters
    ----------
    markers
        Dense, LD-pruned, GT.
    fitted_on
        Sample ids.

    Returns
    -------
    pandas.DataFrame
        sample_id, pc1, pc2, …
    """
    fitted = hl.literal(fitted_on)
    people = markers.cols()
    others = people.filter(~fitted.contains(people.s)).select()
    inside = markers.filter_cols(fitted.contains(markers.s))
    varying = inside.annotate_rows(
        n_alt=hl.agg.sum(inside.GT.n_alt_alleles()), n=2 * hl.agg.count_where(hl.is_defined(inside.GT))
    ).rows()
    varying = varying.filter((varying.n_alt > 0) & (varying.n_alt < varying.n))
    markers = markers.semi_join_rows(varying.select()).checkpoint(hl.utils.new_temp_file("varying", "mt"))
    n_components = min(thresholds.n_components, len(fitted_on) - 1)
    _, scores, _ = run_pca_with_relateds(markers, others, n_pcs=n_components)
    return score_frame(scores).sort_values("sample_id", ignore_index=True)


def find_groups(
    scores: pd.DataFrame, fitted: Sequence[bool], thresholds: AncestryThresholds, *, seed: int
) -> pd.Series:
    """Ancestry groups by k-means on the leading components; the number of groups by silhouette.

    Parameters
    ----------
    scores
        pc1, pc2, … in the order of people.
    fitted
        Whether centres may be fitted on that person.
    thresholds
        Largest number of groups, and the silhouette below which all are one.
    seed
        Of k-means.

    Returns
    -------
    pandas.Series
        'group1' (the largest) and so on.
    """
    values = scores.filter(like="pc").to_numpy()[:, :GROUPING_COMPONENTS]
    inside = values[np.asarray(fitted)]
    best, labels = thresholds.min_silhouette, np.zeros(len(values), dtype=int)
    for k in range(2, thresholds.max_groups + 1):
        model = KMeans(n_clusters=k, random_state=seed, n_init=10).fit(inside)
        quality = silhouette_score(inside, model.labels_, sample_size=5000, random_state=seed)
        if quality > best:
            best, labels = quality, model.predict(values)
    by_size = pd.Series(labels).value_counts().index
    names = {label: f"group{rank + 1}" for rank, label in enumerate(by_size)}
    return pd.Series([names[label] for label in labels], index=scores.index)


def find_outliers(
    people: pd.DataFrame, fitted: pd.Series, thresholds: SampleThresholds
) -> dict[str, pd.Series]:
    """People too many median absolute deviations from the median of their batch × ancestry.

    Parameters
    ----------
    people
        batch, ancestry and the metrics.
    fitted
        Whether a person counts for medians and deviations.
    thresholds
        Metrics, number of deviations, and the size below which a stratum is compared with everybody.

    Returns
    -------
    dict
        Reason -> boolean series. Missing values, metrics that the cohort lacks, and strata without any
        deviation flag nobody.
    """
    strata = people[["batch", "ancestry"]].astype(str).agg("|".join, axis=1)
    sizes = strata[fitted].value_counts()
    strata = strata.where(strata.map(sizes).fillna(0) >= thresholds.min_stratum, "small strata")
    flags: dict[str, pd.Series] = {}
    for metric, max_deviations in thresholds.max_deviations:
        if metric not in people:
            continue
        values = people[metric].astype("float64")
        deviation = pd.Series(0.0, index=people.index)
        for stratum in strata.unique():
            members = strata == stratum
            reference = values[fitted if stratum == "small strata" else members & fitted].dropna()
            spread = SCALE * median_abs_deviation(reference) if len(reference) else 0.0
            if spread > 0:
                deviation[members] = (values[members] - reference.median()) / spread
        if metric not in UPPER_ONLY:
            deviation = deviation.abs()
        flags[f"outlier_{metric}"] = deviation > max_deviations
    return flags
