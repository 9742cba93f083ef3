"""Principal components of genotypes. Axes: M markers, P people, K components."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.qc.plink import Markers

VALUES_AT_ONCE = 2**22
"""Genotypes that are unpacked together: some megabytes."""

SPARE = 6
"""Directions searched for beyond those asked for: they make the search converge sooner."""
MAX_ROUNDS = 80
ROUNDS_BETWEEN_CHECKS = 5
TOLERANCE = 1e-8
"""Residual of an eigenvector, in units of the largest eigenvalue, at which the search ends."""
NEGLIGIBLE = 1e-10
"""Share of a vector's length that may be rounding error."""

Matrix = NDArray[np.float64]


def principal_components(markers: Markers, fitted_P: NDArray[np.bool_], n_components: int) -> Matrix:
    """Scores of everybody on the leading components of some people.

    Genotypes are normalised by the frequencies of the people that the components are fitted on, as in
    `hl.hwe_normalized_pca`: mean 0, binomial variance over the number of markers, missing ones 0. Markers
    that don't vary among these people are left out. All people are projected on the loadings, as
    `gnomad.sample_qc.ancestry.pc_project` does with those who were not fitted.

    Returns
    -------
    numpy.ndarray
        P × K; fewer components where fewer markers vary. The sign of a component is the one that makes its
        largest loading positive.
    """
    genotypes = _Normalised(*_varying(markers, fitted_P))

    def covariance(loadings_MK: Matrix) -> Matrix:
        return genotypes.times(genotypes.scores(loadings_MK) * fitted_P[:, None])

    n_markers = len(genotypes.markers)
    loadings_MK = leading_eigenvectors(covariance, n_markers, min(n_components, n_markers))
    return genotypes.scores(loadings_MK)


def leading_eigenvectors(apply: Callable[[Matrix], Matrix], size: int, count: int) -> Matrix:
    """Eigenvectors of the largest eigenvalues of a symmetric positive matrix that is only applied.

    Block Lanczos with full reorthogonalisation (Golub & Underwood 1977; Musco & Musco 2015 on its error),
    from a fixed random start. Signs as in `principal_components`.

    Parameters
    ----------
    apply
        The matrix times a few columns.
    size
        Its rows.
    count
        Eigenvectors wanted.
    """
    start = np.random.default_rng(0).standard_normal((size, min(count + SPARE, size)))
    basis = added = np.linalg.qr(start)[0]
    applied = apply(basis)
    for done in range(1, MAX_ROUNDS + 1):
        added = _new_directions(applied[:, -added.shape[1] :], basis)
        is_last = added.shape[1] == 0 or done == MAX_ROUNDS
        if is_last or done % ROUNDS_BETWEEN_CHECKS == 0:
            values, vectors = np.linalg.eigh(basis.T @ applied)
            values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
            residual = np.linalg.norm(applied @ vectors - basis @ vectors * values, axis=0)
            if is_last or np.all(residual <= TOLERANCE * values[0]):
                break
        basis, applied = np.hstack([basis, added]), np.hstack([applied, apply(added)])
    found = basis @ vectors
    largest = np.abs(found).argmax(axis=0)
    return found * np.where(found[largest, range(count)] < 0, -1.0, 1.0)


def _new_directions(columns: Matrix, basis: Matrix) -> Matrix:
    """Orthonormal directions of the columns outside the basis: none where it holds them all."""
    scale = np.linalg.norm(columns)
    rest = columns - basis @ (basis.T @ columns)
    directions, lengths, _ = np.linalg.svd(rest, full_matrices=False)
    # What is left of a column inside the basis is rounding error, and no direction.
    directions = directions[:, lengths > NEGLIGIBLE * scale]
    return np.linalg.qr(directions - basis @ (basis.T @ directions))[0]


@dataclass(frozen=True)
class _Normalised:
    """The matrix of normalised genotypes, unpacked a few markers at a time."""

    markers: Markers
    mean_M: NDArray[np.float64]
    scale_M: NDArray[np.float64]

    def scores(self, loadings_MK: Matrix) -> Matrix:
        """Its transpose times loadings: P × K."""
        total = np.zeros((len(self.markers.people), loadings_MK.shape[1]))
        for rows, block in self._blocks():
            total += block.T @ loadings_MK[rows]
        return total

    def times(self, scores_PK: Matrix) -> Matrix:
        """Itself times columns along the people: M × K."""
        return np.concatenate([block @ scores_PK for _, block in self._blocks()])

    def _blocks(self) -> Iterator[tuple[slice, Matrix]]:
        for rows in _row_blocks(self.markers):
            block = self.markers.dosages(rows.start, rows.stop)
            block -= self.mean_M[rows, None]
            block /= self.scale_M[rows, None]
            block[np.isnan(block)] = 0
            yield rows, block


def _row_blocks(markers: Markers) -> Iterator[slice]:
    size = max(1, VALUES_AT_ONCE // max(1, len(markers.people)))
    for first in range(0, len(markers), size):
        yield slice(first, min(first + size, len(markers)))


def _varying(
    markers: Markers, fitted_P: NDArray[np.bool_]
) -> tuple[Markers, NDArray[np.float64], NDArray[np.float64]]:
    """Markers that vary among the people fitted, their mean dosage, and the scale of their normalisation."""
    alleles_M, called_M = np.zeros(len(markers)), np.zeros(len(markers))
    for rows in _row_blocks(markers):
        dosage = markers.dosages(rows.start, rows.stop)[:, fitted_P]
        alleles_M[rows], called_M[rows] = np.nansum(dosage, axis=1), (~np.isnan(dosage)).sum(axis=1)
    places = np.flatnonzero((alleles_M > 0) & (alleles_M < 2 * called_M))
    mean_M = alleles_M[places] / called_M[places]
    return markers.take(places), mean_M, np.sqrt(mean_M * (2 - mean_M) * len(places) / 2)
