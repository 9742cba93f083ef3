"""Compiled loops of penalised logistic regression: coordinate descent over the columns of a sparse matrix.

Axes in names: M people, F features, P columns that carry no penalty, N entries that are not zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


def _weigh_columns(
    columns: tuple[Integers, Integers, Floats], weight_M: Floats, basis_MP: Floats
) -> tuple[Floats, Floats]:
    """Weighted sum of squares of each column, and its products with the columns of a weighted basis."""
    starts, row_N, value_N = columns
    squares_F = np.zeros(len(starts) - 1)
    shadow_FP = np.zeros((len(starts) - 1, basis_MP.shape[1]))
    for feature in range(len(starts) - 1):
        for at in range(starts[feature], starts[feature + 1]):
            row, value = row_N[at], value_N[at]
            squares_F[feature] += weight_M[row] * value * value
            for column in range(basis_MP.shape[1]):
                shadow_FP[feature, column] += value * basis_MP[row, column]
    return squares_F, shadow_FP


def _descend(
    columns: tuple[Integers, Integers, Floats],
    features: Integers,
    penalties: tuple[Floats, Floats],
    geometry: tuple[Floats, Floats, Floats],
    state: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """One pass of coordinate descent over some features, in place.

    The columns without penalty are eliminated: every feature is seen as what a weighted least-squares fit on
    them leaves of it. `shadow_FP` are its coordinates in their orthonormal basis, `in_basis_P` those of the
    residual, so that a step costs P operations more and nothing is subtracted from the sparse column.

    Parameters
    ----------
    columns
        Compressed sparse columns: start of each, row and value of each entry.
    features
        Features to visit, in this order.
    penalties
        ridge_F and lasso_F of each feature.
    geometry
        curvature_F (0: leave the feature alone), shadow_FP, weight_M.
    state
        coefficient_F, in_basis_P, residual_M (weighted), step_M (change of the linear predictor).
    """
    starts, row_N, value_N = columns
    ridge_F, lasso_F = penalties
    curvature_F, shadow_FP, weight_M = geometry
    coefficient_F, in_basis_P, residual_M, step_M = state
    for feature in features:
        curvature = curvature_F[feature]
        if curvature <= 0.0:
            continue
        gradient = 0.0
        for at in range(starts[feature], starts[feature + 1]):
            gradient += value_N[at] * residual_M[row_N[at]]
        for column in range(len(in_basis_P)):
            gradient -= shadow_FP[feature, column] * in_basis_P[column]
        before = coefficient_F[feature]
        pull = gradient + curvature * before
        size = max(abs(pull) - lasso_F[feature], 0.0) / (curvature + ridge_F[feature])
        after = size if pull > 0.0 else -size
        change = after - before
        if change == 0.0:
            continue
        coefficient_F[feature] = after
        for at in range(starts[feature], starts[feature + 1]):
            row = row_N[at]
            moved = change * value_N[at]
            step_M[row] += moved
            residual_M[row] -= weight_M[row] * moved
        for column in range(len(in_basis_P)):
            in_basis_P[column] -= change * shadow_FP[feature, column]


# Called as functions: numba's decorator has no types. Threads may run them side by side.
weigh_columns = njit(cache=True, nogil=True)(_weigh_columns)
descend = njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})(_descend)
