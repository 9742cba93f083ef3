"""Genes in the order of their evidence, how stable that order is, and how it agrees with another measure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.stats import spearmanr

from train.design import Design
from train.explain.known_genes import TopOverlap, overlap_of_top
from train.explain.refits import Refit

Values = NDArray[np.float64]
Ranks = NDArray[np.int64]

INTERVAL = (2.5, 97.5)
"""Percentiles over refits or folds. Refits share most of their people: the interval says how stable a value
is, and is too narrow for another cohort."""


@dataclass(frozen=True)
class Refits:
    """What R refits say of G genes: inclusion, effects, and mean |attribution| in the fold left out."""

    pairs: tuple[tuple[int, int], ...]
    inclusion_RG: Values
    effect_RCG: Values
    attribution_RG: Values

    def rank_RG(self) -> Ranks:
        """Rank of each gene in each refit."""
        pairs = zip(self.inclusion_RG, self.attribution_RG, strict=True)
        return np.array([rank_genes(inclusion_G, attribution_G) for inclusion_G, attribution_G in pairs])


@dataclass(frozen=True)
class Agreement:
    """A ranking beside another measure of the same genes: Spearman's correlation, overlaps of their tops."""

    genes: int
    spearman: float | None
    top: list[TopOverlap]


def rank_genes(inclusion_G: Values | None, attribution_G: Values) -> Ranks:
    """Rank from 1: by posterior inclusion, by attribution where that is equal or absent, then by place.

    Parameters
    ----------
    inclusion_G
        Posterior inclusion probability, nan where unknown (ranked last); null: by attribution alone.
    attribution_G
        Mean |attribution|; nan counts as 0.
    """
    first_G = np.zeros_like(attribution_G) if inclusion_G is None else np.nan_to_num(inclusion_G, nan=-1.0)
    order = np.lexsort((-np.nan_to_num(attribution_G), -first_G))
    rank_G = np.empty(len(order), np.int64)
    rank_G[order] = np.arange(1, len(order) + 1)
    return rank_G


def run_refits(
    refit: Refit,
    design: Design,
    folds: Sequence[int],
    seeds: Sequence[int],
    mean_F: NDArray[np.floating[Any]],
) -> Refits:
    """Fit once for each fold left out and each seed.

    Parameters
    ----------
    refit
        Fits without a fold; see `train.explain.refits`.
    design
        People outside the sealed fold.
    folds, seeds
        Every pair of them is fitted.
    mean_F
        Means of the features in the training folds: what attributions of effects are beside.
    """
    pairs = tuple(itertools.product(folds, seeds))
    found = [refit(fold, seed) for fold, seed in pairs]
    attribution = [
        linear_attribution(design.take(design.fold_M == fold), effect_CG, mean_F)
        for (fold, _), (_, effect_CG) in zip(pairs, found, strict=True)
    ]
    return Refits(
        pairs,
        np.array([inclusion_G for inclusion_G, _ in found], np.float64),
        np.array([effect_CG for _, effect_CG in found], np.float64),
        np.array(attribution),
    )


def linear_attribution(design: Design, effect_CG: Values, mean_F: NDArray[np.floating[Any]]) -> Values:
    """Mean over people of |sum over channels of effect × (feature - mean)|, for a model that is linear."""
    n_channels, n_genes = effect_CG.shape
    gene_F = np.tile(np.arange(n_genes), n_channels)
    spread = csc_matrix((effect_CG.ravel(), (np.arange(len(gene_F)), gene_F)), shape=(len(gene_F), n_genes))
    score_MG = csc_matrix(design.x_MF @ spread)
    mean_G = (effect_CG * np.reshape(mean_F, effect_CG.shape)).sum(axis=0)
    stored_G = np.diff(score_MG.indptr)
    owner_N = np.repeat(np.arange(n_genes), stored_G)
    total_G = np.bincount(owner_N, np.abs(score_MG.data - mean_G[owner_N]), n_genes)
    return np.asarray((total_G + (len(design) - stored_G) * np.abs(mean_G)) / max(len(design), 1))


def interval(value_RG: NDArray[Any]) -> tuple[Values, Values]:
    """Percentiles `INTERVAL` of each gene over the first axis; nan with fewer than two values."""
    if len(value_RG) < 2:
        return np.full(value_RG.shape[1], np.nan), np.full(value_RG.shape[1], np.nan)
    low_G, high_G = np.percentile(value_RG, INTERVAL, axis=0)
    return low_G, high_G


def stability(rank_RG: Ranks, tops: Sequence[int]) -> list[dict[str, float]]:
    """Mean over pairs of refits of the share of their top that they have in common."""
    n_genes = rank_RG.shape[1]
    found = []
    for top in sorted({top for top in tops if top < n_genes}):
        inside_RG = rank_RG <= top
        shares = [float((a & b).sum() / top) for a, b in itertools.combinations(inside_RG, 2)]
        if shares:
            found.append({"top": top, "share": float(np.mean(shares)), "expected": top / n_genes})
    return found


def agree(rank_G: Ranks, value_G: Values, universe_G: NDArray[np.bool_], tops: Sequence[int]) -> Agreement:
    """Compare a ranking with a measure (greater is stronger); genes without a value are left out."""
    used_G = universe_G & np.isfinite(value_G)
    other_G = rank_genes(None, np.where(used_G, value_G, -np.inf))
    varies = used_G.sum() > 2 and np.ptp(value_G[used_G]) > 0
    found = []
    for top in sorted({top for top in tops if top < used_G.sum()}):
        found.append(overlap_of_top(rank_G, used_G & (other_G <= top), used_G, top))
    spearman = float(spearmanr(-rank_G[used_G], value_G[used_G]).statistic) if varies else None
    return Agreement(int(used_G.sum()), spearman, found)
