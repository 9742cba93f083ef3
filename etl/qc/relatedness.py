"""Kinship, duplicates, families: none of it looks at a label."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from etl.qc.kinship import estimate_pairs
from etl.qc.plink import Markers
from etl.thresholds import RelatednessThresholds

MIN_KINSHIP_REPORTED = 0.05
"""Pairs below are not written (gnomAD v4, sample_qc/relatedness.py)."""

MIN_KINSHIP_FIRST_DEGREE = 0.177

DEGREES = (
    (0.354, "duplicate or twin"),
    (MIN_KINSHIP_FIRST_DEGREE, "first degree"),
    (0.0884, "second degree"),
)
"""Lower limits of the kinship classes (Manichaikul et al. 2010, KING; Bycroft et al. 2018)."""


def estimate_kinship(
    markers: Markers, scores_PK: NDArray[np.float64], thresholds: RelatednessThresholds
) -> pd.DataFrame:
    """Kinship by PC-Relate, of close pairs by the larger of it and KING-robust.

    PC-Relate shrinks the kinship of recently admixed people towards 0 where few of them are in the cohort;
    a pair that KING-robust puts at first degree or closer gets the larger of the two: a family that is one
    pair too large costs nothing, one that is split leaks.

    Parameters
    ----------
    markers
        In linkage equilibrium.
    scores_PK
        Principal components along the people, which PC-Relate corrects for.
    thresholds
        PC-Relate's smallest individual-specific frequency.

    Returns
    -------
    pandas.DataFrame
        first, second (sample ids, ascending), kinship; pairs of at least `MIN_KINSHIP_REPORTED`.
    """
    frames = []
    blocks = estimate_pairs(
        markers,
        scores_PK,
        min_individual_maf=thresholds.min_individual_maf,
        min_kinship=MIN_KINSHIP_REPORTED,
    )
    for by_components, by_king in blocks:
        frames += [by_components, by_king[by_king["kinship"] >= MIN_KINSHIP_FIRST_DEGREE]]
    pairs = pd.concat(frames, ignore_index=True)
    names = np.array(markers.people, dtype=object)
    ends = np.stack([names[pairs["first"]], names[pairs["second"]]])
    pairs["first"], pairs["second"] = np.sort(ends, axis=0)
    return pairs.groupby(["first", "second"], sort=True)["kinship"].max().reset_index()


def relationship(kinship: pd.Series) -> pd.Series:
    """The class of each kinship coefficient by `DEGREES`; 'further' below them."""
    named = pd.Series("further", index=kinship.index, dtype=object)
    for limit, name in reversed(DEGREES):
        named[kinship >= limit] = name
    return named


def choose_duplicates(
    pairs: pd.DataFrame, call_rate: pd.Series, thresholds: RelatednessThresholds
) -> set[str]:
    """Of each set of duplicates all but the person with the highest call rate.

    Parameters
    ----------
    pairs
        first, second, kinship.
    call_rate
        Indexed by sample id.
    thresholds
        The kinship from which two are the same person.
    """
    people = pd.DataFrame({"sample_id": call_rate.index, "declared_family": None})
    people["set"] = find_families(people, pairs, thresholds.min_kinship_duplicate)
    people["call_rate"] = call_rate.to_numpy()
    ordered = people.sort_values(["call_rate", "sample_id"], ascending=[False, True])
    return set(ordered.loc[ordered["set"].duplicated(), "sample_id"])


def find_families(people: pd.DataFrame, pairs: pd.DataFrame, min_kinship: float) -> pd.Series:
    """Number of the family of each person: connected by kinship or by a declared family.

    Parameters
    ----------
    people
        sample_id, declared_family (missing for none).
    pairs
        first, second, kinship; pairs with people who are not there are ignored.
    min_kinship
        Kinship from which two are family.

    Returns
    -------
    pandas.Series
        int32 along `people`, numbered from 0 in the order of first appearance.
    """
    place = pd.Series(range(len(people)), index=people["sample_id"])
    close = pairs[
        (pairs["kinship"] >= min_kinship)
        & pairs["first"].isin(place.index)
        & pairs["second"].isin(place.index)
    ]
    first, second = place[close["first"]].to_numpy(), place[close["second"]].to_numpy()
    declared = people.reset_index(drop=True).groupby("declared_family").indices
    for members in declared.values():
        first = np.concatenate([first, np.repeat(members[0], len(members) - 1)])
        second = np.concatenate([second, members[1:]])
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(people), len(people)))
    _, labels = connected_components(graph, directed=False)
    return pd.Series(pd.factorize(labels)[0], index=people.index, dtype="int32")
