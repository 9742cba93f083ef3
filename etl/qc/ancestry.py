"""Principal components fitted on unrelated people outside the test fold, ancestry groups, outliers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from sklearn.cluster import KMeans
from sklearn.covariance import MinCovDet
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import HuberRegressor
from sklearn.metrics import silhouette_score

from etl.qc.components import Components, find_components
from etl.qc.plink import Markers
from etl.thresholds import AncestryThresholds, SampleThresholds

GROUPING_COMPONENTS = 3
"""Leading components that groups are looked for in; later ones hold family and batch."""

UPPER_ONLY = ("n_singleton",)
"""Metrics of which only high values are suspect (gnomAD, sample_qc/filtering.py)."""

RATIOS = {
    "r_ti_tv": ("n_transition", "n_transversion"),
    "r_insertion_deletion": ("n_insertion", "n_deletion"),
    "r_het_hom_var": ("n_het", "n_hom_var"),
}
"""Metrics that are ratios, and the counts above and below; all others are counts themselves."""

PEOPLE_PER_COMPONENT = 10
"""Fewer people don't tell how a metric follows a component."""

LEAST_PROBABLE = 0.9
"""Probability of an ancestry below which a person has none (gnomAD v2 and v3)."""

CORE = 0.75
"""Share of a group that its centre and covariance are taken from."""

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
    everybody = set(people["sample_id"])
    order = people.sort_values(["is_case", "call_rate", "sample_id"], ascending=[False, False, True])
    rank = {name: place for place, name in enumerate(order["sample_id"])}
    close = pairs[
        (pairs["kinship"] >= min_kinship) & pairs["first"].isin(everybody) & pairs["second"].isin(everybody)
    ]
    relatives: dict[str, set[str]] = {}
    for first, second in zip(close["first"], close["second"], strict=True):
        relatives.setdefault(first, set()).add(second)
        relatives.setdefault(second, set()).add(first)
    return everybody - _most_related(relatives, rank)


def _most_related(relatives: dict[str, set[str]], rank: dict[str, int]) -> set[str]:
    """People to take away so that nobody has a relative left, always one of those with most relatives.

    The rule of `hl.maximal_independent_set`; of equals the one with the highest rank goes.
    """
    queue = [(-len(others), -rank[name], name) for name, others in relatives.items()]
    heapify(queue)
    left = {name: len(others) for name, others in relatives.items()}
    dropped: set[str] = set()
    while queue:
        degree, _, name = heappop(queue)
        # An entry of a time when the person had more relatives: another one stands for it now.
        if name in dropped or left[name] != -degree or degree == 0:
            continue
        dropped.add(name)
        for other in relatives[name] - dropped:
            left[other] -= 1
            heappush(queue, (-left[other], -rank[other], other))
    return dropped


def fit_components(markers: Markers, fitted_on: set[str], thresholds: AncestryThresholds) -> Components:
    """Principal components: loadings from the people named, everybody else projected.

    Parameters
    ----------
    markers
        In linkage equilibrium.
    fitted_on
        Sample ids.
    thresholds
        Number of components; fewer where fewer people are there to fit them on.
    """
    fitted = np.array([name in fitted_on for name in markers.people])
    return find_components(markers, fitted, min(thresholds.n_components, len(fitted_on) - 1))


def score_frame(people: Sequence[str], scores_PK: NDArray[np.float64]) -> pd.DataFrame:
    """Scores as sample_id, pc1, pc2, …"""
    columns = {f"pc{place + 1}": scores_PK[:, place] for place in range(scores_PK.shape[1])}
    return pd.DataFrame({"sample_id": list(people), **columns})


def find_groups(
    scores: pd.DataFrame, fitted: Sequence[bool], thresholds: AncestryThresholds, *, seed: int
) -> pd.Series:
    """Ancestry groups by k-means on the leading components; the number of groups by silhouette.

    Parameters
    ----------
    scores
        pc1, pc2, … in the order of people; without any, all are one group.
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
    values = scores.filter(regex=r"^pc\d+$").to_numpy()[:, :GROUPING_COMPONENTS]
    inside = values[np.asarray(fitted)]
    best, labels = thresholds.min_silhouette, np.zeros(len(values), dtype=int)
    # A silhouette needs fewer groups than people.
    most = min(thresholds.max_groups, len(inside) - 1) if values.shape[1] else 1
    for k in range(2, most + 1):
        model = KMeans(n_clusters=k, random_state=seed, n_init=10).fit(inside)
        quality = silhouette_score(inside, model.labels_, sample_size=5000, random_state=seed)
        if quality > best:
            best, labels = quality, model.predict(values)
    by_size = pd.Series(labels).value_counts().index
    names = {label: f"group{rank + 1}" for rank, label in enumerate(by_size)}
    return pd.Series([names[label] for label in labels], index=scores.index)


def assign_ancestry(scores: pd.DataFrame, known: pd.Series, *, seed: int) -> pd.Series:
    """Known ancestry, and for people without one that of the labelled people whom they are like.

    A random forest on the leading components, as gnomAD's `assign_population_pcs`: labelled people may be a
    reference that was called together with the cohort. Whom it places with a probability below
    `LEAST_PROBABLE` is of unknown ancestry; so is everybody without a label where no component is there.

    Parameters
    ----------
    scores
        pc1, pc2, … in the order of people.
    known
        Labels, missing for none.
    seed
        Of the forest.
    """
    values = scores.filter(regex=r"^pc\d+$").to_numpy()
    labelled = known.notna().to_numpy()
    found = known.astype(object).where(labelled, "unknown")
    if labelled.all() or not labelled.any() or not values.shape[1]:
        return found
    forest = RandomForestClassifier(n_estimators=100, random_state=seed)
    forest.fit(values[labelled], found[labelled].astype(str))
    chance = forest.predict_proba(values[~labelled])
    likely = np.array(forest.classes_, dtype=object)[chance.argmax(axis=1)]
    found[~labelled] = np.where(chance.max(axis=1) >= LEAST_PROBABLE, likely, "unknown")
    return found


def find_between_groups(
    people: pd.DataFrame, fitted: pd.Series, thresholds: AncestryThresholds, min_stratum: int
) -> pd.Series:
    """People of an ancestry that hardly anybody shares: nothing can be compared with them.

    They are further than `max_distance` from every ancestry group, and fewer than `min_stratum` people, and
    fewer than the share `min_share` of all, are near them: many alike are a minority that no group was made
    of, and stay. Distances are Mahalanobis', on
    the leading components, with the robust centre and covariance of the nearest group (minimum covariance
    determinant, Rousseeuw & Van Driessen 1999); groups of fewer people than `min_stratum` have none.

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
        values, chance = _stabilised(metric, people)
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


def _stabilised(metric: str, people: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Values of a spread that does not depend on them, and the standard deviation that chance alone gives."""
    if metric not in RATIOS:
        return people[metric].astype("float64") ** 0.5, pd.Series(0.5, index=people.index)
    above, below = (people[name].astype("float64") for name in RATIOS[metric])
    total = above + below
    share = (above + 3 / 8) / (total + 3 / 4)
    return share.pow(0.5).map(np.arcsin), 0.5 / (total + 1 / 2).pow(0.5)


def _explained(values: pd.Series, scores: pd.DataFrame, alike: pd.Series) -> pd.Series | float:
    """What components explain of a metric, by a regression on some people; 0 where they are too few."""
    used = alike & values.notna()
    if scores.empty or used.sum() < PEOPLE_PER_COMPONENT * scores.shape[1] or values[used].nunique() < 3:
        return 0.0
    scaled = (scores - scores[used].mean()) / scores[used].std().clip(lower=1e-12)
    spread = values[used].std()
    model = HuberRegressor(max_iter=1000).fit(scaled[used], (values[used] - values[used].mean()) / spread)
    return pd.Series(model.predict(scaled) * spread, index=values.index)


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
