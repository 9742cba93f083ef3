"""Leading eigenvectors of a matrix too large to be written down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SPARE = 6
"""Directions searched for beyond those asked for: they make the search converge sooner."""

MAX_ROUNDS = 80
ROUNDS_BETWEEN_CHECKS = 5
TOLERANCE = 1e-8
"""Residual of an eigenvector, in units of the largest eigenvalue, at which the search ends."""

NEGLIGIBLE = 1e-10
"""Share of a vector's length that may be rounding error."""

Matrix = NDArray[np.float64]


def leading_eigenvectors(
    apply: Callable[[Matrix], Matrix],
    size: int,
    count: int,
    *,
    start: Matrix | None = None,
    tolerance: float = TOLERANCE,
) -> Matrix:
    """Eigenvectors of the largest eigenvalues of a symmetric positive matrix that is only applied.

    Block Lanczos with full reorthogonalisation (Golub & Underwood 1977; Musco & Musco 2015 on its error).
    Signs as in `principal_components`.

    Parameters
    ----------
    apply
        The matrix times a few columns.
    size
        Its rows.
    count
        Eigenvectors wanted.
    start
        Columns that are near them; by default fixed random ones.
    tolerance
        Residual, in units of the largest eigenvalue, at which the search ends.
    """
    if start is None:
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
            if is_last or np.all(residual <= tolerance * values[0]):
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
