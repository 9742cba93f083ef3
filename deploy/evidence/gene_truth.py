"""Rates and effects of genes, and what liability people have by them.

Axes in names: M people, G genes, C channels, F flat features (channel × n_genes + gene), K pathways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from scipy.stats import norm

from deploy.evidence.settings import (
    CLASS_EFFECTS,
    FEW,
    NEIGHBOURHOOD,
    PATHWAY_GENES,
    RATES,
    Architecture,
    CohortSettings,
)

Floats = NDArray[np.float64]

HEAVY_TAILS = 2.5
"""Degrees of freedom of effects with heavy tails."""


@dataclass(frozen=True)
class GeneTruth:
    """What the genes of a cohort do.

    Attributes
    ----------
    rate_GC
        Mean alleles per person.
    effect_GC
        Per allele, in any unit: liability is standardised. Form `constraint`: logarithm of the odds ratio.
    causal
        Positions of genes with an effect, ascending.
    pathway_KG
        Ten genes each, whose pairs act together; null where effects only add up.
    gene_sets
        Columns gene_set and position: the pathways among sets of the same size without effect.
    properties
        Columns loeuf and s_het, one row per gene, NaN where missing; null but for the form `constraint`.
    """

    rate_GC: Floats
    effect_GC: Floats
    causal: NDArray[np.int64]
    pathway_KG: NDArray[np.int64] | None = None
    gene_sets: pd.DataFrame | None = None
    properties: pd.DataFrame | None = None


def draw_gene_truth(settings: CohortSettings) -> GeneTruth:
    """Rates and effects of the form that the settings name; the same for the same `truth_seed`."""
    rng = np.random.default_rng(settings.truth_seed)
    if settings.form == "constraint":
        return _constraint(settings, rng)
    n, causal_n = settings.n_genes, settings.n_causal
    rate_GC = rng.gamma(2, 0.5, n)[:, None] * np.array(RATES)
    causal = rng.choice(n, causal_n, replace=False)
    size_G = np.zeros(n)
    size_G[causal] = rng.gamma(2, 0.5, causal_n) * _signs(rng, causal_n)
    effect_GC = size_G[:, None] * np.array(CLASS_EFFECTS)
    if settings.form in ("path_near", "path_far"):
        return _pathways(settings, rng, rate_GC, causal, size_G)
    if settings.form == "free":
        effect_GC = np.zeros((n, 4))
        sizes = rng.gamma(2, 0.5, (causal_n, 4)) * _signs(rng, (causal_n, 4))
        effect_GC[causal] = sizes * np.array((1.0, 0.5, 0.25, 0.0))
    elif settings.form == "free_equal":
        # Each class explains as much: its effects shrink as its alleles become more frequent.
        effect_GC = np.zeros((n, 4))
        effect_GC[causal] = rng.normal(0, 1, (causal_n, 4)) / np.sqrt(RATES) * np.array((1, 1, 1, 0))
    elif settings.form == "polygenic":
        causal = np.arange(n)
        effect_GC = rng.normal(0, 1, n)[:, None] * np.array(CLASS_EFFECTS)
    elif settings.form in ("heavy_tails", "few_among_many"):
        causal = np.arange(n)
        effect_GC = _of_all_sizes(settings, rng, rate_GC)[:, None] * np.array(CLASS_EFFECTS)
    elif settings.form == "null":
        causal, effect_GC = causal[:0], np.zeros((n, 4))
    return GeneTruth(rate_GC, effect_GC, np.sort(causal))


def genetic_liability(truth: GeneTruth, settings: CohortSettings, x_MF: csr_matrix) -> Floats:
    """Part of standardised liability that the genes explain: mean 0, variance `heritability`.

    Means and variances are those of the population, not of the people at hand. With pathways half of the
    variance is what their products say beyond the sum of effects. Form `constraint`: the logarithm of the
    odds of being a case, apart from a constant.

    Parameters
    ----------
    truth, settings
        The cohort's.
    x_MF
        Alleles that people carry, called or not.
    """
    effect_F = truth.effect_GC.T.ravel()
    sum_M = np.asarray(x_MF @ effect_F, dtype=np.float64)
    if settings.form == "constraint":
        return sum_M
    mean_G = (truth.rate_GC * truth.effect_GC).sum(1)
    variance_G = (truth.rate_GC * truth.effect_GC**2).sum(1)  # alleles are Poisson: variance equals mean
    if not variance_G.any():
        return np.zeros(len(sum_M))
    sum_M = (sum_M - mean_G.sum()) / np.sqrt(variance_G.sum())
    if truth.pathway_KG is None:
        return sum_M * np.sqrt(settings.heritability)
    beyond_M = _products(truth, truth.pathway_KG, mean_G, variance_G, x_MF)
    return (sum_M + beyond_M) * np.sqrt(settings.heritability / 2)


def _products(
    truth: GeneTruth, pathway_KG: NDArray[np.int64], mean_G: Floats, variance_G: Floats, x_MF: csr_matrix
) -> Floats:
    """Sum over pathways of products of pairs, less its regression on the sum of effects; variance 1."""
    n_genes, genes = len(mean_G), pathway_KG.ravel()
    channels = np.arange(truth.rate_GC.shape[1])
    rows = (channels[:, None] * n_genes + genes).ravel()
    columns = np.tile(np.arange(len(genes)), len(channels))
    effects = truth.effect_GC[genes].T.ravel()
    shape = (x_MF.shape[1], len(genes))
    burden = np.asarray((x_MF @ csr_matrix((effects, (rows, columns)), shape=shape)).todense())
    burden_MKG = burden.reshape(-1, *pathway_KG.shape)
    product_M = _pairs(burden_MKG.sum(2), (burden_MKG**2).sum(2)).sum(1)
    mean_KG, variance_KG = mean_G[pathway_KG], variance_G[pathway_KG]
    others_KG = mean_KG.sum(1, keepdims=True) - mean_KG
    # With b = mean + e, a pair's product is a constant, e_i times the mean of j and so on, and e_i e_j.
    expected = _pairs(mean_KG.sum(1), (mean_KG**2).sum(1)).sum()
    slope = (variance_KG * others_KG).sum() / variance_G.sum()
    single = (variance_KG * (others_KG - slope) ** 2).sum()
    single += slope**2 * (variance_G.sum() - variance_KG.sum())
    double = _pairs(variance_KG.sum(1), (variance_KG**2).sum(1)).sum()
    sum_M = np.asarray(x_MF @ truth.effect_GC.T.ravel()) - mean_G.sum()
    return np.asarray((product_M - expected - slope * sum_M) / np.sqrt(single + double))


def _pairs(total: Floats, squares: Floats) -> Floats:
    return np.asarray((total**2 - squares) / 2)


def _signs(rng: np.random.Generator, size: int | tuple[int, ...]) -> NDArray[np.int64]:
    """Three of four effects raise the risk."""
    return np.asarray(rng.choice([1, 1, 1, -1], size))


def _of_all_sizes(settings: CohortSettings, rng: np.random.Generator, rate_GC: Floats) -> Floats:
    """Sizes of effects of all genes: drawn from Student's t, or few large ones that explain a half."""
    if settings.form == "heavy_tails":
        return np.asarray(rng.standard_t(HEAVY_TAILS, settings.n_genes))
    small_G, large_G = rng.normal(0, 1, settings.n_genes), np.zeros(settings.n_genes)
    large_G[rng.choice(settings.n_genes, FEW, replace=False)] = rng.normal(0, 1, FEW)
    weight_G = rate_GC @ np.array(CLASS_EFFECTS) ** 2
    return np.asarray(small_G + large_G * np.sqrt(weight_G @ small_G**2 / (weight_G @ large_G**2)))


def _pathways(
    settings: CohortSettings, rng: np.random.Generator, rate_GC: Floats, causal: NDArray[np.int64],
    size_G: Floats,
) -> GeneTruth:  # fmt: skip
    n, n_pathways = settings.n_genes, settings.n_causal // PATHWAY_GENES
    if settings.form == "path_near":
        starts = rng.choice(n // NEIGHBOURHOOD, n_pathways, replace=False) * NEIGHBOURHOOD
        pathway_KG = np.stack([s + rng.choice(NEIGHBOURHOOD, PATHWAY_GENES, replace=False) for s in starts])
        causal = pathway_KG.ravel()
        size_G = np.zeros(n)
        size_G[causal] = rng.gamma(2, 0.5, len(causal))
        others = np.setdiff1d(np.arange(0, n - NEIGHBOURHOOD + 1, NEIGHBOURHOOD), starts)
        idle = [s + rng.choice(NEIGHBOURHOOD, PATHWAY_GENES, replace=False) for s in others]
    else:
        pathway_KG = causal.reshape(-1, PATHWAY_GENES)
        rest = rng.permutation(np.setdiff1d(np.arange(n), causal))
        idle = list(rest[: len(rest) // PATHWAY_GENES * PATHWAY_GENES].reshape(-1, PATHWAY_GENES))
    effect_GC = np.abs(size_G)[:, None] * np.array(CLASS_EFFECTS)
    # In an order of their own, so that names tell nothing.
    sets = rng.permutation(np.vstack([pathway_KG, *[genes[None] for genes in idle]]))
    table = pd.DataFrame(
        {
            "gene_set": np.repeat([f"set_{number:04d}" for number in range(len(sets))], PATHWAY_GENES),
            "position": np.sort(sets, axis=1).ravel(),
        }
    )
    return GeneTruth(rate_GC, effect_GC, np.sort(causal), pathway_KG, table)


def _constraint(settings: CohortSettings, rng: np.random.Generator) -> GeneTruth:
    genes, n = settings.architecture, settings.n_genes
    constrained_G = np.zeros(n, bool)
    constrained_G[rng.choice(n, genes.n_constrained, replace=False)] = True
    length_G = rng.gamma(1, 1, n)  # a gene's chance of a mutation, the same for all channels
    rate_GC = np.empty((n, len(genes.other_alleles)))
    for mask_G, totals in (
        (constrained_G, genes.constrained_alleles),
        (~constrained_G, genes.other_alleles),
    ):
        rate_GC[mask_G] = length_G[mask_G, None] / length_G[mask_G].sum() * np.array(totals)
    causal = np.sort(rng.choice(np.flatnonzero(constrained_G), settings.n_causal, replace=False))
    effect_GC = np.zeros_like(rate_GC)
    effect_GC[causal] = rng.exponential(1, settings.n_causal)[:, None] * np.array(genes.effect_of_channels)
    liability_GC = _scaled(rate_GC, effect_GC, settings.heritability, genes.largest_effect)
    log_odds_GC = np.log(odds_ratio(liability_GC, genes.prevalence))
    return GeneTruth(rate_GC, log_odds_GC, causal, properties=_properties(genes, rng, constrained_G))


def odds_ratio(effect: Floats, prevalence: float) -> Floats:
    """Odds of being a case with an allele over those without, in the liability threshold model.

    Parameters
    ----------
    effect
        What the allele adds to liability, in standard deviations.
    prevalence
        Share of cases in the population, who lie above the threshold.
    """
    risk = norm.sf(norm.isf(prevalence) - effect)
    return np.asarray(risk / (1 - risk) * (1 - prevalence) / prevalence)


def _scaled(rate_GC: Floats, effect_GC: Floats, explained: float, largest: float) -> Floats:
    """Effects times a factor, none above the largest, that together explain a share of liability."""

    def excess(factor: float) -> float:
        return float((rate_GC * np.minimum(factor * effect_GC, largest) ** 2).sum()) - explained

    if excess(1e6) <= 0:
        raise ValueError(f"these genes cannot explain {explained} of liability by effects up to {largest}")
    return np.asarray(np.minimum(brentq(excess, 0, 1e6) * effect_GC, largest))


def _properties(
    genes: Architecture, rng: np.random.Generator, constrained_G: NDArray[np.bool_]
) -> pd.DataFrame:
    """LOEUF and s_het as they are seen: noisy signs of constraint, absent for some genes.

    Constrained genes of gnomAD have LOEUF below 0.35, s_het around 0.1; others around 0.9 and 0.01.
    """
    n = len(constrained_G)
    loeuf = np.where(constrained_G, rng.normal(0.25, 0.08, n), rng.normal(0.95, 0.35, n)).clip(0.03, 2)
    s_het = np.exp(np.where(constrained_G, rng.normal(-2.0, 0.7, n), rng.normal(-4.5, 1.0, n))).clip(0, 1)
    missing_G = rng.random(n) < genes.missing_properties
    frame = pd.DataFrame({"loeuf": loeuf, "s_het": s_het})
    frame[missing_G] = np.nan
    return frame
