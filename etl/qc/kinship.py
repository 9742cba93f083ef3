"""Kinship of all pairs of people, one pair of blocks at a time: memory follows a block, not the cohort.

Axes: M markers, P people, B people of one block, K components with the intercept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl.qc.plink import Markers

BLOCK = 1024
"""People of a block, a multiple of the four in a byte: 10,000 markers of it are 40 MB as float32."""

DIGITS = 5
"""Decimals that are kept: sums in single precision are no better, and may differ between machines."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class _Block:
    """People of one block, as the products need them; a call that does not count is 0 in each."""

    first: int
    centred_MB: Matrix
    """Alternate alleles less those expected of the person's ancestry."""
    spread_MB: Matrix
    """Standard deviation of an allele at the person's own frequency."""
    ref_MB: Matrix
    het_MB: Matrix
    alt_MB: Matrix
    called_MB: Matrix


def estimate_pairs(
    markers: Markers, scores_PK: NDArray[np.float64], *, min_individual_maf: float, min_kinship: float
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Kinship of people by PC-Relate and by KING-robust, for each pair of blocks.

    PC-Relate (Conomos et al. 2016) is the ratio of sums over markers of (g − 2μ)(g' − 2μ') and
    4 √(μ(1 − μ)μ'(1 − μ')), μ being the frequency that a person's components predict. KING-robust
    (Manichaikul et al. 2010) compares shared heterozygous calls with opposite homozygous ones. A marker
    counts for a pair where both are called; in PC-Relate also only where both μ lie inside the limits.

    Parameters
    ----------
    markers
        In linkage equilibrium.
    scores_PK
        Principal components along the people.
    min_individual_maf
        Smallest minor allele frequency of a person at a marker, PC-Relate.
    min_kinship
        Pairs below it are left out.

    Returns
    -------
    Two frames for each pair of blocks, PC-Relate's and KING's: first and second (places of people, first
    before second) and kinship.
    """
    basis_PK = np.linalg.qr(np.column_stack([np.ones(len(scores_PK)), scores_PK]))[0]
    loadings_MK = _loadings(markers, basis_PK)
    starts = range(0, len(markers.people), BLOCK)

    def block(first: int) -> _Block:
        return _block(markers, loadings_MK @ basis_PK[first : first + BLOCK].T, first, min_individual_maf)

    for start in starts:
        mine = block(start)
        for other in starts[start // BLOCK :]:
            theirs = mine if other == start else block(other)
            yield (
                _close(_pc_relate(mine, theirs), mine.first, theirs.first, min_kinship),
                _close(_king(mine, theirs), mine.first, theirs.first, min_kinship),
            )


def _loadings(markers: Markers, basis_PK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half of each marker's regression on the basis; missing calls stand at the marker's mean."""
    parts = []
    for first in range(0, len(markers), BLOCK):
        dosage_MP = markers.dosages(first, min(first + BLOCK, len(markers)))
        mean_M = np.nanmean(dosage_MP, axis=1, keepdims=True)
        parts.append(0.5 * np.where(np.isnan(dosage_MP), mean_M, dosage_MP) @ basis_PK)
    return np.concatenate(parts)


def _block(
    markers: Markers, frequency_MB: NDArray[np.float64], first: int, min_individual_maf: float
) -> _Block:
    dosage_MB = markers.dosages_of(first, min(first + BLOCK, len(markers.people)))
    called_MB = ~np.isnan(dosage_MB)
    counts_MB = called_MB & (frequency_MB > min_individual_maf) & (frequency_MB < 1 - min_individual_maf)
    frequency_MB = np.where(counts_MB, frequency_MB, 0.0)
    return _Block(
        first=first,
        centred_MB=np.where(counts_MB, dosage_MB - 2 * frequency_MB, 0.0).astype(np.float32),
        spread_MB=np.sqrt(frequency_MB * (1 - frequency_MB)).astype(np.float32),
        ref_MB=(dosage_MB == 0).astype(np.float32),
        het_MB=(dosage_MB == 1).astype(np.float32),
        alt_MB=(dosage_MB == 2).astype(np.float32),
        called_MB=called_MB.astype(np.float32),
    )


def _pc_relate(mine: _Block, theirs: _Block) -> Matrix:
    shared_BB = mine.centred_MB.T @ theirs.centred_MB
    with np.errstate(divide="ignore", invalid="ignore"):
        return shared_BB / (4 * (mine.spread_MB.T @ theirs.spread_MB))


def _king(mine: _Block, theirs: _Block) -> Matrix:
    both_het_BB = mine.het_MB.T @ theirs.het_MB
    opposite_BB = mine.ref_MB.T @ theirs.alt_MB + mine.alt_MB.T @ theirs.ref_MB
    my_het_BB = mine.het_MB.T @ theirs.called_MB
    their_het_BB = mine.called_MB.T @ theirs.het_MB
    fewer_BB = np.minimum(my_het_BB, their_het_BB)
    # The between-family estimator: divided by the heterozygous calls of whoever has fewer.
    with np.errstate(divide="ignore", invalid="ignore"):
        differ_BB = (my_het_BB + their_het_BB) / 2 - both_het_BB + 2 * opposite_BB
        return np.float32(0.5) - differ_BB / (2 * fewer_BB)


def _close(kinship_BB: Matrix, first: int, second: int, min_kinship: float) -> pd.DataFrame:
    mine, theirs = np.nonzero(kinship_BB >= min_kinship)
    values = np.round(kinship_BB[mine, theirs].astype(np.float64), DIGITS)
    frame = pd.DataFrame({"first": mine + first, "second": theirs + second, "kinship": values})
    return frame[(frame["first"] < frame["second"]) & np.isfinite(frame["kinship"])]
