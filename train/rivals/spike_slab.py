"""Variational spike-and-slab over genes: with probability π a gene has effects ~ N(0, S), one per channel.

π, the covariance S that channels share and the residual variance are learned by EM, so that nothing is tuned
(Carbonetto and Stephens 2012, extended from one effect per gene to C; linear in the 0/1 outcome, covariates
regressed out of outcome and features first). It shares no code with the effects that the network starts
from: two ways to the same posterior, of which one can be wrong.

Axes in names: M people, G genes, C channels, F features (channel × n_genes + gene), N entries that are not
zero, P columns of an orthonormal basis of intercept and covariates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from train.design import Design
from train.rivals.protocol import LinearFit, Values, channel_factors
from train.rivals.simple import covariate_logit

STARTS = (1.0, 0.02, 0.1, 0.3)
"""Shares of genes with effects that fits start from; 1: every gene has effects, and that stays so."""
EXPLAINED = 0.3
"""Share of the outcome's variance that the effects explain at the start."""
SWEEPS = 60
TRIAL_SWEEPS = 15
"""Sweeps of every start; then the one with the highest evidence bound goes on alone."""
FIXED_SWEEPS = 2
"""Sweeps before π, S and the residual variance are learned: effects have to leave 0 first."""
TOLERANCE = 1e-6
"""A fit ends when no gene's step explains more of the outcome's variance, and what is learned has settled."""
SETTLED = 0.01
"""Relative change in a sweep of the share of genes and of the effects' variance."""


class _Columns(NamedTuple):
    """Features by column, unscaled; column f owns entries start_F[f]:start_F[f + 1].

    `factor_F` scales them, `shadow_FP` is what the basis explains of the scaled ones. Both are applied to
    sums over entries, so that neither scaled nor projected features are ever made.
    """

    start_F: NDArray[np.int32]
    person_N: NDArray[np.int32]
    value_N: NDArray[np.float32]
    factor_F: Values
    shadow_FP: Values


class _Residual(NamedTuple):
    """Outcome less the effects so far, by person, and its products with the basis.

    Features net of the basis have with `left_M` the products that features themselves have, less shadow_FP ·
    basis_P: a step changes the entries of its gene alone, not everybody.
    """

    left_M: Values
    basis_P: Values

    @property
    def squares(self) -> float:
        """Sum of squares net of the basis."""
        return float(self.left_M @ self.left_M - self.basis_P @ self.basis_P)


@dataclass(frozen=True)
class _Data:
    """Outcome net of the covariates, features, and the products of each gene's channels net of them."""

    outcome_M: Values
    columns: _Columns
    products_GCC: Values


@dataclass
class Posterior:
    """State of a fit: mean_GC given that a gene has effects, and how probable that is."""

    inclusion_G: Values
    mean_GC: Values
    share: float
    covariance_CC: Values
    residual: float
    evidence: float = -np.inf

    @property
    def effect_GC(self) -> Values:
        """Posterior mean effects."""
        return self.inclusion_G[:, None] * self.mean_GC


@dataclass(frozen=True)
class SpikeSlabFit(LinearFit):
    """Effects and, where not every gene has some, the probability that a gene does."""

    inclusion_G: Values | None = None


@dataclass(frozen=True)
class SpikeSlabRival:
    """The start with the highest evidence bound, of fits on everybody given."""

    seeded: bool = False

    def missing(self, design: Design) -> str | None:
        """Every dataset serves."""
        return None

    def fit(self, design: Design, seed: int) -> SpikeSlabFit:
        """Fit all starts."""
        posterior, factor_F = fit_spike_slab(design)
        coefficient_F = posterior.effect_GC.T.ravel() * factor_F
        # A step in the 0/1 outcome is this many log odds at the mean; covariates come from their own fit.
        share = design.is_case_M.mean()
        coefficient_F /= share * (1 - share)
        standard, unpenalised_P = covariate_logit(design)
        explained_P = np.linalg.lstsq(standard.columns(design), design.x_MF @ coefficient_F, rcond=None)[0]
        return SpikeSlabFit(
            standard,
            coefficient_F,
            unpenalised_P - explained_P,
            f"share of genes {posterior.share:.2g} (evidence)",
            posterior.inclusion_G if posterior.share < 1 else None,
        )


def fit_spike_slab(design: Design, starts: Sequence[float] = STARTS) -> tuple[Posterior, Values]:
    """The start with the highest evidence bound, and the factors that its effects refer to.

    Parameters
    ----------
    design
        People and features; channel × gene features are scaled by channel.
    starts
        Shares of genes with effects to start from.
    """
    factor_F = channel_factors(design)
    basis_MP = _basis(np.hstack([np.ones((len(design), 1)), design.covariates_MP]))
    outcome_M = design.is_case_M.astype(np.float64)
    outcome_M -= basis_MP @ (basis_MP.T @ outcome_M)
    columns, products_GCC = _make_columns(design, factor_F, basis_MP)
    data = _Data(outcome_M, columns, products_GCC)
    fits = [_Fit(data, start) for start in starts]
    for fit in fits:
        fit.sweep_until(TRIAL_SWEEPS)
    best = max(fits, key=lambda fit: fit.posterior.evidence)
    best.sweep_until(SWEEPS)
    return best.posterior, factor_F


def _basis(columns_MP: Values) -> Values:
    left_MP, sizes_P, _ = np.linalg.svd(columns_MP.astype(np.float64), full_matrices=False)
    return np.asarray(left_MP[:, sizes_P > 1e-6 * sizes_P.max()])


def _make_columns(design: Design, factor_F: Values, basis_MP: Values) -> tuple[_Columns, Values]:
    x_MF = csc_matrix(design.x_MF)
    unscaled = _Columns(
        x_MF.indptr, x_MF.indices, x_MF.data.astype(np.float32, copy=False), factor_F, basis_MP
    )
    shadow_FP, products_GCC = _products(unscaled, basis_MP, len(design.channels))
    return unscaled._replace(shadow_FP=shadow_FP), products_GCC


class _Fit:
    """A fit from one start, which can be left and taken up again."""

    def __init__(self, data: _Data, start: float) -> None:
        self._data, self._sweep, self._settled = data, 0, False
        self._learns_share = start < 1
        n_genes, n_channels, _ = data.products_GCC.shape
        self._variance = float(data.outcome_M.var())
        # At the start half of the effects is common to the channels, and each explains as much.
        squares_C = np.einsum("gcc->gc", data.products_GCC).mean(axis=0) / len(data.outcome_M)
        typical_C = np.maximum(squares_C, 1e-12) ** -0.5
        together_CC = 0.5 * np.outer(typical_C, typical_C) + 0.5 * np.diag(typical_C**2)
        self.posterior = Posterior(
            np.full(n_genes, start),
            np.zeros((n_genes, n_channels)),
            start,
            together_CC * EXPLAINED * self._variance / (start * n_genes * n_channels),
            self._variance * (1 - EXPLAINED),
        )
        n_basis = data.columns.shadow_FP.shape[1]
        self._residual = _Residual(data.outcome_M.copy(), np.zeros(n_basis))

    def sweep_until(self, last: int) -> None:
        """Go on to this number of sweeps in all, or until nothing moves."""
        posterior, products_GCC = self.posterior, self._data.products_GCC
        while self._sweep < last and not self._settled:
            inverse_CC = np.linalg.inv(posterior.covariance_CC)
            spread_GCC = np.linalg.inv(products_GCC / posterior.residual + inverse_CC)
            shrunk_G = np.linalg.slogdet(spread_GCC)[1] - np.linalg.slogdet(posterior.covariance_CC)[1]
            largest = self._visit_all(spread_GCC, shrunk_G)
            self._sweep += 1
            if self._sweep <= FIXED_SWEEPS:
                continue
            second_GCC = posterior.mean_GC[:, :, None] * posterior.mean_GC[:, None, :] + spread_GCC
            change = _learn(posterior, self._learns_share, second_GCC, products_GCC, self._residual)
            limit = TOLERANCE * self._variance * len(self._data.outcome_M)
            self._settled = largest < limit and change < SETTLED
            if self._sweep == last or self._settled:
                n_people = len(self._data.outcome_M)
                posterior.evidence = _evidence(posterior, second_GCC, spread_GCC, n_people)

    def _visit_all(self, spread_GCC: Values, shrunk_G: Values) -> float:
        posterior = self.posterior
        odds = np.log(posterior.share / (1 - posterior.share)) if posterior.share < 1 else np.inf
        # To and fro: what an earlier gene took from its correlated neighbour is given back.
        order_G = np.arange(len(spread_GCC))[:: 1 if self._sweep % 2 == 0 else -1]
        largest: float = _visit(
            self._data.columns,
            self._residual,
            (order_G, self._data.products_GCC, spread_GCC, odds + 0.5 * shrunk_G),
            (posterior.inclusion_G, posterior.mean_GC),
            posterior.residual,
        )
        return largest


@njit(cache=True, nogil=True)
def _products(columns, basis_MP, n_channels):  # type: ignore[no-untyped-def]
    """What the basis explains of each feature, and each gene's products net of that."""
    n_genes, n_basis = len(columns.factor_F) // n_channels, basis_MP.shape[1]
    shadow_FP = np.zeros((len(columns.factor_F), n_basis))
    products_GCC = np.zeros((n_genes, n_channels, n_channels))
    dense_M = np.zeros(len(basis_MP))
    for f in range(len(columns.factor_F)):
        for j in range(columns.start_F[f], columns.start_F[f + 1]):
            for p in range(n_basis):
                shadow_FP[f, p] += columns.value_N[j] * basis_MP[columns.person_N[j], p]
        shadow_FP[f] *= columns.factor_F[f]
    for g in range(n_genes):
        for c in range(n_channels):
            f = c * n_genes + g
            for j in range(columns.start_F[f], columns.start_F[f + 1]):
                dense_M[columns.person_N[j]] = columns.value_N[j]
            for d in range(c, n_channels):
                other, total = d * n_genes + g, 0.0
                for j in range(columns.start_F[other], columns.start_F[other + 1]):
                    total += columns.value_N[j] * dense_M[columns.person_N[j]]
                total *= columns.factor_F[f] * columns.factor_F[other]
                products_GCC[g, c, d] = total - np.dot(shadow_FP[f], shadow_FP[other])
                products_GCC[g, d, c] = products_GCC[g, c, d]
            for j in range(columns.start_F[f], columns.start_F[f + 1]):
                dense_M[columns.person_N[j]] = 0.0
    return shadow_FP, products_GCC


@njit(cache=True, nogil=True)
def _visit(columns, left, genes, state, residual):  # type: ignore[no-untyped-def]
    """Update genes one after the other; returns the largest sum of squares of a step.

    `genes` holds their order, products_GCC, spread_GCC and what their log odds are without data on them
    (infinite where every gene has effects); `state` inclusion_G and mean_GC, which change.
    """
    order_G, products_GCC, spread_GCC, log_odds_G = genes
    inclusion_G, mean_GC = state
    n_genes, n_channels = mean_GC.shape
    pull_C, largest = np.zeros(n_channels), 0.0
    for g in order_G:
        for c in range(n_channels):
            f, total = c * n_genes + g, 0.0
            for j in range(columns.start_F[f], columns.start_F[f + 1]):
                total += columns.value_N[j] * left.left_M[columns.person_N[j]]
            pull_C[c] = total * columns.factor_F[f] - np.dot(columns.shadow_FP[f], left.basis_P)
        before_C = inclusion_G[g] * mean_GC[g]
        gradient_C = (pull_C + np.dot(products_GCC[g], before_C)) / residual
        mean_GC[g] = np.dot(spread_GCC[g], gradient_C)
        if log_odds_G[g] < np.inf:
            log_odds = log_odds_G[g] + 0.5 * np.dot(gradient_C, mean_GC[g])
            inclusion_G[g] = 1 / (1 + np.exp(-min(max(log_odds, -500.0), 500.0)))
        step_C = inclusion_G[g] * mean_GC[g] - before_C
        for c in range(n_channels):
            f = c * n_genes + g
            step = step_C[c] * columns.factor_F[f]
            for j in range(columns.start_F[f], columns.start_F[f + 1]):
                left.left_M[columns.person_N[j]] -= columns.value_N[j] * step
            left.basis_P[:] -= columns.shadow_FP[f] * step_C[c]
        largest = max(largest, np.dot(step_C, np.dot(products_GCC[g], step_C)))
    return largest


def _learn(
    posterior: Posterior,
    learns_share: bool,
    second_GCC: Values,
    products_GCC: Values,
    left: _Residual,
) -> float:
    """One M step: covariance, share of genes with effects, residual variance; returns how far they moved."""
    before = posterior.share, float(np.trace(posterior.covariance_CC))
    inclusion_G, n_channels = posterior.inclusion_G, posterior.mean_GC.shape[1]
    covariance_CC = np.einsum("g,gcd->cd", inclusion_G, second_GCC) / inclusion_G.sum()
    # Never singular, also where no effect is left.
    floor = 1e-6 * np.trace(covariance_CC) / n_channels + 1e-15
    posterior.covariance_CC = covariance_CC + floor * np.eye(n_channels)
    if learns_share:
        posterior.share = float(np.clip(inclusion_G.mean(), 1 / (len(inclusion_G) + 1), 0.999))
    effect_GC = posterior.effect_GC
    uncertain_GCC = inclusion_G[:, None, None] * second_GCC - effect_GC[:, :, None] * effect_GC[:, None, :]
    squares = left.squares + float(np.sum(products_GCC * uncertain_GCC))
    posterior.residual = squares / len(left.left_M)
    after = posterior.share, float(np.trace(posterior.covariance_CC))
    return max(abs(new / old - 1) for new, old in zip(after, before, strict=True))


def _evidence(posterior: Posterior, second_GCC: Values, spread_GCC: Values, n_people: int) -> float:
    """Lower bound of the log evidence, up to what all starts share; see Carbonetto and Stephens 2012."""
    n_channels = posterior.mean_GC.shape[1]
    inverse_CC = np.linalg.inv(posterior.covariance_CC)
    shrunk_G = np.linalg.slogdet(spread_GCC)[1] - np.linalg.slogdet(posterior.covariance_CC)[1]
    size_G = np.einsum("cd,gcd->g", inverse_CC, second_GCC)
    divergence = float(posterior.inclusion_G @ (0.5 * (size_G - n_channels - shrunk_G)))
    if posterior.share < 1:
        in_G = np.clip(posterior.inclusion_G, 1e-12, 1 - 1e-12)
        divergence += float(np.sum(in_G * np.log(in_G / posterior.share)))
        divergence += float(np.sum((1 - in_G) * np.log((1 - in_G) / (1 - posterior.share))))
    return float(-0.5 * n_people * (np.log(2 * np.pi * posterior.residual) + 1)) - divergence
