"""Variational spike-and-slab over genes: with probability π a gene has effects ~ N(0, S), one per channel.

π, the covariance S that channels share and the residual variance are learned by EM, so that nothing is tuned
(Carbonetto and Stephens 2012, extended from one effect per gene to C; linear in the 0/1 outcome, covariates
regressed out of outcome and features first). It is written in plain numpy, apart from the effects that the
network starts from: two ways to the same posterior, of which one can be wrong.

Axes in names: M people, G genes, C channels, K genes of a block × channels (gene-major), P covariates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
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
BLOCK = 32
"""Genes whose products are kept, so that people are passed once per block."""


@dataclass(frozen=True)
class _Block:
    """Some genes: their columns, what the covariates explain of them, and their products net of that."""

    genes: NDArray[np.int64]
    x_MK: csc_matrix
    shadow_PK: Values
    products_KK: Values


@dataclass(frozen=True)
class _Data:
    """Outcome net of the covariates, an orthonormal basis of these, and all genes."""

    outcome_M: Values
    basis_MP: Values
    blocks: list[_Block]

    @cached_property
    def products_GCC(self) -> Values:
        """Products of each gene's channels."""
        return np.concatenate([_diagonal_blocks(block) for block in self.blocks])


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
    data = _Data(outcome_M, basis_MP, _make_blocks(design, factor_F, basis_MP))
    fits = [_Fit(data, start) for start in starts]
    for fit in fits:
        fit.sweep_until(TRIAL_SWEEPS)
    best = max(fits, key=lambda fit: fit.posterior.evidence)
    best.sweep_until(SWEEPS)
    return best.posterior, factor_F


def _basis(columns_MP: Values) -> Values:
    left_MP, sizes_P, _ = np.linalg.svd(columns_MP.astype(np.float64), full_matrices=False)
    return np.asarray(left_MP[:, sizes_P > 1e-6 * sizes_P.max()])


def _make_blocks(design: Design, factor_F: Values, basis_MP: Values) -> list[_Block]:
    n_channels, columns = len(design.channels), csc_matrix(design.x_MF)
    blocks = []
    for start in range(0, design.n_genes, BLOCK):
        genes = np.arange(start, min(start + BLOCK, design.n_genes))
        at = (genes[:, None] + design.n_genes * np.arange(n_channels)).ravel()
        x_MK = columns[:, at].astype(np.float32)
        x_MK.data *= np.repeat(factor_F[at], np.diff(x_MK.indptr)).astype(np.float32)
        shadow_PK = (x_MK.T @ basis_MP).T
        products_KK = (x_MK.T @ x_MK).toarray().astype(np.float64) - shadow_PK.T @ shadow_PK
        blocks.append(_Block(genes, x_MK, shadow_PK, products_KK))
    return blocks


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
        self._residual_M = data.outcome_M.astype(np.float32)

    def sweep_until(self, last: int) -> None:
        """Go on to this number of sweeps in all, or until nothing moves."""
        posterior, products_GCC = self.posterior, self._data.products_GCC
        while self._sweep < last and not self._settled:
            inverse_CC = np.linalg.inv(posterior.covariance_CC)
            spread_GCC = np.linalg.inv(products_GCC / posterior.residual + inverse_CC)
            largest = self._visit_all(spread_GCC)
            second_GCC = posterior.mean_GC[:, :, None] * posterior.mean_GC[:, None, :] + spread_GCC
            if self._sweep >= FIXED_SWEEPS:
                change = _learn(posterior, self._learns_share, second_GCC, products_GCC, self._residual_M)
                limit = TOLERANCE * self._variance * len(self._residual_M)
                self._settled = largest < limit and change < SETTLED
                posterior.evidence = _evidence(posterior, second_GCC, spread_GCC, len(self._residual_M))
            self._sweep += 1

    def _visit_all(self, spread_GCC: Values) -> float:
        # To and fro: what an earlier gene took from its correlated neighbour is given back.
        blocks = self._data.blocks if self._sweep % 2 == 0 else self._data.blocks[::-1]
        basis_MP = self._data.basis_MP
        return max(_visit(block, self.posterior, spread_GCC, self._residual_M, basis_MP) for block in blocks)


def _diagonal_blocks(block: _Block) -> Values:
    n = len(block.genes)
    by_gene = block.products_KK.reshape(n, -1, n, block.products_KK.shape[0] // n)
    return by_gene[np.arange(n), :, np.arange(n), :]


def _visit(
    block: _Block, posterior: Posterior, spread_GCC: Values, residual_M: NDArray[np.float32], basis_MP: Values
) -> float:
    """Update the genes of a block one after the other; returns the largest sum of squares of a step."""
    n_channels = posterior.mean_GC.shape[1]
    pull_K = (block.x_MK.T @ residual_M).astype(np.float64)
    before_K = posterior.effect_GC[block.genes].ravel()
    prior = np.log(posterior.share / (1 - posterior.share)) if posterior.share < 1 else np.inf
    spread_log_G = (
        np.linalg.slogdet(spread_GCC[block.genes])[1] - np.linalg.slogdet(posterior.covariance_CC)[1]
    )
    after_K, largest = before_K.copy(), 0.0
    for place, gene in enumerate(block.genes):
        own = slice(place * n_channels, (place + 1) * n_channels)
        products_CC = block.products_KK[own, own]
        gradient_C = (pull_K[own] + products_CC @ before_K[own]) / posterior.residual
        mean_C = spread_GCC[gene] @ gradient_C
        if posterior.share < 1:
            log_odds = prior + 0.5 * spread_log_G[place] + 0.5 * float(gradient_C @ mean_C)
            posterior.inclusion_G[gene] = 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
        posterior.mean_GC[gene] = mean_C
        after_K[own] = posterior.inclusion_G[gene] * mean_C
        step_C = after_K[own] - before_K[own]
        pull_K -= block.products_KK[:, own] @ step_C
        largest = max(largest, float(step_C @ products_CC @ step_C))
    step_K = after_K - before_K
    # The residual stays orthogonal to the covariates, so that features needn't be made so.
    residual_M -= block.x_MK @ step_K.astype(np.float32)
    residual_M += (basis_MP @ (block.shadow_PK @ step_K)).astype(np.float32)
    return largest


def _learn(
    posterior: Posterior,
    learns_share: bool,
    second_GCC: Values,
    products_GCC: Values,
    residual_M: NDArray[np.float32],
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
    squares = float(np.sum(residual_M.astype(np.float64) ** 2)) + float(np.sum(products_GCC * uncertain_GCC))
    posterior.residual = squares / len(residual_M)
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
