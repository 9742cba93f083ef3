"""People unlike the others: between the ancestries, or by a metric beside people like them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from sklearn.covariance import MinCovDet
from sklearn.linear_model import HuberRegressor

from etl.qc.comparisons import RATIOS, stabilised
from etl.qc.components import GROUPING_COMPONENTS
from etl.thresholds import AncestryThresholds, SampleThresholds

UPPER_ONLY = ("n_singleton",)
"""Metrics of which only high values are suspect (gnomAD, sample_qc/filtering.py)."""

PEOPLE_PER_COMPONENT = 10
"""Fewer people don't tell how a metric follows a component."""

CORE = 0.75
"""Share of a group that its centre and covariance are taken from."""

SCALE = 1.4826
"""Turns a median absolute deviation into a standard deviation of normal data."""

Numbers = NDArray[np.float64]


def find_between_groups(
    people: pd.DataFrame, fitted: pd.Series, thresholds: AncestryThresholds, min_stratum: int
) -> pd.Series:
    """People of an ancestry that hardly anybody shares: nothing can be compared with them.

    They are further than `max_distance` from every ancestry group, and fewer than `min_stratum` people, and
    fewer than the share `min_share` of all, are near them: many alike are a minority that no group was made
    of, and stay. Distances are Mahalanobis', on the leading components, with the robust centre and covariance
    of the nearest group (minimum covariance determinant, Rousseeuw & Van Driessen 1999); groups of fewer
    people than `min_stratum` have none.

    Parameters
    ----------
    people
        ancestry, pc1, pc2, …
    fitted
        Who was fitted on: centres and neighbours are of these alone.
    thresholds
        The distance, in standard deviations, and the share.
    min_stratum
        Least number of people to be compared with.

    Returns
    -------
    pandas.Series
        bool along `people`; nobody where no group is large enough, or no component is there.
    """
    values = people.filter(regex=r"^pc\d+$").to_numpy()[:, :GROUPING_COMPONENTS]
    inside = fitted.to_numpy(dtype=bool)
    nearest = np.full(len(people), np.inf)
    precision = np.zeros((len(people), values.shape[1], values.shape[1]))
    for name in sorted(people["ancestry"].unique()):
        members = inside & (people["ancestry"] == name).to_numpy()
        if members.sum() < min_stratum or not values.shape[1]:
            continue
        group = MinCovDet(support_fraction=CORE, random_state=0).fit(values[members])
        distance = group.mahalanobis(values)
        closer = distance < nearest
        nearest[closer], precision[closer] = distance[closer], group.precision_
    alike = min(float(min_stratum), thresholds.min_share * inside.sum())
    far = np.isfinite(nearest) & (nearest > thresholds.max_distance**2)
    for place in np.flatnonzero(far):
        steps = values[inside] - values[place]
        apart = np.einsum("pk,kl,pl->p", steps, precision[place], steps)
        far[place] = (apart <= thresholds.max_distance**2).sum() < alike
    return pd.Series(far, index=people.index)


def find_outliers(
    people: pd.DataFrame, fitted: pd.Series, thresholds: SampleThresholds
) -> dict[str, pd.Series]:
    """People too many median absolute deviations from the median of people like them.

    Like them are those of the same batch and ancestry; where too few of these are fitted, those of the same
    ancestry in any batch; where these are too few as well, nobody: metrics such as het/hom follow ancestry,
    and against everybody a minority would be dropped as a whole.

    Where people are mixed to different parts, metrics follow ancestry within a group as well: what the
    leading components explain linearly is taken away first (gnomAD's regression filter), by Huber's robust
    regression on those compared with.

    Ratios of counts a and b are compared as arcsin √((a + 3/8) / (a + b + 3/4)) and counts as their square
    root, whose spread does not depend on their size (Anscombe 1948): a ratio of few insertions and deletions
    is skewed, and its upper tail alone would drop every fiftieth person. Where counts are large this is the
    usual comparison. Nobody is judged by less than the spread that chance alone gives such counts.

    Parameters
    ----------
    people
        batch, ancestry, and the metrics or the counts that they are ratios of; pc1, pc2, … where there are
        any.
    fitted
        Whether a person counts for medians and deviations.
    thresholds
        Metrics, number of deviations, and the least number of people to be compared with.

    Returns
    -------
    dict
        Reason -> boolean series. Missing values, metrics that the cohort lacks, and strata without any
        deviation flag nobody.
    """
    comparisons = list(find_comparisons(people, fitted, thresholds.min_stratum))
    scores = people.filter(regex=r"^pc\d+$").iloc[:, :GROUPING_COMPONENTS]
    flags: dict[str, pd.Series] = {}
    for metric, max_deviations in thresholds.max_deviations:
        if not {*RATIOS.get(metric, (metric,))} <= {*people}:
            continue
        values, chance = stabilised(metric, people)
        deviation = pd.Series(0.0, index=people.index)
        for members, alike in comparisons:
            left = values - _explained(values, scores, alike)
            reference = left[alike].dropna()
            spread = SCALE * median_abs_deviation(reference) if len(reference) else 0.0
            if spread > 0:
                # Where nearly all have the same few counts the observed spread says too little.
                deviation[members] = (left - reference.median())[members] / chance[members].clip(lower=spread)
        if metric not in UPPER_ONLY:
            deviation = deviation.abs()
        flags[f"outlier_{metric}"] = deviation > max_deviations
    return flags


def _explained(values: pd.Series, scores: pd.DataFrame, alike: pd.Series) -> pd.Series | float:
    """What components explain of a metric, by a regression on some people; 0 where they are too few."""
    fit = _fit_components(values, scores, alike)
    if fit is None:
        return 0.0
    centre_K, slope_K, intercept = fit
    return pd.Series((scores.to_numpy() - centre_K) @ slope_K + intercept, index=values.index)


def _fit_components(
    values: pd.Series, scores: pd.DataFrame, alike: pd.Series
) -> tuple[Numbers, Numbers, float] | None:
    """Centres and slopes of the components, and the intercept; None where people are too few."""
    used = alike & values.notna()
    if scores.empty or used.sum() < PEOPLE_PER_COMPONENT * scores.shape[1] or values[used].nunique() < 3:
        return None
    centre, width = scores[used].mean(), scores[used].std().clip(lower=1e-12)
    spread = values[used].std()
    model = HuberRegressor(max_iter=1000).fit(
        (scores[used] - centre) / width, (values[used] - values[used].mean()) / spread
    )
    return centre.to_numpy(), model.coef_ * spread / width.to_numpy(), float(model.intercept_ * spread)


def fit_comparisons(
    people: pd.DataFrame, fitted: pd.Series, thresholds: SampleThresholds
) -> list[dict[str, Any]]:
    """What `find_outliers` compares with, of each ancestry in any batch: for people of another cohort.

    Theirs are other batches. Alleles seen once are told by a cohort: that metric is left out.

    Returns
    -------
    list
        metric, ancestry, centres and slopes of the components and intercept (0 where people are too few for
        a regression), median and spread of what these leave. Ancestries of fewer than `min_stratum` people
        fitted, and metrics without spread, have none.
    """
    scores = people.filter(regex=r"^pc\d+$").iloc[:, :GROUPING_COMPONENTS]
    found = []
    for metric, max_deviations in thresholds.max_deviations:
        if metric in UPPER_ONLY or not {*RATIOS.get(metric, (metric,))} <= {*people}:
            continue
        values, _ = stabilised(metric, people)
        for name in sorted(people["ancestry"].unique()):
            alike = fitted & (people["ancestry"] == name)
            fit = _fit_components(values, scores, alike)
            centre_K, slope_K, intercept = fit if fit is not None else (np.zeros(0), np.zeros(0), 0.0)
            left = values - ((scores.iloc[:, : len(centre_K)].to_numpy() - centre_K) @ slope_K + intercept)
            reference = left[alike].dropna()
            spread = SCALE * median_abs_deviation(reference) if len(reference) else 0.0
            if alike.sum() < thresholds.min_stratum or not spread > 0:
                continue
            found.append(
                {
                    "metric": metric,
                    "ancestry": name,
                    "centres": centre_K.tolist(),
                    "slopes": slope_K.tolist(),
                    "intercept": intercept,
                    "median": float(reference.median()),
                    "spread": float(spread),
                    "max_deviations": max_deviations,
                    "upper_only": False,
                }
            )
    return found


def find_comparisons(
    people: pd.DataFrame, fitted: pd.Series, min_stratum: int
) -> Iterator[tuple[pd.Series, pd.Series]]:
    """Who is compared with whom, see `find_outliers`: pairs of boolean series along `people`.

    Nobody is in two of the first ones; who is in none is compared with nobody.
    """
    judged = pd.Series(data=False, index=people.index)
    for columns in (["batch", "ancestry"], ["ancestry"]):
        strata = people[columns].astype(str).agg("|".join, axis=1)
        for stratum in sorted(strata.unique()):
            inside = strata == stratum
            if (inside & fitted).sum() >= min_stratum:
                yield inside & ~judged, inside & fitted
                judged |= inside
