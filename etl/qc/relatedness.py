"""Kinship, duplicates, families: none of it looks at a label."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from etl.qc.ancestry import choose_unrelated
from etl.qc.kinship import ExpectedFrequencies, king, opposite_homozygotes, pc_relate
from etl.qc.pair_blocks import close_pairs
from etl.qc.plink import MarkerFile, Markers
from etl.qc.sample_metrics import join_reasons

ENDS = ("first", "second")

MIN_KINSHIP_REPORTED = 0.05
"""Pairs below are not written (gnomAD v4, sample_qc/relatedness.py)."""

MIN_KINSHIP_FIRST_DEGREE = 0.177

DEGREES = (
    (0.354, "duplicate or twin"),
    (MIN_KINSHIP_FIRST_DEGREE, "first degree"),
    (0.0884, "second degree"),
)
"""Lower limits of the kinship classes (Manichaikul et al. 2010, KING; Bycroft et al. 2018)."""


def find_relatives(file: MarkerFile, names: Sequence[str]) -> pd.DataFrame:
    """Pairs of at least `MIN_KINSHIP_REPORTED` by KING-robust, which needs no components.

    Parameters
    ----------
    file
        Markers in linkage equilibrium.
    names
        Sample ids of its people.

    Returns
    -------
    pandas.DataFrame
        first, second (sample ids, ascending) and kinship.
    """
    return _named(close_pairs(partial(king, file), file.n_people, MIN_KINSHIP_REPORTED), names)


def choose_unlabelled(people: pd.DataFrame, pairs: pd.DataFrame, min_kinship: float) -> set[str]:
    """`choose_unrelated` by call rate alone: before folds are made, nobody's status may be looked at.

    Parameters
    ----------
    people
        sample_id, call_rate.
    pairs
        first, second, kinship.
    min_kinship
        Kinship from which two are relatives.
    """
    return choose_unrelated(people[["sample_id", "call_rate"]].assign(is_case=0), pairs, min_kinship)


def refine_kinship(
    relatives: pd.DataFrame, file: MarkerFile, expected: ExpectedFrequencies, names: Sequence[str]
) -> pd.DataFrame:
    """Kinship by PC-Relate, of close pairs by the larger of it and KING-robust.

    PC-Relate is estimated for all pairs, not for those alone that KING finds: KING is too low where ancestry
    differs, and leaving pairs out would save a third of the time.

    It shrinks the kinship of recently admixed people towards 0 where few of them are in the cohort; a pair
    that KING-robust puts at first degree or closer gets the larger of the two: a family that is one pair too
    large costs nothing, one that is split leaks.

    Parameters
    ----------
    relatives
        Of `find_relatives`.
    file
        Markers in linkage equilibrium.
    expected
        Frequencies at them, from components of unrelated people.
    names
        Sample ids of the file's people.

    Returns
    -------
    pandas.DataFrame
        Like `relatives`; pairs of at least `MIN_KINSHIP_REPORTED`.
    """
    found = close_pairs(partial(pc_relate, file, expected), file.n_people, MIN_KINSHIP_REPORTED)
    first_degree = relatives[relatives["kinship"] >= MIN_KINSHIP_FIRST_DEGREE]
    pairs = pd.concat([_named(found, names), first_degree], ignore_index=True)
    return pairs.groupby(["first", "second"], sort=True)["kinship"].max().reset_index()


def _named(pairs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    known = np.array(names, dtype=object)
    ends = np.sort(np.stack([known[pairs["first"]], known[pairs["second"]]]), axis=0)
    return pd.DataFrame({"first": ends[0], "second": ends[1], "kinship": pairs["kinship"]})


def measure_ibs0(pairs: pd.DataFrame, markers: Markers) -> pd.Series:
    """`opposite_homozygotes` along pairs of sample ids; missing where a person has no markers."""
    places = pd.DataFrame({end: pd.Index(markers.people).get_indexer(pd.Index(pairs[end])) for end in ENDS})
    known = (places >= 0).all(axis=1)
    shares = pd.Series(np.nan, index=pairs.index)
    shares[known.to_numpy()] = opposite_homozygotes(markers, places[known])
    return shares


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
