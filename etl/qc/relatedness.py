"""Kinship, duplicates, families: none of it looks at a label."""

from __future__ import annotations

import hail as hl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from etl.thresholds import RelatednessThresholds

MIN_KINSHIP_REPORTED = 0.05
"""Pairs below are not written (gnomAD v4, sample_qc/relatedness.py)."""

BLOCK_SIZE = 1024
"""Side of the blocks that are multiplied: Hail's 4,096 leaves one block, so one core, on a laptop."""

MIN_KINSHIP_FIRST_DEGREE = 0.177

DEGREES = (
    (0.354, "duplicate or twin"),
    (MIN_KINSHIP_FIRST_DEGREE, "first degree"),
    (0.0884, "second degree"),
)
"""Lower limits of the kinship classes (Manichaikul et al. 2010, KING; Bycroft et al. 2018)."""


def markers_matrix(prefix: str, reference: str, n_partitions: int) -> hl.MatrixTable:
    """PLINK files of `etl.qc.plink` as a Hail MatrixTable with GT, columns by `s`."""
    mt = hl.import_plink(
        *(f"{prefix}.{end}" for end in ("bed", "bim", "fam")),
        reference_genome=reference,
        contig_recoding={},
        delimiter="\\t",
        quant_pheno=True,
        n_partitions=n_partitions,
    )
    return mt.select_cols().select_rows()


def estimate_kinship(
    markers: hl.MatrixTable, scores_PK: NDArray[np.float64], thresholds: RelatednessThresholds
) -> pd.DataFrame:
    """Kinship by PC-Relate (Conomos et al. 2016).

    PC-Relate shrinks the kinship of recently admixed people towards 0 where few of them are in the cohort;
    a pair that KING-robust (Manichaikul et al. 2010) puts at first degree or closer gets the larger of the
    two: a family that is one pair too large costs nothing, one that is split leaks.

    Parameters
    ----------
    markers
        GT, columns by `s`.
    scores_PK
        Principal components along the columns, which PC-Relate corrects for.
    thresholds
        PC-Relate's smallest individual-specific frequency.

    Returns
    -------
    pandas.DataFrame
        first, second (sample ids), kinship; pairs of at least `MIN_KINSHIP_REPORTED`.
    """
    placed = markers.add_col_index("place")
    placed = placed.annotate_cols(scores=hl.literal(scores_PK.tolist())[hl.int32(placed.place)])
    pairs = hl.pc_relate(
        placed.GT,
        min_individual_maf=thresholds.min_individual_maf,
        scores_expr=placed.scores,
        statistics="kin",
        min_kinship=MIN_KINSHIP_REPORTED,
        block_size=BLOCK_SIZE,
    )
    frame = pairs.select(kinship=pairs.kin).to_pandas()
    frame.columns = ["first", "second", "kinship"]
    return _larger([frame, _king_pairs(markers)])


def _king_pairs(markers: hl.MatrixTable) -> pd.DataFrame:
    """Pairs that KING-robust puts at first degree or closer: first, second, kinship."""
    king = hl.king(markers.GT, block_size=BLOCK_SIZE)
    king = king.filter_entries((king.phi >= MIN_KINSHIP_FIRST_DEGREE) & (king.s_1 < king.s))
    pairs = king.entries().to_pandas()
    return pairs.rename(columns={"s_1": "first", "s": "second", "phi": "kinship"})[
        ["first", "second", "kinship"]
    ]


def _larger(estimates: list[pd.DataFrame]) -> pd.DataFrame:
    pairs = pd.concat(estimates, ignore_index=True)
    swapped = pairs["first"] > pairs["second"]
    pairs.loc[swapped, ["first", "second"]] = pairs.loc[swapped, ["second", "first"]].to_numpy()
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
