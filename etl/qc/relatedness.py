"""Degrees of kinship, duplicates, families."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from etl.qc.sample_metrics import join_reasons

MIN_KINSHIP_FIRST_DEGREE = 0.177

DEGREES = (
    (0.354, "duplicate or twin"),
    (MIN_KINSHIP_FIRST_DEGREE, "first degree"),
    (0.0884, "second degree"),
)
"""Lower limits of the kinship classes (Manichaikul et al. 2010, KING; Bycroft et al. 2018)."""


def relationship(kinship: pd.Series) -> pd.Series:
    """The class of each kinship coefficient by `DEGREES`; 'further' below them."""
    named = pd.Series("further", index=kinship.index, dtype=object)
    for limit, name in reversed(DEGREES):
        named[kinship >= limit] = name
    return named


DUPLICATE = "duplicate"
DISCORDANT = {"duplicate_other_status": "is_case", "duplicate_other_sex": "reported_sex"}
"""Reasons of people who look like one person under two names, and the column that tells them apart."""


def choose_duplicates(
    people: pd.DataFrame, pairs: pd.DataFrame, min_kinship: float, *, drop_discordant: bool
) -> pd.Series:
    """Who of each set of duplicates leaves, and why.

    The person with the highest call rate stays, unless status or reported sex differ within the set: then
    samples were mixed up, and none of them can be trusted.

    Parameters
    ----------
    people
        sample_id, call_rate, is_case, reported_sex; missing values differ from nothing.
    pairs
        first, second, kinship.
    min_kinship
        Kinship from which two are the same person, or identical twins.
    drop_discordant
        False: the best called stays there too.

    Returns
    -------
    pandas.Series
        Along `people`: reasons, comma-separated, empty for those who stay.
    """
    found = people.assign(declared_family=None)
    sets = find_families(found, pairs, min_kinship)
    order = people.assign(set=sets).sort_values(["call_rate", "sample_id"], ascending=[False, True])
    extra = order["set"].duplicated().reindex(people.index)
    discordant = {
        reason: people[column].groupby(sets).transform("nunique") > 1 for reason, column in DISCORDANT.items()
    }
    flags = {DUPLICATE: extra}
    if drop_discordant:
        mixed_up = pd.concat(list(discordant.values()), axis=1).any(axis=1)
        flags = {DUPLICATE: extra & ~mixed_up, **discordant}
    return join_reasons(flags, people.index)


def discordant_sets(people: pd.DataFrame, pairs: pd.DataFrame, min_kinship: float) -> dict[str, int]:
    """Sets of duplicates whose status, and whose reported sex, differ: reason -> sets."""
    sets = find_families(people.assign(declared_family=None), pairs, min_kinship)
    return {
        reason: int((people[column].groupby(sets).nunique() > 1).sum())
        for reason, column in DISCORDANT.items()
    }


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
