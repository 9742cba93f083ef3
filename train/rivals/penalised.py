"""Ridge, lasso and elastic net on gene features, the covariates without penalty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.special import expit

from train.design import Design
from train.rivals.inner import inner_parts
from train.rivals.logistic import LogisticFit, Penalty, Problem, fit_path, fit_unpenalised, log_loss_sum
from train.rivals.protocol import CovariateScale, LinearFit, channel_factors, scale_covariates

EXPLAINED = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Ridge: prior variance of the logit that all genes explain together, small first."""
SHARES = tuple(float(share) for share in np.geomspace(0.9, 0.03, 12))
"""Lasso and elastic net: share of the least penalty that leaves no gene in."""
LASSO_SHARES = (0.2, 0.02)
"""Elastic net: lasso's share of the penalty. Small, since on features of deviation 1 and thousands of people
a ridge of the lasso's own size shrinks nothing: with 0.5 it would be the lasso over again."""
OF_MOST = "of the least penalty without genes"
PATIENCE = 2
"""A path ends after as many penalties without a lower loss on people held out."""


@dataclass(frozen=True)
class Path:
    """Penalties from strong to weak with their names."""

    penalties: tuple[Penalty, ...]
    names: tuple[str, ...]


PathMaker = Callable[[Problem], list[Path]]


def ridge_paths(problem: Problem) -> list[Path]:
    """One path: λ = number of features / variance of the logit that they explain together."""
    n_features = max(int((problem.factor_F > 0).sum()), 1)
    penalties = tuple(Penalty(n_features / variance, 0.0) for variance in EXPLAINED)
    names = tuple(
        f"ridge, prior variance of the logit {variance:g} (C = {variance / n_features:.2g})"
        for variance in EXPLAINED
    )
    return [Path(penalties, names)]


def ridge_and_lasso_paths(problem: Problem) -> list[Path]:
    """Both: inner folds choose the kind of penalty too."""
    return [*ridge_paths(problem), *lasso_paths(problem)]


def lasso_paths(problem: Problem) -> list[Path]:
    """One path, from almost the least penalty that leaves no gene in."""
    most = _least_lasso_without_genes(problem)
    penalties = tuple(Penalty(0.0, most * share) for share in SHARES)
    return [Path(penalties, tuple(f"lasso, {share:.2g} {OF_MOST}" for share in SHARES))]


def elastic_net_paths(problem: Problem) -> list[Path]:
    """A path for each share of the lasso."""
    most = _least_lasso_without_genes(problem)
    paths = []
    for part in LASSO_SHARES:
        penalties = tuple(Penalty(most * share * (1 / part - 1), most * share) for share in SHARES)
        names = tuple(f"elastic net, lasso share {part:g}, {share:.2g} {OF_MOST}" for share in SHARES)
        paths.append(Path(penalties, names))
    return paths


@dataclass(frozen=True)
class PenalisedRival:
    """Penalised logistic regression whose penalty is tuned on inner folds."""

    paths: PathMaker
    seeded: bool = False

    def missing(self, design: Design) -> str | None:
        """Every dataset serves."""
        return None

    def fit(self, design: Design, seed: int) -> LinearFit:
        """Tune on parts of the folds given, then fit on everybody."""
        problem, standard = make_problem(design)
        path, length = _tune(problem, self.paths(problem), inner_parts(design))
        # The whole path again: warm starts make it cheaper than the last penalty alone.
        for fit in fit_path(problem, path.penalties[:length]):
            last = fit
        return LinearFit(standard, last.coefficient_F, last.unpenalised_P, path.names[length - 1])


def fit_covariates(training: Design) -> LinearFit:
    """Logistic regression on the covariates alone, without penalty."""
    standard = scale_covariates(training)
    fit = fit_unpenalised(standard.columns(training), training.is_case_M)
    return LinearFit(standard, np.zeros(training.x_MF.shape[1]), fit.unpenalised_P)


def make_problem(design: Design) -> tuple[Problem, CovariateScale]:
    """People to fit on, with the scales of their features and covariates."""
    standard = scale_covariates(design)
    used_M = np.ones(len(design), bool)
    columns_MP = standard.columns(design)
    problem = Problem(csc_matrix(design.x_MF), columns_MP, design.is_case_M, channel_factors(design), used_M)
    return problem, standard


def _tune(problem: Problem, paths: Sequence[Path], held: Sequence[NDArray[np.bool_]]) -> tuple[Path, int]:
    """The path, and how far on it, with the lowest loss on people held out; all parts walk in step."""
    best_loss, best = np.inf, (paths[0], 1)
    for path in paths:
        walks = [fit_path(replace(problem, used_M=~mask), path.penalties) for mask in held]
        behind = Patience()
        for length in range(1, len(path.penalties) + 1):
            loss = sum(
                _held_out_loss(problem, next(walk), mask) for walk, mask in zip(walks, held, strict=True)
            )
            if loss < best_loss:
                best_loss, best = loss, (path, length)
            if behind.over(loss):
                break
    return best


class Patience:
    """Says when a path has gone on for long enough without a lower loss."""

    def __init__(self) -> None:
        self._lowest, self._behind = np.inf, 0

    def over(self, loss: float) -> bool:
        """Take note of the next loss."""
        self._behind = 0 if loss < self._lowest else self._behind + 1
        self._lowest = min(loss, self._lowest)
        return self._behind >= PATIENCE


def _held_out_loss(problem: Problem, fit: LogisticFit, mask: NDArray[np.bool_]) -> float:
    return log_loss_sum(problem.is_case_M[mask], fit.logit_M[mask])


def _least_lasso_without_genes(problem: Problem) -> float:
    used_M = problem.used_M
    null = fit_unpenalised(problem.z_MP[used_M], problem.is_case_M[used_M])
    residual_M = np.zeros(len(used_M))
    residual_M[used_M] = problem.is_case_M[used_M] - expit(null.logit_M)
    gradient_F = np.abs(problem.x_MF.T @ residual_M) * problem.factor_F
    return max(float(gradient_F.max(initial=0.0)), 1e-6)
