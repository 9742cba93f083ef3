"""Coefficients of kinship as matrix products of two blocks of people, one block of markers after another.

Axes: M markers, P people, B people of one block, K components with the intercept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl.qc.plink import CALLED, DOSAGE, MISSING_BITS, MarkerFile, Markers, by_code

MARKERS_AT_ONCE = 512
"""Markers that are unpacked together: their products with a block of people stay near the processor."""

PAIRS_AT_ONCE = 512
"""Pairs whose genotypes are compared together."""

Matrix = NDArray[np.float32]

_HET = by_code(hom_ref=0, het=1, hom_alt=0, missing=0)
_SIGN = by_code(hom_ref=-1, het=0, hom_alt=1, missing=0)


def king(file: MarkerFile, mine: slice, theirs: slice) -> Matrix:
    """KING-robust between families (Manichaikul et al. 2010, equation 11), which needs no frequencies.

    ½ − Σ (g − g')² / 4 n, where n counts the heterozygous calls of whoever of the two has fewer; a marker
    counts where both are called. It is too low for two people of different ancestry.

    Parameters
    ----------
    file
        Markers in linkage equilibrium.
    mine, theirs
        Two blocks of people, see `MarkerFile.values`.

    Returns
    -------
    numpy.ndarray
        B × B; infinite or NaN where a pair has no such heterozygous call.
    """
    called_BB, signs_BB, my_het_BB, their_het_BB = (_zeros(mine, theirs) for _ in range(4))
    for rows in _blocks(file.n_markers, MARKERS_AT_ONCE):
        het, called, sign = file.values(rows, mine, _HET, CALLED, _SIGN)
        their_het, their_called, their_sign = file.values(rows, theirs, _HET, CALLED, _SIGN)
        called_BB += called.T @ their_called
        signs_BB += sign.T @ their_sign
        my_het_BB += het.T @ their_called
        their_het_BB += called.T @ their_het
    # With s = g − 1, (g − g')² = s² + s'² − 2ss', and s² is 1 where a call is homozygous.
    squares_BB = 2 * called_BB - my_het_BB - their_het_BB - 2 * signs_BB
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.float32(0.5) - squares_BB / (4 * np.minimum(my_het_BB, their_het_BB))


@dataclass(frozen=True)
class ExpectedFrequencies:
    """The frequency of each marker's alternate allele that a person's components predict."""

    loadings_MK: Matrix
    scores_PK: Matrix
    """With the intercept; their product with the loadings is the frequency."""
    min_maf: float
    """A marker counts for a person whose frequency is above it and below 1 less it."""

    @classmethod
    def fit(
        cls,
        markers: Markers,
        scores_PK: NDArray[np.float64],
        fitted_P: NDArray[np.bool_],
        *,
        min_maf: float,
    ) -> ExpectedFrequencies:
        """Regress markers on components among some people, the `training.set` of GENESIS.

        Parameters
        ----------
        markers
            In linkage equilibrium.
        scores_PK
            Principal components along the people.
        fitted_P
            Who counts; missing calls of theirs stand at the marker's mean.
        min_maf
            Smallest minor allele frequency of a person at a marker.
        """
        design_PK = np.column_stack([np.ones(len(scores_PK)), scores_PK])
        solver_PK = np.linalg.pinv(design_PK[fitted_P]).T
        loadings = []
        for rows in _blocks(len(markers), MARKERS_AT_ONCE):
            dosage_MP = markers.dosages(rows.start, rows.stop)[:, fitted_P]
            n_called_M = (~np.isnan(dosage_MP)).sum(axis=1, keepdims=True)
            mean_M = np.nansum(dosage_MP, axis=1, keepdims=True) / np.maximum(n_called_M, 1)
            loadings.append(0.5 * np.where(np.isnan(dosage_MP), mean_M, dosage_MP) @ solver_PK)
        return cls(np.concatenate(loadings).astype(np.float32), design_PK.astype(np.float32), min_maf)

    def of(self, rows: slice, people: slice) -> tuple[Matrix, NDArray[np.bool_]]:
        """Frequencies, markers × people, and whether they lie inside the limits."""
        frequency_MB = self.loadings_MK[rows] @ self.scores_PK[people].T
        return frequency_MB, (frequency_MB > self.min_maf) & (frequency_MB < 1 - self.min_maf)


def pc_relate(file: MarkerFile, expected: ExpectedFrequencies, mine: slice, theirs: slice) -> Matrix:
    """PC-Relate (Conomos et al. 2016): kinship beyond what the components of two people predict.

    The ratio of sums over markers of (g − 2μ)(g' − 2μ') and 4 √(μ(1 − μ)μ'(1 − μ')), μ being a person's
    expected frequency. A marker counts for a pair where both are called and both μ lie inside the limits.

    Parameters
    ----------
    file
        Markers in linkage equilibrium.
    expected
        Of the same markers and people.
    mine, theirs
        Two blocks of people, see `MarkerFile.values`.

    Returns
    -------
    numpy.ndarray
        B × B; NaN where no marker counts.
    """
    shared_BB, spread_BB = _zeros(mine, theirs), _zeros(mine, theirs)
    for rows in _blocks(file.n_markers, MARKERS_AT_ONCE):
        centred, spread = _centred(file, expected, rows, mine)
        their_centred, their_spread = _centred(file, expected, rows, theirs)
        shared_BB += centred.T @ their_centred
        spread_BB += spread.T @ their_spread
    with np.errstate(divide="ignore", invalid="ignore"):
        return shared_BB / (4 * spread_BB)


def _centred(
    file: MarkerFile, expected: ExpectedFrequencies, rows: slice, people: slice
) -> tuple[Matrix, Matrix]:
    """Alleles less those expected, and the standard deviation of one; 0 where a call does not count."""
    dosage_MB, counts_MB = file.values(rows, people, DOSAGE, CALLED)
    frequency_MB, inside_MB = expected.of(rows, people)
    counts_MB *= inside_MB
    frequency_MB *= counts_MB
    return dosage_MB * counts_MB - 2 * frequency_MB, np.sqrt(frequency_MB * (1 - frequency_MB))


def opposite_homozygotes(markers: Markers, pairs: pd.DataFrame) -> NDArray[np.float64]:
    """IBS0: share of markers at which two people are homozygous for different alleles.

    Of the markers that are called in both. But for errors it is 0 in parents with their children and in
    duplicates, which tells parents from siblings.

    Parameters
    ----------
    markers
        Genotypes.
    pairs
        first and second: places of people.

    Returns
    -------
    numpy.ndarray
        Along the pairs; NaN where no marker is called in both.
    """
    shares = np.empty(len(pairs))
    for rows in _blocks(len(pairs), PAIRS_AT_ONCE):
        first_MR, second_MR = (markers.codes_of(pairs[end].to_numpy()[rows]) for end in ("first", "second"))
        both_MR = (first_MR != MISSING_BITS) & (second_MR != MISSING_BITS)
        # Of the codes of calls only those of the two homozygotes, 0 and 3, differ in both bits.
        opposite_R = (both_MR & (first_MR ^ second_MR == 3)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            shares[rows] = opposite_R / both_MR.sum(axis=0)
    return shares


def _zeros(mine: slice, theirs: slice) -> Matrix:
    return np.zeros((mine.stop - mine.start, theirs.stop - theirs.start), dtype=np.float32)


def _blocks(n: int, size: int) -> Iterator[slice]:
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))
