"""Which gene sets count: a spike and slab over the products of sets, beside what genes say alone.

Axes in names: M people, Q columns, K fits (see `train.effects.stack.Cohort.unseen`), L groups of people,
S gene sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from train.effects.prior import Floats
from train.effects.sets import GeneSets, Scored, SetGate, set_products

SCREENED = 100
"""Sets that a fit looks at together, those with the highest score test: memory grows with these alone."""

CHOSEN = 0.5
"""Inclusion from which a set belongs to a fit's gate, as in the median probability model."""

MOST_SHARE = 0.1
"""Share of sets with an effect that expectation maximisation begins with and never exceeds: to be chosen, a
set needs a Bayes factor of 9, also where the file has few sets."""

SWEEPS, TOLERANCE = 200, 1e-3
"""Most passes over the sets; a fit ends when a pass moves no effect by more, in its standard errors."""

LEAST_PRODUCT = 1e-3
"""Standard deviation of a set's product, relative to the variance of the score of all genes, below which its
weight is held back: scores that are hardly there would need weights without bounds."""


@dataclass(frozen=True)
class Null:
    """What is known without products: residuals and variances of the status, and columns that are held fixed.

    Products are judged beside `fixed_MQ` (intercept, covariates, scores), by the quadratic approximation of
    the logistic likelihood around the residuals. `least` is the smallest standard deviation of a product that
    is taken in full, see `LEAST_PRODUCT`.
    """

    residual_M: Floats
    variance_M: Floats
    fixed_MQ: Floats
    least: float

    @classmethod
    def of(cls, is_case_M: NDArray[np.int8], logit_M: Floats, score_M: Floats, fixed_MQ: Floats) -> Null:
        """Residuals of these logits; `score_M` is what genes alone say, `fixed_MQ` the other columns."""
        risk_M = expit(logit_M)
        columns_MQ = np.column_stack([np.ones(len(logit_M)), score_M, fixed_MQ])
        least = LEAST_PRODUCT * float(score_M.var())
        return cls(is_case_M - risk_M, risk_M * (1 - risk_M), columns_MQ, least)


def fit_set_weights(
    scored: Scored, sets: GeneSets, null: Null, unseen: Sequence[Sequence[int]], threads: int = 1
) -> SetGate:
    """Weight of each set's product in the logit, by spike and slab; one vector for each fit.

    Sets are screened one at a time by a score test, among the people that the fit has seen alone; those left
    out of it still count in the share of sets with an effect, so that chance among many sets is priced.

    Parameters
    ----------
    scored
        Scores that know no label of the person scored.
    sets
        All that are tried.
    null
        Status without products.
    unseen
        Groups of people that each fit leaves out.
    threads
        Sets at a time.
    """
    groups = [scored.group_M == k for k in range(int(scored.group_M.max()) + 1)]
    seen_KL = np.array([[float(group not in left) for group in range(len(groups))] for left in unseen])
    score_KS, curvature_KS = _screen(scored, sets, null, (groups, seen_KL), threads)
    information_L = [null.variance_M[group_M].sum() for group_M in groups]
    least_K = null.least**2 * (seen_KL @ information_L)
    test_KS = score_KS**2 / np.maximum(np.maximum(curvature_KS, least_K[:, None]), 1e-300)
    top_KT = np.argsort(-np.where(curvature_KS > 0, test_KS, 0.0), kind="stable", axis=1)[:, :SCREENED]
    chosen_S = np.unique(top_KT)
    product_MS = set_products(scored, sets.take(chosen_S.tolist()), threads)
    slope_LQ, gram_LQQ = _quadratic(product_MS, null, groups)
    weight_KS = np.zeros((len(unseen), len(chosen_S)))
    for k, seen_L in enumerate(seen_KL):
        own = np.searchsorted(chosen_S, np.sort(top_KT[k]))
        own = own[curvature_KS[k, chosen_S[own]] > 0]
        summed = np.tensordot(seen_L, slope_LQ, 1), np.tensordot(seen_L, gram_LQQ, 1)
        slope_S, gram_SS = _net_of_fixed(*summed, null.fixed_MQ.shape[1])
        weight_KS[k, own] = _spike_and_slab(
            slope_S[own], gram_SS[np.ix_(own, own)], least=float(least_K[k]), n_sets=len(sets)
        )
    kept = np.flatnonzero(weight_KS.any(axis=0))
    return SetGate(sets.take(chosen_S[kept].tolist()), weight_KS[:, kept])


def _screen(
    scored: Scored,
    sets: GeneSets,
    null: Null,
    groups: tuple[list[NDArray[np.bool_]], Floats],
    threads: int,
) -> tuple[Floats, Floats]:
    """Score and its variance, by fit and set, each net of the fixed columns."""
    of_group, seen_KL = groups

    def one(genes: NDArray[np.int64]) -> tuple[Floats, Floats]:
        product_MS = set_products(scored, GeneSets(("",), (genes,)))
        slope_LQ, gram_LQQ = _quadratic(product_MS, null, of_group)
        found = [
            _net_of_fixed(
                np.tensordot(seen_L, slope_LQ, 1), np.tensordot(seen_L, gram_LQQ, 1), null.fixed_MQ.shape[1]
            )
            for seen_L in seen_KL
        ]
        return np.array([slope[0] for slope, _ in found]), np.array([gram[0, 0] for _, gram in found])

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(one, sets.genes))
    return np.stack([score for score, _ in results], 1), np.stack([spread for _, spread in results], 1)


def _quadratic(
    product_MS: NDArray[np.float32], null: Null, groups: Sequence[NDArray[np.bool_]]
) -> tuple[Floats, Floats]:
    """Slope and curvature of the log-likelihood in each group, in fixed columns first, then products."""
    slopes, grams = [], []
    for group_M in groups:
        column_MQ = np.column_stack([null.fixed_MQ[group_M], product_MS[group_M]])
        slopes.append(column_MQ.T @ null.residual_M[group_M])
        grams.append(column_MQ.T @ (null.variance_M[group_M, None] * column_MQ))
    return np.stack(slopes), np.stack(grams)


def _net_of_fixed(slope_Q: Floats, gram_QQ: Floats, n_fixed: int) -> tuple[Floats, Floats]:
    """What products say beside the fixed columns; curvature 0 where they say nothing else."""
    among, across = gram_QQ[:n_fixed, :n_fixed], gram_QQ[:n_fixed, n_fixed:]
    solved = np.linalg.lstsq(among, np.column_stack([across, slope_Q[:n_fixed]]), rcond=1e-10)[0]
    raw = gram_QQ[n_fixed:, n_fixed:]
    net_SS = raw - across.T @ solved[:, :-1]
    idle = np.diag(net_SS) <= 1e-8 * np.diag(raw)
    net_SS[idle, idle] = 0.0
    return slope_Q[n_fixed:] - across.T @ solved[:, -1], net_SS


def _spike_and_slab(slope_S: Floats, gram_SS: Floats, *, least: float, n_sets: int) -> Floats:
    """Posterior mean weights; share, mean and variance of effects by expectation maximisation.

    The variational form of Carbonetto and Stephens (2012) on slope and curvature alone; the choice is the
    median probability model of Barbieri and Berger (2004). Effects are alike in
    units of standard errors, with a mean that need not be 0: pathways tend to act in one direction. Where a
    product has less curvature than `least`, its effect is in units of that and shrinks more. `n_sets` counts
    those that were screened out too.
    """
    if not len(slope_S):
        return np.zeros(0)
    unit_S = np.sqrt(np.maximum(np.diag(gram_SS), least))
    z_S, gram_SS = slope_S / unit_S, gram_SS / np.outer(unit_S, unit_S)
    precision_S = np.diag(gram_SS)
    strong_S = z_S[z_S**2 > 4] ** 2
    share, mean, variance = MOST_SHARE, 0.0, float(np.median(strong_S)) if len(strong_S) else 4.0
    inclusion_S, effect_S = np.zeros(len(z_S)), np.zeros(len(z_S))
    for sweep in range(SWEEPS):
        before_S = inclusion_S * effect_S
        posterior_S = 1 / (precision_S + 1 / variance)
        predicted_S = gram_SS @ before_S
        for s in range(len(z_S)):
            old = inclusion_S[s] * effect_S[s]
            pull = z_S[s] - predicted_S[s] + precision_S[s] * old
            effect_S[s] = posterior_S[s] * (pull + mean / variance)
            evidence = np.log(posterior_S[s] / variance) - mean**2 / variance
            evidence += effect_S[s] ** 2 / posterior_S[s]
            inclusion_S[s] = expit(np.log(share / (1 - share)) + 0.5 * evidence)
            predicted_S += gram_SS[:, s] * (inclusion_S[s] * effect_S[s] - old)
        total = inclusion_S.sum()
        # Two passes first: the first posterior still carries the order of the sets.
        if sweep >= 2:
            share = float(np.clip(total / n_sets, 1e-6, MOST_SHARE))
            mean = float(inclusion_S @ effect_S / max(total, 1e-6))
            spread = inclusion_S @ (posterior_S + (effect_S - mean) ** 2) / max(total, 1e-6)
            variance = max(float(spread), 1e-3)
        if sweep > 5 and np.abs(inclusion_S * effect_S - before_S).max() < TOLERANCE:
            break
    return np.asarray(np.where(inclusion_S >= CHOSEN, inclusion_S * effect_S, 0.0) / unit_S)
