"""What the prior learns from a pass over the genes: expectation maximisation while the pulls stand still.

A pass over the entries is slow, and learning the prior takes many steps: with one step a pass, the share of
genes with an effect is still on its way after fifty. What a gene is pulled by, the products of its features
with what all others leave of the outcome, hardly changes with the prior, though. So many steps are made on
the pulls that one pass has left, at the cost of a few numbers a gene, and the next pass brings new pulls.

Axes in names: V genes that vary, C channels, D columns of the properties' basis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from train.effects.prior import RIDGE, Floats, Prior, fit_inclusion

EM_STEPS = 60
"""Most steps on the pulls of one pass."""

STEADY = 1e-4
"""Relative change of the prior in a step below which the pulls have no more to say."""


@dataclass(frozen=True)
class Pulls:
    """What a pass over the genes leaves for the prior to learn from.

    Attributes
    ----------
    vary_V
        Places on the gene axis.
    pull_VC
        X_g'(y less all other genes' part), covariates projected out.
    product_VCC
        X_g'X_g, likewise.
    """

    vary_V: NDArray[np.int64]
    pull_VC: Floats
    product_VCC: Floats


def learn_prior(prior: Prior, pulls: Pulls, basis_VD: Floats | None, *, sparse: bool) -> Prior:
    """The prior that the pulls ask for; the noise stays as it is.

    Parameters
    ----------
    prior
        To start from.
    pulls
        Of all genes that vary.
    basis_VD
        Properties of those genes; None: one inclusion probability for all.
    sparse
        Learn the inclusion probability; else it stays 1.
    """
    for _ in range(EM_STEPS):
        learned = _step(prior, pulls, basis_VD, sparse=sparse)
        change, prior = prior_change(prior, learned), learned
        if change < STEADY:
            break
    return prior


def prior_change(before: Prior, after: Prior) -> float:
    """How far a prior moved: relative change of the share of genes and of the effects' second moment."""
    share = np.log(after.inclusion_G.mean() / before.inclusion_G.mean())
    size = np.log(_second_moment(after) / _second_moment(before))
    return float(max(abs(share), abs(size)))


def _second_moment(prior: Prior) -> float:
    return float(np.trace(prior.covariance_CC) + prior.mean_C @ prior.mean_C)


def _step(prior: Prior, pulls: Pulls, basis_VD: Floats | None, *, sparse: bool) -> Prior:
    vary_V = pulls.vary_V
    precision_CC = np.linalg.inv(prior.covariance_CC)
    pull_C = precision_CC @ prior.mean_C
    with np.errstate(divide="ignore"):
        odds_V = np.log(prior.inclusion_G[vary_V]) - np.log1p(-prior.inclusion_G[vary_V])
    constant = float(np.linalg.slogdet(prior.covariance_CC)[1] + pull_C @ prior.mean_C)
    inclusion_V, first_C, second_CC = _moments(
        pulls.pull_VC, pulls.product_VCC, precision_CC, pull_C, odds_V - 0.5 * constant, prior.noise
    )
    total = max(float(inclusion_V.sum()), 1e-6)
    mean_C = first_C / total
    covariance_CC = second_CC / total - np.outer(mean_C, mean_C)
    covariance_CC += np.diag(RIDGE * np.diag(covariance_CC))
    inclusion_G, weight_D = prior.inclusion_G, prior.weight_D
    if sparse and basis_VD is None:
        share = np.clip(inclusion_V.mean(), 1 / max(2, len(vary_V)), 1 - 1e-6)
        inclusion_G = np.full(len(inclusion_G), share)
    elif sparse and basis_VD is not None:
        inclusion_G = inclusion_G.copy()
        inclusion_G[vary_V], weight_D = fit_inclusion(inclusion_V, basis_VD, weight_D)
    return Prior(inclusion_G, mean_C, covariance_CC, prior.noise, weight_D)


@njit(cache=True, nogil=True)
def _moments(pull_VC, product_VCC, precision_CC, pull_C, odds_V, noise):  # type: ignore[no-untyped-def] # noqa: PLR0913
    """Inclusion of each gene, and the sums over genes of inclusion × effect, and × its outer product.

    Given the pulls, a gene's effects have precision A = X'X / noise + the prior's, and the mean
    A⁻¹(pull / noise + the prior's pull).
    """
    n_genes, n_channels = pull_VC.shape
    inclusion_V = np.empty(n_genes)
    first_C, second_CC = np.zeros(n_channels), np.zeros((n_channels, n_channels))
    inverse_CC, work_CC = np.zeros((n_channels, n_channels)), np.zeros((n_channels + 1, n_channels))
    slab_C = np.zeros(n_channels)
    for v in range(n_genes):
        log_root = _invert(product_VCC[v] / noise + precision_CC, inverse_CC, work_CC)
        gain = 0.0
        for c in range(n_channels):
            slab_C[c] = 0.0
            for d in range(n_channels):
                slab_C[c] += inverse_CC[c, d] * (pull_VC[v, d] / noise + pull_C[d])
            gain += slab_C[c] * (pull_VC[v, c] / noise + pull_C[c])
        odds = min(max(odds_V[v] + 0.5 * gain - log_root, -700.0), 700.0)
        inclusion = 1.0 / (1.0 + np.exp(-odds))
        inclusion_V[v] = inclusion
        for c in range(n_channels):
            first_C[c] += inclusion * slab_C[c]
            for d in range(n_channels):
                second_CC[c, d] += inclusion * (slab_C[c] * slab_C[d] + inverse_CC[c, d])
    return inclusion_V, first_C, second_CC


@njit(cache=True, nogil=True)
def _invert(matrix_CC, inverse_CC, work_CC):  # type: ignore[no-untyped-def]
    """Inverse of a small positive matrix by Cholesky; returns half the logarithm of its determinant.

    A call of LAPACK for each gene would take ten times as long.
    """
    n = len(matrix_CC)
    log_root = 0.0
    for c in range(n):
        for d in range(c + 1):
            value = matrix_CC[c, d]
            for k in range(d):
                value -= work_CC[c, k] * work_CC[d, k]
            work_CC[c, d] = np.sqrt(max(value, 1e-300)) if c == d else value / work_CC[d, d]
        log_root += np.log(work_CC[c, c])
    for e in range(n):
        for c in range(n):
            value = 1.0 if c == e else 0.0
            for k in range(c):
                value -= work_CC[c, k] * work_CC[n, k]
            work_CC[n, c] = value / work_CC[c, c]
        for c in range(n - 1, -1, -1):
            value = work_CC[n, c]
            for k in range(c + 1, n):
                value -= work_CC[k, c] * inverse_CC[k, e]
            inverse_CC[c, e] = value / work_CC[c, c]
    return log_root
