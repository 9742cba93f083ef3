"""What is believed of gene effects before the labels are seen, and how the labels change it.

The effects of a gene on the channels, a vector, are zero with some probability; else they are drawn from a
mixture of slabs, normal distributions over the channels that all genes share: N(mean_C, covariance_CC), and
the same shrunk by given factors, so that few large effects may stand among many small ones. Where properties
of the genes are given, the probability is a smooth function of them. Everything is learned by expectation
maximisation. (Spike and slab: Mitchell and Beauchamp 1988; variational form: Carbonetto and Stephens 2012;
slabs of several sizes: Moser et al. 2015.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.preprocessing import SplineTransformer

Floats = NDArray[np.float64]

RIDGE = 1e-6
"""Added to the diagonal of the covariance, relative to itself: keeps it invertible."""

HARDLY_VARIES = 1e-4
"""Variance of a channel, relative to the largest, below which it says nothing of the size of effects."""

PROPERTY_KNOTS = 5
"""Knots of the cubic spline over the ranks of a property."""

NEWTON_STEPS, NEWTON_TOLERANCE = 20, 1e-3
"""Most steps of the regression on properties, and the gain in log-likelihood that ends it."""

PROPERTY_PENALTY = 1.0
"""Inverse prior variance of a spline's weights: a property that says nothing stays near weight 0."""


@dataclass(frozen=True)
class Slabs:
    """Precision, precision × mean, and logarithm of what normalises the density, by slab."""

    precision_KCC: Floats
    pull_KC: Floats
    constant_K: Floats


@dataclass(frozen=True)
class Prior:
    """Prior of the effects: inclusion probability by gene, mean and covariance of what is not zero.

    Attributes
    ----------
    inclusion_G
        Probability that a gene's effects are not zero; 1 for all is the polygenic prior.
    mean_C, covariance_CC
        Per allele, in units of the outcome (1 for cases, 0 for controls).
    noise
        Variance of the outcome that is left.
    weight_D
        Weights of the properties' basis; empty without properties.
    scale_K, share_K
        Size of each slab relative to the first one, which is largest; and how likely each is where effects
        are not zero, which sums to 1.
    """

    inclusion_G: Floats
    mean_C: Floats
    covariance_CC: Floats
    noise: float
    weight_D: Floats
    scale_K: Floats = field(default_factory=lambda: np.ones(1))
    share_K: Floats = field(default_factory=lambda: np.ones(1))

    def slabs(self) -> Slabs:
        """What a gene's posterior needs of each slab: N(scale mean, scale² covariance)."""
        precision_CC = np.linalg.inv(self.covariance_CC)
        pull_C = precision_CC @ self.mean_C
        log_size = np.linalg.slogdet(self.covariance_CC)[1]
        return Slabs(
            precision_CC / self.scale_K[:, None, None] ** 2,
            pull_C / self.scale_K[:, None],
            -0.5 * (log_size + 2 * len(pull_C) * np.log(self.scale_K) + pull_C @ self.mean_C),
        )


@dataclass(frozen=True)
class Start:
    """Where expectation maximisation begins.

    `inclusion` is a share of genes, `heritability` the share of the outcome's variance that they explain,
    `scales` the sizes of the slabs, which are equally likely.
    """

    inclusion: float
    heritability: float = 0.3
    scales: tuple[float, ...] = (1.0,)


def first_prior(start: Start, variance_C: Floats, outcome_variance: float, n_genes: int) -> Prior:
    """A prior under which every channel explains equally much, half of it through effects they share.

    Parameters
    ----------
    start
        Shares that it assumes.
    variance_C
        Mean variance of a gene's feature in each channel.
    outcome_variance
        Variance of the outcome.
    n_genes
        Genes that vary.
    """
    most = variance_C.max() or 1.0
    # Where nothing varies, equal shares would ask for effects without bound: they are like the smallest.
    scale_C = 1 / np.sqrt(np.where(variance_C > HARDLY_VARIES * most, variance_C, most))
    shape_CC = 0.5 * np.outer(scale_C, scale_C) + 0.5 * np.diag(scale_C**2)
    explained = start.heritability * outcome_variance
    scale_K, share_K = np.array(start.scales), np.full(len(start.scales), 1 / len(start.scales))
    size = float(share_K @ scale_K**2)
    covariance_CC = shape_CC * explained / (start.inclusion * n_genes * len(scale_C) * size)
    return Prior(
        np.full(n_genes, start.inclusion),
        np.zeros(len(scale_C)),
        covariance_CC,
        outcome_variance - explained,
        np.empty(0),
        scale_K,
        share_K,
    )


def property_basis(properties: pd.DataFrame) -> Floats:
    """Columns that describe genes: for each property a spline over its ranks, and whether it is missing.

    Ranks make the scale of a property irrelevant. A gene without a value has zeros and its own column.

    Parameters
    ----------
    properties
        One row per gene, numeric columns, NaN where unknown. Constant columns say nothing and are left out.
    """
    parts = [np.ones((len(properties), 1))]
    for _, values in properties.items():
        known = values.notna().to_numpy()
        if values[known].nunique() < 2:
            continue
        rank = values[known].rank(pct=True).to_numpy()[:, None]
        spline = SplineTransformer(n_knots=PROPERTY_KNOTS, degree=3, include_bias=False)
        block = np.zeros((len(values), PROPERTY_KNOTS + 1))
        block[known] = spline.fit_transform(rank)
        block[known] -= block[known].mean(axis=0)
        parts.append(block)
        if not known.all():
            parts.append((~known).astype(float)[:, None])
    return np.hstack(parts)


def fit_inclusion(inclusion_G: Floats, basis_GD: Floats, weight_D: Floats) -> tuple[Floats, Floats]:
    """Logistic regression of posterior inclusion on the basis; returns prior inclusion and weights.

    The first column of the basis is the intercept, which is not penalised. Newton's method, from `weight_D`
    on; empty weights begin with the intercept alone.
    """
    penalty_D = np.full(basis_GD.shape[1], PROPERTY_PENALTY)
    penalty_D[0] = 1e-9
    if not len(weight_D):
        weight_D = np.zeros(basis_GD.shape[1])
        weight_D[0] = logit(np.clip(inclusion_G.mean(), 1e-6, 1 - 1e-6))

    def loss(weights: Floats) -> float:
        score_G = basis_GD @ weights
        return float(np.logaddexp(0, score_G).sum() - inclusion_G @ score_G + 0.5 * penalty_D @ weights**2)

    here = loss(weight_D)
    for _ in range(NEWTON_STEPS):
        chance_G = expit(basis_GD @ weight_D)
        slope_D = basis_GD.T @ (chance_G - inclusion_G) + penalty_D * weight_D
        curve_DD = (basis_GD * (chance_G * (1 - chance_G))[:, None]).T @ basis_GD + np.diag(penalty_D)
        step_D = np.linalg.solve(curve_DD, slope_D)
        # Half a step, and half of that, where a whole one overshoots.
        for factor in 0.5 ** np.arange(8):
            there = loss(weight_D - factor * step_D)
            if there <= here:
                break
        gained, weight_D, here = here - there, weight_D - factor * step_D, there
        if gained < NEWTON_TOLERANCE:
            break
    return np.clip(expit(basis_GD @ weight_D), 1e-6, 1 - 1e-6), weight_D
