"""Kinship of a cohort, in the order of GENESIS; none of it looks at a label.

KING finds relatives without components, components are fitted on people without relatives, and PC-Relate
estimates kinship beyond these components (Conomos et al. 2016, AJHG 98:127).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl.qc.components import find_components
from etl.qc.kinship import MARKERS_AT_ONCE, ExpectedFrequencies, king, opposite_homozygotes, pc_relate
from etl.qc.pair_blocks import Estimate, close_pairs
from etl.qc.plink import MarkerFile, Markers
from etl.qc.relatedness import MIN_KINSHIP_FIRST_DEGREE
from etl.qc.unrelated import choose_unrelated
from etl.thresholds import RelatednessThresholds

ENDS = ("first", "second")

MIN_KINSHIP_REPORTED = 0.05
"""Pairs below are not written (gnomAD v4, sample_qc/relatedness.py)."""


@dataclass(frozen=True)
class Kinship:
    """Pairs of relatives, and components of people who are none."""

    pairs: pd.DataFrame
    """first, second (sample ids, ascending) and kinship."""
    scores_PK: NDArray[np.float64]
    """Along the markers' people."""
    n_above_noise: int
    """Leading components that tell ancestries apart."""
    fitted_P: NDArray[np.bool_]
    """Whom the components are fitted on."""


def estimate_kinship(
    markers: Markers, file: MarkerFile, people: pd.DataFrame, thresholds: RelatednessThresholds
) -> Kinship:
    """Kinship by PC-Relate, of close pairs by the larger of it and KING-robust.

    PC-Relate is estimated for all pairs, not for those alone that KING finds: KING is too low where ancestry
    differs, and PC-Relate is two of the six matrix products.

    It shrinks the kinship of recently admixed people towards 0 where few of them are in the cohort; a pair
    that KING-robust puts at first degree or closer gets the larger of the two: a family that is one pair too
    large costs nothing, one that is split leaks.

    Parameters
    ----------
    markers
        In linkage equilibrium.
    file
        The same ones, where all machines see them.
    people
        sample_id and call_rate of the markers' people.
    thresholds
        What makes two people relatives, the largest number of components, PC-Relate's smallest frequency.

    Returns
    -------
    Kinship
        Pairs of at least `MIN_KINSHIP_REPORTED`.
    """
    by_king = _close(partial(king, file), markers)
    found = with_components(by_king, markers, people, thresholds)
    # Components of noise fit relatives who are still among the people fitted, and hide their kinship.
    ancestry_PK = found.scores_PK[:, : found.n_above_noise]
    expected = ExpectedFrequencies.fit(
        markers, ancestry_PK, found.fitted_P, min_maf=thresholds.min_individual_maf
    )
    by_components = _close(partial(pc_relate, file, expected), markers)
    both = pd.concat([by_components, by_king[by_king["kinship"] >= MIN_KINSHIP_FIRST_DEGREE]])
    return replace(found, pairs=both.groupby(list(ENDS), sort=True)["kinship"].max().reset_index())


def with_components(
    pairs: pd.DataFrame, markers: Markers, people: pd.DataFrame, thresholds: RelatednessThresholds
) -> Kinship:
    """Known pairs, with components of people who are in none of them.

    Of two relatives the better called stays: before folds are made nobody's status may be looked at.

    Parameters
    ----------
    pairs
        first, second, kinship.
    markers, people, thresholds
        As in `estimate_kinship`.
    """
    unlabelled = people[["sample_id", "call_rate"]].assign(is_case=0)
    unrelated = choose_unrelated(unlabelled, pairs, thresholds.min_kinship_family)
    fitted_P = np.isin(np.array(markers.people, dtype=object), list(unrelated))
    n_components = max(1, min(thresholds.n_components, len(unrelated) - 1))
    found = find_components(markers, fitted_P, n_components, leave_out=False)
    return Kinship(pairs, found.scores_PK, found.n_above_noise, fitted_P)


def standard_error(markers: Markers) -> float:
    """Of PC-Relate's kinship of two strangers of one ancestry: ½ √Σ(pq)² / Σpq over the markers.

    ½ / √M where all M markers are equally frequent; rare ones tell less.
    """
    spreads = []
    for first in range(0, len(markers), MARKERS_AT_ONCE):
        dosage_MP = markers.dosages(first, min(first + MARKERS_AT_ONCE, len(markers)))
        frequency_M = np.nanmean(dosage_MP, axis=1) / 2
        spreads.append(frequency_M * (1 - frequency_M))
    spread_M = np.concatenate(spreads)
    return float(0.5 * np.sqrt(np.square(spread_M).sum()) / spread_M.sum())


def _close(estimate: Estimate, markers: Markers) -> pd.DataFrame:
    pairs = close_pairs(estimate, len(markers.people), MIN_KINSHIP_REPORTED)
    names = np.array(markers.people, dtype=object)
    first, second = np.sort(np.stack([names[pairs[end]] for end in ENDS]), axis=0)
    return pd.DataFrame({"first": first, "second": second, "kinship": pairs["kinship"]})


def measure_ibs0(pairs: pd.DataFrame, markers: Markers) -> pd.Series:
    """`opposite_homozygotes` along pairs of sample ids; missing where a person has no markers."""
    places = pd.DataFrame({end: pd.Index(markers.people).get_indexer(pd.Index(pairs[end])) for end in ENDS})
    known = (places >= 0).all(axis=1)
    shares = pd.Series(np.nan, index=pairs.index)
    shares[known.to_numpy()] = opposite_homozygotes(markers, places[known])
    return shares
