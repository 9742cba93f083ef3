"""Markers, kinship, duplicates, families: none of it looks at a label."""

from __future__ import annotations

import hail as hl
import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from etl.qc.sites import dense
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


def select_markers(mt: hl.MatrixTable, thresholds: RelatednessThresholds, *, seed: int) -> hl.MatrixTable:
    """Common, well-called autosomal SNVs, with a call for everybody; before LD pruning.

    Parameters
    ----------
    mt
        Sparse cohort, good sites; row field `calls` counts everybody.
    thresholds
        Frequencies, call rate, and the number of markers that a seeded draw keeps.
    seed
        Of the draw.
    """
    calls = mt.calls
    frequency = (calls.n_het + 2 * calls.n_hom_var) / (2 * calls.n_called)
    common = (frequency >= thresholds.min_marker_maf) & (frequency <= 1 - thresholds.min_marker_maf)
    markers = mt.filter_rows(
        mt.locus.in_autosome()
        & hl.is_snp(mt.alleles[0], mt.alleles[1])
        & (calls.n_called >= thresholds.min_marker_call_rate * calls.n)
        & common
    )
    found = markers.count_rows()
    if found > thresholds.max_markers:
        markers = markers.sample_rows(thresholds.max_markers / found, seed=seed)
    return dense(markers)


def prune(markers: hl.MatrixTable, thresholds: RelatednessThresholds) -> hl.MatrixTable:
    """Markers in approximate linkage equilibrium (`hl.ld_prune`)."""
    kept = hl.ld_prune(
        markers.GT, r2=thresholds.max_r2, bp_window_size=thresholds.window_bp, block_size=BLOCK_SIZE
    )
    return markers.semi_join_rows(kept)


def estimate_kinship(
    markers: hl.MatrixTable, thresholds: RelatednessThresholds
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Kinship by PC-Relate (Conomos et al. 2016), and the components it was corrected for.

    PC-Relate shrinks the kinship of recently admixed people towards 0 where few of them are in the cohort;
    a pair that KING-robust (Manichaikul et al. 2010) puts at first degree or closer gets the larger of the
    two: a family that is one pair too large costs nothing, one that is split leaks.

    Returns
    -------
    pairs
        first, second (sample ids), kinship; pairs of at least `MIN_KINSHIP_REPORTED`.
    scores
        sample_id and one column for each component, over all people.
    """
    _, scores, _ = hl.hwe_normalized_pca(markers.GT, k=thresholds.n_components)
    scores = scores.checkpoint(hl.utils.new_temp_file("scores", "ht"))
    pairs = hl.pc_relate(
        markers.GT,
        min_individual_maf=thresholds.min_individual_maf,
        scores_expr=scores[markers.col_key].scores,
        statistics="kin",
        min_kinship=MIN_KINSHIP_REPORTED,
        block_size=BLOCK_SIZE,
    )
    frame = pairs.select(kinship=pairs.kin).to_pandas()
    frame.columns = ["first", "second", "kinship"]
    return _larger([frame, _king_pairs(markers)]), score_frame(scores)


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


def score_frame(scores: hl.Table) -> pd.DataFrame:
    """A table of principal components as sample_id, pc1, pc2, …"""
    frame = scores.to_pandas()
    values = np.array(frame["scores"].tolist(), dtype=float)
    columns = {f"pc{number + 1}": values[:, number] for number in range(values.shape[1])}
    return pd.DataFrame({"sample_id": frame["s"], **columns})


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
