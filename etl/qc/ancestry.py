"""Principal components fitted on unrelated people outside the test fold, and ancestry groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import silhouette_score

from etl.qc.components import GROUPING_COMPONENTS, Components, Projection, count_alleles, find_components
from etl.qc.plink import Markers
from etl.thresholds import AncestryThresholds

LEAST_PROBABLE = 0.9
"""Probability of an ancestry below which a person has none (gnomAD v2 and v3)."""


def fit_components(
    markers: Markers, fitted_on: set[str], thresholds: AncestryThresholds, *, min_cell: int = 1
) -> Components:
    """Principal components: loadings from the people named, everybody else projected.

    Parameters
    ----------
    markers
        In linkage equilibrium.
    fitted_on
        Sample ids.
    thresholds
        Number of components; fewer where fewer people are there to fit them on.
    min_cell
        Markers whose rarer allele is rarer than this among the people fitted are left out, unless these are
        most of the markers: they tell single people, and what is kept of them would.
    """
    fitted = np.array([name in fitted_on for name in markers.people])
    alleles_M, called_M = count_alleles(markers, fitted)
    common = np.flatnonzero(np.minimum(alleles_M, 2 * called_M - alleles_M) >= min_cell)
    if 2 * len(common) >= len(markers):
        markers = markers.take(common)
    return find_components(markers, fitted, min(thresholds.n_components, len(fitted_on) - 1))


def score_frame(people: Sequence[str], scores_PK: NDArray[np.float64]) -> pd.DataFrame:
    """Scores as sample_id, pc1, pc2, …"""
    columns = {f"pc{place + 1}": scores_PK[:, place] for place in range(scores_PK.shape[1])}
    return pd.DataFrame({"sample_id": list(people), **columns})


def loading_frame(projection: Projection) -> pd.DataFrame:
    """A projection as a table: contig, position, ref, alt, mean, scale, minor, pc1, pc2, …"""
    columns = {f"pc{place + 1}": column_M for place, column_M in enumerate(projection.loadings_MK.T)}
    return projection.sites.assign(
        mean=projection.mean_M, scale=projection.scale_M, minor=projection.minor_M, **columns
    )


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
