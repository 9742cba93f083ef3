"""What the prior learns from a pass over the genes: expectation maximisation while the pulls stand still.

A pass over the entries is slow, and learning the prior takes many steps: with one step a pass, the share of
genes with an effect is still on its way after fifty. What a gene is pulled by, the products of its features
with what all others leave of the outcome, hardly changes with the prior, though. So many steps are made on
the pulls that one pass has left, at the cost of a few numbers a gene, and the next pass brings new pulls.

Axes in names: V genes that vary, C channels, K slabs, D columns of the properties' basis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import expit, softmax

from train.effects.prior import PROPERTY_PENALTY, RIDGE, Floats, Prior, fit_inclusion

EM_STEPS = 60
"""Most steps on the pulls of one pass."""

LEAPING = 3
"""Steps to a leap."""

STEADY = 3e-4
"""Relative change of the prior in a step below which the pulls have no more to say."""

FARTHEST = 32.0
"""Longest leap ahead, in steps."""

LEAST_SHARE = 1e-6
"""Of a slab that no gene asks for: it may come back."""


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


def learn_prior(
    prior: Prior, pulls: Pulls, basis_VD: Floats | None, *, sparse: bool, steps: int = EM_STEPS
) -> Prior:
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
    steps
        Most steps. Of fewer than three none leaps.
    """
    for _ in range(steps if steps < LEAPING else 0):
        prior, _ = _step(prior, pulls, basis_VD, sparse=sparse)
    for _ in range(steps // LEAPING):
        first, _ = _step(prior, pulls, basis_VD, sparse=sparse)
        second, evidence = _step(first, pulls, basis_VD, sparse=sparse)
        if prior_change(first, second) < STEADY:
            return second
        # Steps shrink by a steady share: leap to where they lead (Varadhan and Roland 2008, SQUAREM), and
        # step from there; stay where the leap has overshot.
        leap = _leap((prior, first, second), pulls, basis_VD)
        landed, reached = _step(leap, pulls, basis_VD, sparse=sparse)
        prior = landed if reached >= evidence else second
    return prior


def prior_change(before: Prior, after: Prior) -> float:
    """How far a prior moved: relative change of the share of genes and of the effects' second moment."""
    share = np.log(after.inclusion_G.mean() / before.inclusion_G.mean())
    size = np.log(_second_moment(after) / _second_moment(before))
    return float(max(abs(share), abs(size)))


def _second_moment(prior: Prior) -> float:
    size = prior.share_K @ prior.scale_K**2
    return float(size * (np.trace(prior.covariance_CC) + prior.mean_C @ prior.mean_C))


def _step(prior: Prior, pulls: Pulls, basis_VD: Floats | None, *, sparse: bool) -> tuple[Prior, float]:
    """One step of expectation maximisation, and the log evidence of the prior that it starts from."""
    vary_V, share_V = pulls.vary_V, prior.inclusion_G[pulls.vary_V]
    slabs = prior.slabs()
    constant_K = slabs.constant_K + np.log(prior.share_K)
    inclusion_V, count_K, first_C, second_CC, evidence = _moments(
        (pulls.pull_VC, pulls.product_VCC),
        (slabs.precision_KCC, slabs.pull_KC, share_V, constant_K, prior.scale_K, prior.noise),
    )
    total = max(float(count_K.sum()), 1e-6)
    mean_C = first_C / total
    covariance_CC = second_CC / total - np.outer(mean_C, mean_C)
    covariance_CC += np.diag(RIDGE * np.diag(covariance_CC))
    inclusion_G, weight_D = prior.inclusion_G, prior.weight_D
    if sparse and basis_VD is None:
        share = np.clip(inclusion_V.mean(), 1 / max(2, len(vary_V)), 1 - 1e-6)
        inclusion_G = np.full(len(inclusion_G), share)
    elif sparse and basis_VD is not None:
        evidence -= 0.5 * PROPERTY_PENALTY * float(weight_D[1:] @ weight_D[1:])
        inclusion_G = inclusion_G.copy()
        inclusion_G[vary_V], weight_D = fit_inclusion(inclusion_V, basis_VD, weight_D)
    share_K = np.maximum(count_K / total, LEAST_SHARE)
    learned = replace(
        prior,
        inclusion_G=inclusion_G,
        mean_C=mean_C,
        covariance_CC=covariance_CC,
        weight_D=weight_D,
        share_K=share_K / share_K.sum(),
    )
    return learned, float(evidence)


def _leap(priors: tuple[Prior, Prior, Prior], pulls: Pulls, basis_VD: Floats | None) -> Prior:
    """Where three priors in a row lead, on scales on which every place is a prior."""
    start, first, second = (_coordinates(prior) for prior in priors)
    if len(start) != len(second):
        return priors[2]  # the first one knew no properties yet
    step, bend = first - start, second - 2 * first + start
    length = -np.sqrt(step @ step / max(bend @ bend, 1e-300))
    # At least the two steps that were made; a leap too far would be refused and lost.
    length = float(np.clip(length, -FARTHEST, -1.0))
    return _prior_at(start - 2 * length * step + length**2 * bend, priors[2], pulls, basis_VD)


def _coordinates(prior: Prior) -> Floats:
    """Log odds of inclusion or weights of properties, mean, and the root of the covariance."""
    root_CC = np.linalg.cholesky(prior.covariance_CC)
    scale_C = np.sqrt(np.diag(prior.covariance_CC))
    share = np.clip(prior.inclusion_G.mean(), 1e-12, 1 - 1e-12)
    inclusion = prior.weight_D if len(prior.weight_D) else [np.log(share) - np.log1p(-share)]
    below = root_CC[np.tril_indices_from(root_CC, -1)]
    slabs = np.log(prior.share_K[1:] / prior.share_K[0])
    # The mean counts relative to the deviation, so that channels of rare and of common variants weigh alike.
    return np.concatenate([slabs, inclusion, prior.mean_C / scale_C, np.log(np.diag(root_CC)), below])


def _prior_at(coordinates: Floats, like: Prior, pulls: Pulls, basis_VD: Floats | None) -> Prior:
    n, n_weights = len(like.mean_C), max(1, len(like.weight_D))
    slabs, coordinates = np.split(coordinates, [len(like.share_K) - 1])
    share_K = np.maximum(softmax(np.r_[0.0, slabs]), LEAST_SHARE)
    inclusion, mean_C, log_C, below = np.split(coordinates, [n_weights, n_weights + n, n_weights + 2 * n])
    root_CC = np.diag(np.exp(log_C))
    root_CC[np.tril_indices_from(root_CC, -1)] = below
    covariance_CC = root_CC @ root_CC.T
    inclusion_G, weight_D = like.inclusion_G, like.weight_D
    if basis_VD is not None and len(weight_D):
        inclusion_G, weight_D = inclusion_G.copy(), inclusion
        inclusion_G[pulls.vary_V] = np.clip(expit(basis_VD @ weight_D), 1e-6, 1 - 1e-6)
    elif (inclusion_G < 1).all():
        inclusion_G = np.full(len(inclusion_G), np.clip(expit(inclusion[0]), 1e-6, 1 - 1e-6))
    return replace(
        like,
        inclusion_G=inclusion_G,
        mean_C=mean_C * np.sqrt(np.diag(covariance_CC)),
        covariance_CC=covariance_CC,
        weight_D=weight_D,
        share_K=share_K / share_K.sum(),
    )


@njit(cache=True, nogil=True)
def _moments(genes, prior):  # type: ignore[no-untyped-def]
    """Inclusion of each gene, genes by slab, sums over genes of effect and its outer product, log evidence.

    Given the pulls, a gene's effects in a slab have precision A = X'X / noise + the slab's, and the mean
    A⁻¹(pull / noise + the slab's pull). Sums weigh by the probability of the slab, and are of effects divided
    by its scale. The evidence is that of all genes side by side, up to a constant.
    """
    pull_VC, product_VCC = genes
    precision_KCC, pull_KC, share_V, constant_K, scale_K, noise = prior
    n_genes, n_channels = pull_VC.shape
    n_slabs = len(scale_K)
    inclusion_V, count_K, evidence = np.empty(n_genes), np.zeros(n_slabs), 0.0
    first_C, second_CC = np.zeros(n_channels), np.zeros((n_channels, n_channels))
    inverse_KCC, work_CC = (
        np.zeros((n_slabs, n_channels, n_channels)),
        np.zeros((n_channels + 1, n_channels)),
    )
    slab_KC, for_K = np.zeros((n_slabs, n_channels)), np.zeros(n_slabs)
    for v in range(n_genes):
        for k in range(n_slabs):
            log_root = _invert(product_VCC[v] / noise + precision_KCC[k], inverse_KCC[k], work_CC)
            gain = 0.0
            for c in range(n_channels):
                slab_KC[k, c] = 0.0
                for d in range(n_channels):
                    slab_KC[k, c] += inverse_KCC[k, c, d] * (pull_VC[v, d] / noise + pull_KC[k, d])
                gain += slab_KC[k, c] * (pull_VC[v, c] / noise + pull_KC[k, c])
            for_K[k] = min(max(constant_K[k] + 0.5 * gain - log_root, -600.0), 600.0)
        largest = for_K.max()
        for_effect = largest + np.log(np.exp(for_K - largest).sum())
        inclusion = 1.0
        if share_V[v] < 1.0:
            odds = np.log(share_V[v]) - np.log1p(-share_V[v]) + for_effect
            inclusion = 1.0 / (1.0 + np.exp(-odds))
            evidence += np.log1p(-share_V[v]) + max(odds, 0.0) + np.log1p(np.exp(-abs(odds)))
        else:
            evidence += for_effect
        inclusion_V[v] = inclusion
        for k in range(n_slabs):
            weight = inclusion * np.exp(for_K[k] - for_effect)
            count_K[k] += weight
            for c in range(n_channels):
                first_C[c] += weight * slab_KC[k, c] / scale_K[k]
                for d in range(n_channels):
                    moment = slab_KC[k, c] * slab_KC[k, d] + inverse_KCC[k, c, d]
                    second_CC[c, d] += weight * moment / scale_K[k] ** 2
    return inclusion_V, count_K, first_C, second_CC, evidence


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
