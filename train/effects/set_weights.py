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

HARDLY_CHOSEN = 0.05
"""Inclusion below which a set is left out of a fit's gate."""

FIRST_SHARE = 0.1
"""Share of sets with an effect that expectation maximisation begins with."""

SWEEPS, TOLERANCE = 200, 1e-3
"""Most passes over the sets; a fit ends when a pass moves no effect by more, in its standard errors."""


@dataclass(frozen=True)
class Null:
    """What is known without products: residuals and variances of the status, and columns that are held fixed.

    Products are judged beside `fixed_MQ` (intercept, covariates, scores), by the quadratic approximation of
    the logistic likelihood around the residuals.
    """

    residual_M: Floats
    variance_M: Floats
    fixed_MQ: Floats

    @classmethod
    def of(cls, is_case_M: NDArray[np.int8], logit_M: Floats, fixed_MQ: Floats) -> Null:
        """Residuals of these logits."""
        risk_M = expit(logit_M)
        columns_MQ = np.column_stack([np.ones(len(logit_M)), fixed_MQ])
        return cls(is_case_M - risk_M, risk_M * (1 - risk_M), columns_MQ)


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
    score_KS, variance_KS = _screen(scored, sets, null, (groups, seen_KL), threads)
    safe_KS = np.where(variance_KS > 0, variance_KS, 1.0)
    ranked_KS = np.argsort(-np.where(variance_KS > 0, score_KS**2 / safe_KS, 0.0), kind="stable", axis=1)
    top_KT = ranked_KS[:, :SCREENED]
    chosen_S = np.unique(top_KT)
    product_MS = set_products(scored, sets.take(chosen_S.tolist()), threads)
    slope_LS, gram_LSS = _quadratic(product_MS, null, groups)
    weight_KS = np.zeros((len(unseen), len(chosen_S)))
    for k, seen_L in enumerate(seen_KL):
        own = np.searchsorted(chosen_S, np.sort(top_KT[k]))
        own = own[variance_KS[k, chosen_S[own]] > 0]
        slope_Q, gram_QQ = np.tensordot(seen_L, slope_LS, 1), np.tensordot(seen_L, gram_LSS, 1)
        net_S, net_SS = _net_of_fixed(slope_Q, gram_QQ, null.fixed_MQ.shape[1])
        weight_KS[k, own] = _spike_and_slab(net_S[own], net_SS[np.ix_(own, own)], len(sets))
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


def _spike_and_slab(slope_S: Floats, gram_SS: Floats, n_sets: int) -> Floats:
    """Posterior mean weights; share, mean and variance of effects by expectation maximisation.

    The variational form of Carbonetto and Stephens (2012) on slope and curvature alone. Effects are alike in
    units of standard errors, with a mean that need not be 0: pathways tend to act in one direction.
    `n_sets` counts those that were screened out too.
    """
    if not len(slope_S):
        return np.zeros(0)
    unit_S = np.sqrt(np.diag(gram_SS))
    z_S, gram_SS = slope_S / unit_S, gram_SS / np.outer(unit_S, unit_S)
    strong_S = z_S[z_S**2 > 4] ** 2
    share, mean, variance = FIRST_SHARE, 0.0, float(np.median(strong_S)) if len(strong_S) else 4.0
    inclusion_S, effect_S = np.zeros(len(z_S)), np.zeros(len(z_S))
    for sweep in range(SWEEPS):
        before_S = inclusion_S * effect_S
        posterior = 1 / (1 + 1 / variance)
        predicted_S = gram_SS @ before_S
        for s in range(len(z_S)):
            old = inclusion_S[s] * effect_S[s]
            effect_S[s] = posterior * (z_S[s] - predicted_S[s] + old + mean / variance)
            evidence = np.log(posterior / variance) + effect_S[s] ** 2 / posterior - mean**2 / variance
            inclusion_S[s] = expit(np.log(share / (1 - share)) + 0.5 * evidence)
            predicted_S += gram_SS[:, s] * (inclusion_S[s] * effect_S[s] - old)
        total = inclusion_S.sum()
        # Two passes first: the first posterior still carries the order of the sets.
        if sweep >= 2:
            share = float(np.clip(total / n_sets, 1e-6, 1 - 1e-6))
            mean = float(inclusion_S @ effect_S / max(total, 1e-6))
            spread = inclusion_S @ (posterior + (effect_S - mean) ** 2) / max(total, 1e-6)
            variance = max(float(spread), 1e-3)
        if sweep > 5 and np.abs(inclusion_S * effect_S - before_S).max() < TOLERANCE:
            break
    return np.asarray(np.where(inclusion_S > HARDLY_CHOSEN, inclusion_S * effect_S, 0.0) / unit_S)
