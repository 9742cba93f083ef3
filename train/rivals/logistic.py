"""Logistic regression with ridge and lasso on sparse features, and columns that carry no penalty.

Written here because no library has both on sparse features: scikit-learn penalises every column alike, and
takes minutes for a path of penalties that warm starts do in seconds.

Axes in names: M people, F features, P columns without penalty, the first of them the intercept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csc_matrix, csr_matrix
from scipy.special import expit

from train.rivals.descent import descend, weigh_columns

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_STEPS = 200
LEAST_WEIGHT = 1e-4
"""Weights of people whose probability is almost 0 or 1 stay above this, so that steps stay finite."""
STALE = 0.02
"""Mean relative change of people's weights after which the columns are weighed anew."""
JITTER = 1e-9
"""Per person, on the diagonal of the columns without penalty: they may be collinear or all zero."""


@dataclass(frozen=True)
class Penalty:
    """λ/2·β² and λ·|β| of a feature that is scaled to a standard deviation of 1."""

    ridge: float
    lasso: float


@dataclass(frozen=True)
class Problem:
    """People to fit on.

    Attributes
    ----------
    x_MF
        Features, neither scaled nor centred: the intercept takes up the means.
    z_MP
        Columns without penalty; the first is 1.
    is_case_M
        1 or 0.
    factor_F
        Scale that penalties refer to; features of factor 0 are left out.
    used_M
        People whose likelihood counts. The others only get a linear predictor, which is how people held out
        are scored without a copy of the matrix.
    """

    x_MF: csc_matrix
    z_MP: Values
    is_case_M: NDArray[np.int8]
    factor_F: Values
    used_M: Mask

    @property
    def columns(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Starts, rows and values of the sparse columns."""
        return self.x_MF.indptr, self.x_MF.indices, self.x_MF.data


@dataclass(frozen=True)
class LogisticFit:
    """A fitted regression on features as they are stored; `logit_M` of everybody in its problem."""

    penalty: Penalty
    coefficient_F: Values
    unpenalised_P: Values
    logit_M: Values

    def logit(self, x_MF: csr_matrix, z_MP: Values) -> Values:
        """Linear predictor of other people."""
        return np.asarray(x_MF @ self.coefficient_F + z_MP @ self.unpenalised_P)


def fit_path(
    problem: Problem, penalties: Sequence[Penalty], tolerance: float = 1e-7
) -> Iterator[LogisticFit]:
    """Fits one after the other, each started from the one before; strongest penalty first is fastest.

    Modified Newton steps: coordinate descent on the weighted squares for the features, with the columns
    without penalty eliminated exactly; weights p(1 − p) are kept until they have moved by `STALE`, and a step
    is halved until the loss falls.

    Parameters
    ----------
    problem
        People and features.
    penalties
        In the order wanted.
    tolerance
        A fit ends when a step lowers the penalised loss by less than this per person.
    """
    n_features = problem.x_MF.shape[1]
    fit = LogisticFit(
        Penalty(0.0, 0.0),
        np.zeros(n_features),
        np.zeros(problem.z_MP.shape[1]),
        np.zeros(problem.x_MF.shape[0]),
    )
    geometry = _geometry(problem, fit.logit_M)
    for penalty in penalties:
        fit, geometry = _fit_one(problem, replace(fit, penalty=penalty), geometry, tolerance)
        yield fit


def fit_unpenalised(z_MP: Values, is_case_M: NDArray[np.int8]) -> LogisticFit:
    """Logistic regression on columns without penalty alone (those that are collinear or all zero get 0)."""
    nothing = csc_matrix((len(z_MP), 0), dtype=np.float32)
    everybody = np.ones(len(z_MP), bool)
    problem = Problem(nothing, z_MP, is_case_M, np.zeros(0), everybody)
    return next(fit_path(problem, [Penalty(0.0, 0.0)], tolerance=1e-10))


def log_loss_sum(is_case_M: NDArray[np.int8], logit_M: Values) -> float:
    """Minus log likelihood (nats), summed over people."""
    return float(np.sum(np.logaddexp(0.0, logit_M) - is_case_M * logit_M))


@dataclass(frozen=True)
class _Geometry:
    """What the weights of people make of the columns; see `train.rivals.descent`."""

    weight_M: Values
    root_PP: Values
    shadow_FP: Values
    curvature_F: Values


def _fit_one(
    problem: Problem, start: LogisticFit, geometry: _Geometry, tolerance: float
) -> tuple[LogisticFit, _Geometry]:
    scale_F = np.divide(
        1.0, problem.factor_F, out=np.zeros_like(problem.factor_F), where=problem.factor_F > 0
    )
    penalties = (start.penalty.ridge * scale_F**2, start.penalty.lasso * scale_F)
    fit, loss = start, _loss(problem, start, penalties)
    for _ in range(MAX_STEPS):
        if _moved(_weights(problem, fit.logit_M), geometry.weight_M):
            geometry = _geometry(problem, fit.logit_M)
        proposed = _propose(problem, fit, penalties, geometry)
        # The direction goes downhill for any positive weights, so that halving ends.
        while (lower := _loss(problem, proposed, penalties)) > loss and not _same(proposed, fit):
            proposed = _halfway(fit, proposed)
        gain, fit, loss = loss - lower, proposed, lower
        if gain < tolerance * len(problem.is_case_M):
            break
    return fit, geometry


def _weights(problem: Problem, logit_M: Values) -> Values:
    p_M = expit(logit_M)
    return np.where(problem.used_M, np.maximum(p_M * (1 - p_M), LEAST_WEIGHT), 0.0)


def _moved(now_M: Values, before_M: Values) -> bool:
    return bool(np.abs(now_M - before_M).sum() > STALE * now_M.sum())


def _geometry(problem: Problem, logit_M: Values) -> _Geometry:
    weight_M = _weights(problem, logit_M)
    weighted_MP = problem.z_MP * weight_M[:, None]
    square_PP = problem.z_MP.T @ weighted_MP
    root_PP = cholesky(square_PP + JITTER * len(logit_M) * np.eye(len(square_PP)), lower=True)
    basis_MP = np.ascontiguousarray(solve_triangular(root_PP, weighted_MP.T, lower=True).T)
    squares_F, shadow_FP = weigh_columns(problem.columns, weight_M, basis_MP)
    curvature_F = np.where(problem.factor_F > 0, squares_F - (shadow_FP**2).sum(axis=1), 0.0)
    curvature_F[curvature_F < 1e-9 * squares_F] = 0.0
    return _Geometry(weight_M, root_PP, shadow_FP, curvature_F)


def _propose(
    problem: Problem, fit: LogisticFit, penalties: tuple[Values, Values], geometry: _Geometry
) -> LogisticFit:
    residual_M = np.where(problem.used_M, problem.is_case_M - expit(fit.logit_M), 0.0)
    in_basis_P = solve_triangular(geometry.root_PP, problem.z_MP.T @ residual_M, lower=True)
    coefficient_F, step_M = fit.coefficient_F.copy(), np.zeros(len(residual_M))
    columns = (geometry.curvature_F, geometry.shadow_FP, geometry.weight_M)
    state = (coefficient_F, in_basis_P, residual_M, step_M)
    descend(problem.columns, np.arange(len(coefficient_F)), penalties, columns, state)
    if fit.penalty.lasso:
        for _ in range(3):  # few features are in: going on with them alone is cheap
            descend(problem.columns, np.flatnonzero(coefficient_F), penalties, columns, state)
    change_P = solve_triangular(geometry.root_PP, in_basis_P, lower=True, trans=1)
    logit_M = fit.logit_M + step_M + problem.z_MP @ change_P
    return LogisticFit(fit.penalty, coefficient_F, fit.unpenalised_P + change_P, logit_M)


def _loss(problem: Problem, fit: LogisticFit, penalties: tuple[Values, Values]) -> float:
    used_M, (ridge_F, lasso_F) = problem.used_M, penalties
    shrinkage = 0.5 * ridge_F @ fit.coefficient_F**2 + lasso_F @ np.abs(fit.coefficient_F)
    return log_loss_sum(problem.is_case_M[used_M], fit.logit_M[used_M]) + float(shrinkage)


def _halfway(near: LogisticFit, far: LogisticFit) -> LogisticFit:
    return LogisticFit(
        near.penalty,
        (near.coefficient_F + far.coefficient_F) / 2,
        (near.unpenalised_P + far.unpenalised_P) / 2,
        (near.logit_M + far.logit_M) / 2,
    )


def _same(one: LogisticFit, other: LogisticFit) -> bool:
    return bool(np.allclose(one.logit_M, other.logit_M, rtol=0, atol=1e-12))
