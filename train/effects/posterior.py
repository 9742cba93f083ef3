"""Posterior of the gene effects and their prior: variational Bayes by the sweeps of `train.effects.ascent`.

A normal model of a binary outcome is the score-test approximation: effects of rare
variants are small on the scale of the outcome, and the scale is mended by logistic regression afterwards.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from train.effects.ascent import Ascent, Outcome
from train.effects.learning import EM_STEPS, LEAPING, prior_change
from train.effects.prior import Floats, Prior, Start

SETTLING_SWEEPS = 2
"""Sweeps before the prior is learned: the first posterior still carries the order of the genes."""

TOLERANCE = {"sparse": 1e-4, "polygenic": 1e-5}
"""A fit ends when a whole pass moves the prediction by less than this share of the noise. Where every gene
has an effect, many small moves are still to come when each is small."""

SETTLED = 0.005
"""And when a pass moves the prior by less than this share. A prior that is still on its way costs more than
any other shortcut: where effects are weak, the share of genes needs many steps."""

SLACK = 1.0
"""By how much a pass under a new prior may lower the bound: inclusion by properties is penalised, which the
bound does not know."""

NEARLY_OUT = 0.01
"""Inclusion probability below which a gene is not looked at in every pass."""


@dataclass(frozen=True)
class Effects:
    """Posterior of all genes, given a prior.

    `mean_GC` is the posterior mean per allele, `inclusion_G` the probability that a gene has any effect,
    `bound` the lower bound of the log evidence (to compare starts on the same people).
    """

    mean_GC: Floats
    inclusion_G: Floats
    prior: Prior
    bound: float
    sweeps: int


def fit_effects(
    outcome: Outcome,
    start: Start | Prior,
    *,
    basis_GD: Floats | None = None,
    left_out: Collection[int] = (),
    sweeps: int = 40,
) -> Effects:
    """Posterior of the effects of all genes.

    Parameters
    ----------
    outcome
        Features and labels.
    start
        Shares to begin with, the prior is learned; or a prior, which is kept.
    basis_GD
        Properties of genes that the inclusion probability depends on; None: the same for all.
    left_out
        Groups of people that the fit does not see.
    sweeps
        Most passes over the genes; the fit ends when a pass hardly moves the prediction.
    """
    n_slabs = len(start.share_K) if isinstance(start, Prior) else len(start.scales)
    state = Ascent.begin(outcome, left_out, n_slabs)
    learned, sparse = isinstance(start, Start) and len(state.vary_G) > 0, _is_sparse(start)
    tolerance = TOLERANCE["sparse" if sparse else "polygenic"]
    prior = start if isinstance(start, Prior) else state.first_prior(start)
    rng, settled = np.random.default_rng(0), not learned
    steps = most = EM_STEPS
    best: tuple[float, Ascent, Prior] = (-np.inf, state, prior)
    for sweep in range(sweeps):
        # Most genes are nearly out after a few passes: they are looked at in every fourth one.
        whole = sweep <= SETTLING_SWEEPS or sweep % 4 == 3 or most < EM_STEPS
        genes_G = state.vary_G if whole else state.vary_G[state.inclusion_G[state.vary_G] > NEARLY_OUT]
        if most < EM_STEPS:
            prior = state.shift(prior)
        moved, refused = state.sweep(prior, rng.permutation(genes_G)), False
        if learned and sweep >= SETTLING_SWEEPS - 1:
            if whole:  # genes that a pass left out are not what the prior says: there is no bound then
                bound = state.bound(prior)
                refused = bound < best[0] - SLACK and steps > 1
                if refused:
                    # Where genes say the same (a batch with fewer calls), the pulls of all change with the
                    # prior: many steps on what one pass has left go astray. Back, and fewer from now on.
                    most, steps = max(1, steps // 2), max(1, steps // 4)
                    state, prior = best[1].copy(), best[2]
                else:
                    steps = min(most, 2 * steps)
                    best = (bound, state.copy(), prior) if bound > best[0] else best
            before, prior = prior, state.learn(prior, basis_GD, sparse=sparse, steps=steps)
            # Of a few steps the change is that much smaller.
            settled = not refused and prior_change(before, prior) < SETTLED * min(1.0, steps / LEAPING)
        if whole and settled and moved < tolerance and sweep >= SETTLING_SWEEPS:
            break
    if most < EM_STEPS:
        _, state, prior = best
    return Effects(state.mean_GC, state.inclusion_G, prior, state.bound(prior), sweep + 1)


def _is_sparse(start: Start | Prior) -> bool:
    return start.inclusion < 1 if isinstance(start, Start) else bool((start.inclusion_G < 1).any())
