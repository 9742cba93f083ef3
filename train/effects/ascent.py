"""Coordinate ascent over genes: the posterior of all effects under a prior, one sweep after another.

The outcome (1 or 0) is modelled as fixed columns (intercept, covariates) plus gene effects plus noise. The
fixed columns have flat priors and are integrated out exactly, gene effects have the prior of
`train.effects.prior`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from train.effects.columns import GeneColumns, fixed_products, gene_products, weighted_sums
from train.effects.learning import Pulls, learn_prior
from train.effects.prior import RIDGE, Floats, Prior, Start, first_prior


@dataclass(frozen=True)
class Outcome:
    """What effects are fitted to, and the products that every fit on the same features shares.

    `value_M` is centred on nothing; `fixed_MP` holds the intercept and the covariates; `group_M` splits
    people for cross-fitting; `product_KGCC` is X'X by group.
    """

    columns: GeneColumns
    value_M: Floats
    fixed_MP: Floats
    group_M: NDArray[np.int64]
    product_KGCC: Floats

    @property
    def n_groups(self) -> int:
        """Groups of people."""
        return len(self.product_KGCC)


def prepare_outcome(
    columns: GeneColumns, value_M: Floats, fixed_MP: Floats, group_M: NDArray[np.int64]
) -> Outcome:
    """Compute the products that do not change from fit to fit.

    Parameters
    ----------
    columns
        Features of M people.
    value_M
        Outcome.
    fixed_MP
        Columns with flat priors, without the intercept.
    group_M
        Group of each person, 0 to K - 1.
    """
    with_intercept_MP = np.column_stack([np.ones(len(value_M)), fixed_MP])
    products = gene_products(columns, group_M, int(group_M.max()) + 1)
    return Outcome(columns, value_M, with_intercept_MP, group_M, products)


@dataclass
class Ascent:
    """A posterior on its way up: everything that a sweep changes. Genes that never vary are left at zero."""

    outcome: Outcome
    inside_M: Floats
    basis_MP: Floats
    residual_M: Floats
    fixed_P: Floats
    product_GCC: Floats
    fixed_GCP: Floats
    vary_G: NDArray[np.int64]
    mean_GC: Floats
    slab_GKC: Floats
    share_GK: Floats
    covariance_GKCC: Floats
    pull_GC: Floats

    @classmethod
    def begin(cls, outcome: Outcome, left_out: Collection[int], n_slabs: int) -> Ascent:
        """No effects yet; `left_out` are groups of people that are not seen."""
        columns = outcome.columns
        inside_M = (~np.isin(outcome.group_M, list(left_out))).astype(np.float64)
        groups = [k for k in range(outcome.n_groups) if k not in left_out]
        basis_MP, _ = np.linalg.qr(outcome.fixed_MP * inside_M[:, None])
        fixed_GCP = fixed_products(columns, np.ascontiguousarray(basis_MP))
        # Projecting out the fixed columns turns X'X into X'X - X'Q Q'X, and y into y - Q Q'y.
        product_GCC = outcome.product_KGCC[groups].sum(axis=0)
        product_GCC = product_GCC - np.einsum("gcp,gdp->gcd", fixed_GCP, fixed_GCP)
        value_M = outcome.value_M * inside_M
        value_M = value_M - basis_MP @ (basis_MP.T @ value_M)
        diagonal_GC = np.einsum("gcc->gc", product_GCC)
        n_genes, n_channels = diagonal_GC.shape
        return cls(
            outcome,
            inside_M,
            basis_MP,
            value_M,
            np.zeros(basis_MP.shape[1]),
            product_GCC,
            fixed_GCP,
            np.flatnonzero((diagonal_GC > 1e-6).any(axis=1)),
            np.zeros((n_genes, n_channels)),
            np.zeros((n_genes, n_slabs, n_channels)),
            np.zeros((n_genes, n_slabs)),
            np.zeros((n_genes, n_slabs, n_channels, n_channels)),
            np.zeros((n_genes, n_channels)),
        )

    @property
    def inclusion_G(self) -> Floats:
        """Probability that a gene has any effect."""
        return np.asarray(self.share_GK.sum(axis=1))

    @property
    def n_inside(self) -> float:
        """Number of people seen."""
        return float(self.inside_M.sum())

    def first_prior(self, start: Start) -> Prior:
        """The prior that learning begins with, in the scale of the features."""
        varying_GC = np.einsum("gcc->gc", self.product_GCC[self.vary_G])
        n_varying = max(1, len(self.vary_G))
        variance_C = varying_GC.sum(axis=0) / n_varying / self.n_inside
        prior = first_prior(
            start, variance_C, float(self.residual_M @ self.residual_M) / self.n_inside, n_varying
        )
        return replace(prior, inclusion_G=np.full(len(self.product_GCC), start.inclusion))

    def sweep(self, prior: Prior, order: NDArray[np.int64]) -> float:
        """Update genes once each; returns how far the prediction moved, relative to the noise."""
        slabs = prior.slabs()
        precision_GKCC = self.product_GCC[:, None] / prior.noise + slabs.precision_KCC
        self.covariance_GKCC = np.linalg.inv(precision_GKCC)
        constant_GK = (
            slabs.constant_K + np.log(prior.share_K) + 0.5 * np.linalg.slogdet(self.covariance_GKCC)[1]
        )
        with np.errstate(divide="ignore"):
            odds_G = np.log(prior.inclusion_G) - np.log1p(-prior.inclusion_G)
        columns = self.outcome.columns
        moved = _sweep(
            order,
            (columns.start_F, columns.person_N, columns.value_N),
            (self.inside_M, self.residual_M, self.fixed_P, self.fixed_GCP),
            (self.product_GCC, self.covariance_GKCC, slabs.pull_KC, constant_GK, odds_G, prior.noise),
            (self.mean_GC, self.slab_GKC, self.share_GK, self.pull_GC),
        )
        return float(moved) / self.n_inside / (prior.noise + 1e-12)

    def copy(self) -> Ascent:
        """A copy that a pass does not change."""
        changed = ("residual_M", "fixed_P", "mean_GC", "slab_GKC", "share_GK", "covariance_GKCC", "pull_GC")
        return replace(self, **{name: getattr(self, name).copy() for name in changed})

    def shift(self, prior: Prior) -> Prior:
        """Move the mean of the prior and the effects of all genes together, to where the bound is highest.

        Gene by gene they would go there in small steps: each is held back by the prior's mean, which learns
        from them. Moved together, effects stay as likely under the prior as they were, and what counts is the
        outcome: least squares on the sums of all genes' features, by channel.
        """
        vary, scale_K = self.vary_G, prior.scale_K
        share_GK, slab_GKC = self.share_GK, self.slab_GKC
        size_G = share_GK @ scale_K
        n_channels = self.mean_GC.shape[1]
        sum_MC = np.column_stack(
            [
                weighted_sums(self.outcome.columns, np.outer(size_G, np.eye(n_channels)[c]))
                for c in range(n_channels)
            ]
        )
        sum_MC *= self.inside_M[:, None]
        taken_PC = self.basis_MP.T @ sum_MC
        # Whether a gene has an effect is unsure, and in which slab: that varies with the effects, too.
        spread_G = share_GK @ scale_K**2 - size_G**2
        joint_GC = np.einsum("gk,k,gkc->gc", share_GK, scale_K, slab_GKC) - size_G[:, None] * self.mean_GC
        product_CC = sum_MC.T @ sum_MC - taken_PC.T @ taken_PC
        product_CC += np.einsum("g,gcd->cd", spread_G[vary], self.product_GCC[vary])
        wanted_C = sum_MC.T @ self._left() - np.einsum("gcd,gd->c", self.product_GCC[vary], joint_GC[vary])
        product_CC += np.diag(RIDGE * np.diag(product_CC) + 1e-9)
        move_C = np.linalg.solve(product_CC, wanted_C)
        self.slab_GKC[vary] += scale_K[:, None] * move_C
        self.mean_GC[vary] += size_G[vary, None] * move_C
        self.residual_M -= sum_MC @ move_C
        self.fixed_P += taken_PC @ move_C
        return replace(prior, mean_C=prior.mean_C + move_C)

    def learn(self, prior: Prior, basis_GD: Floats | None, *, sparse: bool, steps: int) -> Prior:
        """The prior that the last pass asks for (the M step, many times over)."""
        vary = self.vary_G
        return learn_prior(
            replace(prior, noise=self.noise()),
            Pulls(vary, self.pull_GC[vary], self.product_GCC[vary]),
            None if basis_GD is None else basis_GD[vary],
            sparse=sparse,
            steps=steps,
        )

    def noise(self) -> float:
        """Expected mean square of what is left of the outcome."""
        left_M, vary = self._left(), self.vary_G
        second_GCC = self._second_moment(vary) - self.mean_GC[vary, :, None] * self.mean_GC[vary, None, :]
        unsure = np.einsum("gcd,gcd->", self.product_GCC[vary], second_GCC)
        return float(left_M @ left_M + unsure) / max(self.n_inside - len(self.fixed_P), 1.0)

    def _left(self) -> Floats:
        """The outcome less all effects, fixed columns projected out."""
        return np.asarray(self.residual_M + self.inside_M * (self.basis_MP @ self.fixed_P))

    def bound(self, prior: Prior) -> float:
        """Lower bound of the log evidence, up to constants of the data."""
        vary, slabs = self.vary_G, prior.slabs()
        share_GK, slab_GKC = self.share_GK[vary], self.slab_GKC[vary]
        spread_GKC = slab_GKC - prior.scale_K[:, None] * prior.mean_C
        second_GKCC = spread_GKC[..., :, None] * spread_GKC[..., None, :] + self.covariance_GKCC[vary]
        log_size_K = np.linalg.slogdet(prior.covariance_CC)[1] + 2 * len(prior.mean_C) * np.log(prior.scale_K)
        slab_GK = 0.5 * (
            np.einsum("kcd,gkcd->gk", slabs.precision_KCC, second_GKCC)
            - len(prior.mean_C)
            + log_size_K
            - np.linalg.slogdet(self.covariance_GKCC[vary])[1]
        )
        wanted_G = np.clip(prior.inclusion_G[vary], 1e-12, 1 - 1e-12)
        inside_GK = np.clip(share_GK, 1e-12, 1.0)
        out_G = np.clip(1 - share_GK.sum(axis=1), 1e-12, 1.0)
        divergence = np.sum(
            share_GK * (slab_GK + np.log(inside_GK / (wanted_G[:, None] * prior.share_K)))
        ) + np.sum(out_G * np.log(out_G / (1 - wanted_G)))
        n = self.n_inside
        return float(
            -0.5 * n * np.log(2 * np.pi * prior.noise) - 0.5 * n * self.noise() / prior.noise - divergence
        )

    def _second_moment(self, genes: NDArray[np.int64]) -> Floats:
        slab_GKC, share_GK = self.slab_GKC[genes], self.share_GK[genes]
        moment_GKCC = slab_GKC[..., :, None] * slab_GKC[..., None, :] + self.covariance_GKCC[genes]
        return np.asarray(np.einsum("gk,gkcd->gcd", share_GK, moment_GKCC))


@njit(cache=True, nogil=True)
def _sweep(order, entries, people, genes, state):  # type: ignore[no-untyped-def]
    """One pass of coordinate ascent over genes; changes the arrays of `state` and the residuals in place."""
    product_GCC, covariance_GKCC, pull_KC, constant_GK, odds_G, noise = genes
    mean_GC, slab_GKC, share_GK, pull_GC = state
    n_slabs, n_channels = pull_KC.shape
    pull, step, for_K = np.zeros(n_channels), np.zeros(n_channels), np.zeros(n_slabs)
    moved = 0.0
    for g in order:
        _pull(g, entries, people, (product_GCC, mean_GC), pull)
        for c in range(n_channels):
            pull_GC[g, c] = pull[c]
            step[c] = -mean_GC[g, c]
        for k in range(n_slabs):
            gain = 0.0
            for c in range(n_channels):
                slab_GKC[g, k, c] = 0.0
                for d in range(n_channels):
                    slab_GKC[g, k, c] += covariance_GKCC[g, k, c, d] * (pull[d] / noise + pull_KC[k, d])
                gain += slab_GKC[g, k, c] * (pull[c] / noise + pull_KC[k, c])
            for_K[k] = constant_GK[g, k] + 0.5 * gain
        largest = for_K.max()
        for_effect = largest + np.log(np.exp(for_K - largest).sum())
        odds = min(max(odds_G[g] + for_effect, -700.0), 700.0)
        inclusion = 1.0 / (1.0 + np.exp(-odds))
        for k in range(n_slabs):
            share_GK[g, k] = inclusion * np.exp(for_K[k] - for_effect)
            for c in range(n_channels):
                step[c] += share_GK[g, k] * slab_GKC[g, k, c]
        for c in range(n_channels):
            mean_GC[g, c] += step[c]
            moved += step[c] * step[c] * product_GCC[g, c, c]
        _move(g, entries, people, step)
    return moved


@njit(cache=True, nogil=True)
def _pull(g, entries, people, genes, pull):  # type: ignore[no-untyped-def]
    """Products of a gene's features with the outcome less all other genes' part, into `pull`."""
    start_F, person_N, value_N = entries
    _, residual_M, fixed_P, fixed_GCP = people
    product_GCC, mean_GC = genes
    n_genes, n_channels = mean_GC.shape
    for c in range(n_channels):
        # Residuals hold y - X b; what the fixed columns take out of X b is Q Q'X b, kept as Q'X b.
        total = 0.0
        for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
            total += value_N[j] * residual_M[person_N[j]]
        for p in range(len(fixed_P)):
            total += fixed_GCP[g, c, p] * fixed_P[p]
        for d in range(n_channels):
            total += product_GCC[g, c, d] * mean_GC[g, d]
        pull[c] = total


@njit(cache=True, nogil=True)
def _move(g, entries, people, step):  # type: ignore[no-untyped-def]
    """Take a change of a gene's effects out of the residuals."""
    start_F, person_N, value_N = entries
    inside_M, residual_M, fixed_P, fixed_GCP = people
    n_genes = fixed_GCP.shape[0]
    for c in range(len(step)):
        if step[c] == 0.0:
            continue
        for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
            residual_M[person_N[j]] -= inside_M[person_N[j]] * value_N[j] * step[c]
        for p in range(len(fixed_P)):
            fixed_P[p] += fixed_GCP[g, c, p] * step[c]
