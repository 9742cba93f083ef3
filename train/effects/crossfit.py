"""The network's direct path: gene effects, and what products of gene scores add, where they pay for it.

Each person is scored by a fit without them, see `train.effects.stack`. The same scores tell whether products
with neighbours, or within given gene sets, carry anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from train.effects.gate import NO_SETS, Gate
from train.effects.head import Head
from train.effects.neighbours import Neighbours, gate_entries
from train.effects.prior import Floats
from train.effects.set_weights import Null, fit_set_weights
from train.effects.sets import GeneSets, Scored, SetGate, set_products
from train.effects.stack import Cohort, Stack, fit_pairs, fit_stack, losses, regress


@dataclass(frozen=True)
class DirectPath:
    """Weights of the direct path, in logits per allele.

    The logit of a person is intercept + covariate_weight_P · covariates + Σ_g r_g (1 + gate × n_g) - centre,
    where r_g is the gene's features times the reader's effects, and n_g the sum over the gene's neighbours of
    their features, less the mean, times the scout's effects. `sets` adds to the bracket, for each set of the
    gene, its weight times the same sum over the set's other genes. No gate leaves the sum of r_g. Where
    `centred` is true, the gate multiplies r_g less its mean: Σ_g (r_g + (r_g - mean) × gate × n_g) - centre.

    The axis K holds the fits of `Cohort.unseen`: person m is scored by fit group_M[m], which has not seen
    them, in `gene_logit_M` and `logit_M`; the last fit has seen all. `inclusion_G` is the probability of an
    effect after all people, `relevance_G` that after training people. `facts` tells how it came about.
    """

    scout_KGC: Floats
    reader_KGC: Floats
    centre_K: Floats
    inclusion_G: Floats
    relevance_G: Floats
    gate: float
    intercept: float
    covariate_weight_P: Floats
    gene_logit_M: Floats
    logit_M: Floats
    centred: bool = False
    sets: SetGate = NO_SETS
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Products:
    """Products that pay for their weight: one column for each kind, the gate that is the same, and facts."""

    product_MQ: Floats
    gate: Gate
    head: Head
    told: dict[str, Any]


def fit_direct_path(
    cohort: Cohort,
    neighbours: Neighbours | None,
    *,
    sets: GeneSets | None = None,
    polygenic: bool = True,
    threads: int = 1,
) -> DirectPath:
    """Fit gene effects, decide by left-out scores what counts, and fit once more behind gates.

    Parameters
    ----------
    cohort
        People outside the sealed fold and any other held out.
    neighbours
        Genes whose products are tried; None leaves them out.
    sets
        Gene sets whose products are tried; None leaves them out.
    polygenic
        Try a prior under which every gene has an effect, beside the sparse one.
    threads
        Fits at a time.
    """
    stack = fit_stack(cohort, cohort.columns, polygenic=polygenic, threads=threads)
    additive = _path(cohort, stack, stack, Gate())
    if not stack.score_M.any():
        return additive
    products = _with_sets(cohort, stack, _of_neighbours(cohort, stack, neighbours), sets, threads)
    told = dict(products.told)
    scale = products.head.weight_P[cohort.n_covariates] if products.product_MQ.size else 0.0
    if scale <= 0:
        return replace(additive, facts=additive.facts | told)
    pairs = fit_pairs(cohort, stack, threads)
    gate = products.gate.scaled(1 / scale)
    second = fit_stack(
        cohort,
        gate.open(cohort, stack.effect_KGC),
        polygenic=polygenic,
        threads=threads,
        columns_of=gate.open_without(cohort, stack.effect_KGC, pairs),
    )
    first = _rescaled(cohort, stack, products)
    told |= {"products_log_loss": first.log_loss, "gated_log_loss": second.log_loss}
    worse_M = (losses(cohort, second.logit_M) - losses(cohort, first.logit_M))[cohort.training_M]
    # Effects fitted behind their gates gain most from more people: they yield only where clearly worse.
    if worse_M.mean() < 2 * worse_M.std() / math.sqrt(len(worse_M)):
        return _path(cohort, stack, second, gate, told)
    # Half the gate with the first effects is the products with their weight: each pair is met twice.
    return replace(_path(cohort, stack, first, gate.scaled(0.5), told), centred=True)


def _of_neighbours(cohort: Cohort, stack: Stack, neighbours: Neighbours | None) -> _Products:
    """Products of neighbours, if they pay; training people decide, and validation people judge later."""
    alone = _head(cohort, stack, np.empty((len(stack.score_M), 0)))
    nothing = _Products(np.empty((len(stack.score_M), 0)), Gate(), alone, {})
    if neighbours is None:
        return nothing
    product_M = gate_entries(cohort.columns, stack.effect_KGC, cohort.group_M, neighbours, 0.0)[1]
    head = _head(cohort, stack, product_M[:, None])
    gain, wanted = alone.deviance - head.deviance, math.log(len(product_M))
    told = {"products_gain": gain, "products_gain_wanted": wanted}
    # One weight more has to pay for itself (Schwarz 1978), else the products are left out.
    if gain < wanted:
        return replace(nothing, told=told)
    return _Products(product_M[:, None], Gate(neighbours, float(head.weight_P[-1])), head, told)


def _with_sets(
    cohort: Cohort, stack: Stack, products: _Products, sets: GeneSets | None, threads: int
) -> _Products:
    """Products of gene sets beside those of neighbours, if they pay.

    Weights of sets are fitted without each group, so that what they say of the group is no chance finding:
    their sum has one weight to pay for, however many sets there are.
    """
    if not sets:
        return products
    scored = Scored(cohort.columns, stack.effect_KGC, cohort.group_M)
    columns = [cohort.covariates_MP, stack.score_M, products.product_MQ]
    logit_M = stack.logit_M
    if products.product_MQ.size:
        logit_M = products.head.intercept + np.column_stack(columns) @ products.head.weight_P
    fixed_MQ = np.column_stack([cohort.covariates_MP, products.product_MQ])
    null = Null.of(cohort.is_case_M, logit_M, stack.score_M, fixed_MQ)
    pairs = [(j, k) for k in range(cohort.n_groups) for j in range(k)]
    unseen = [cohort.unseen(k) for k in range(cohort.n_groups + 2)]
    found = fit_set_weights(
        scored, sets, null, [*unseen, *(cohort.without(*pair) for pair in pairs)], threads
    )
    weight_KS = found.weight_KS[: len(unseen)]
    product_MS = set_products(scored, found.sets, threads)
    product_M = np.einsum("ms,ms->m", product_MS, weight_KS[cohort.group_M])
    with_MQ = np.column_stack([products.product_MQ, product_M])
    head = _head(cohort, stack, with_MQ)
    gain, wanted = products.head.deviance - head.deviance, math.log(len(product_M))
    told = {**products.told, "sets_gain": gain, "sets_gain_wanted": wanted}
    weight = float(head.weight_P[-1])
    if gain < wanted or weight <= 0:
        return replace(products, told=told)
    kept = SetGate(found.sets, weight_KS).scaled(weight)
    gate = replace(
        products.gate,
        weight=float(head.weight_P[-2]) if products.product_MQ.size else 0.0,
        sets=kept,
        pair_weights=dict(zip(pairs, weight * found.weight_KS[len(unseen) :], strict=True)),
    )
    return _Products(with_MQ, gate, head, told)


def _head(cohort: Cohort, stack: Stack, product_MQ: Floats) -> Head:
    """Status of training people on covariates, score and products."""
    column_MQ = np.column_stack([stack.score_M, product_MQ])
    bounded = (True, *(False,) * product_MQ.shape[1])
    return regress(cohort, column_MQ, seen_M=cohort.training_M, bounded=bounded)


def _rescaled(cohort: Cohort, stack: Stack, products: _Products) -> Stack:
    """The first effects, rescaled beside the products of their scores."""
    head, n_covariates = products.head, cohort.n_covariates
    scale = head.weight_P[n_covariates]
    score_M = scale * stack.score_M + products.product_MQ @ head.weight_P[n_covariates + 1 :]
    fixed_M = head.intercept + cohort.covariates_MP @ head.weight_P[:n_covariates]
    return replace(
        stack,
        effect_KGC=scale * stack.effect_KGC,
        centre_K=scale * stack.centre_K,
        score_M=score_M,
        logit_M=fixed_M + score_M,
        log_loss=head.log_loss,
        head=head,
    )


def _path(
    cohort: Cohort, scout: Stack, reader: Stack, gate: Gate, told: dict[str, Any] | None = None
) -> DirectPath:
    return DirectPath(
        scout_KGC=scout.effect_KGC,
        reader_KGC=reader.effect_KGC,
        centre_K=reader.centre_K,
        inclusion_G=scout.inclusion_G,
        relevance_G=scout.relevance_G,
        gate=gate.weight,
        intercept=reader.head.intercept,
        covariate_weight_P=reader.head.weight_P[: cohort.n_covariates],
        gene_logit_M=reader.score_M,
        logit_M=reader.logit_M,
        sets=gate.sets,
        facts={"priors": reader.told, **(told or {})},
    )
