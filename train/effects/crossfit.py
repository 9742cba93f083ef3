"""Gene effects of a cohort, each person scored by a fit without them: the network's direct path.

Several priors are fitted; scores of people who were left out decide how much each counts. No fold is set
aside for that. The same scores tell whether products with neighbours carry anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.effects.columns import GeneColumns, weighted_sums
from train.effects.head import Head, fit_head
from train.effects.neighbours import Neighbours, gate_entries
from train.effects.posterior import Effects, fit_effects, prepare_outcome
from train.effects.prior import Floats, Start

SPARSE_START, POLYGENIC_START = Start(inclusion=0.1), Start(inclusion=1.0)
"""Where a sparse fit begins does not matter, once expectation maximisation has come to its end; under the
polygenic prior every gene keeps an effect."""

FAR_BEHIND = 150.0
"""A prior whose bound lies so far below the best one's is not fitted again for those left out."""

SWEEPS = 25
"""Most passes of a fit; all but the first few look at likely genes alone."""


@dataclass(frozen=True)
class Cohort:
    """People whom effects are fitted on.

    Attributes
    ----------
    columns
        Their features.
    is_case_M
        1 or 0.
    covariates_MP
        Scaled; P may be 0.
    group_M
        Group of each person: 0 to K - 1 for training people, K for validation people. Groups are whole
        folds, so that relatives share one.
    basis_GD
        Properties of genes, see `train.effects.prior.property_basis`; None where there are none.
    """

    columns: GeneColumns
    is_case_M: NDArray[np.int8]
    covariates_MP: Floats
    group_M: NDArray[np.int64]
    basis_GD: Floats | None = None

    @property
    def n_groups(self) -> int:
        """Number of groups of training people, K."""
        return int(self.group_M.max())

    @property
    def training_M(self) -> NDArray[np.bool_]:
        """Who is no validation person."""
        return self.group_M < self.n_groups

    def unseen(self, fit: int) -> tuple[int, ...]:
        """Groups that a fit of the axis K + 2 leaves out.

        Fits 0 to K - 1 leave out a group of training people and the validation people, fit K these alone,
        and fit K + 1 nobody. So whatever is trained on the scores of training people knows no label of a
        validation person: the differences between fits would tell them.
        """
        return {self.n_groups: (fit,), self.n_groups + 1: ()}.get(fit, (fit, self.n_groups))

    @property
    def n_covariates(self) -> int:
        """Number of covariates, P."""
        return self.covariates_MP.shape[1]


@dataclass(frozen=True)
class DirectPath:
    """Weights of the direct path, in logits per allele.

    The logit of a person is intercept + covariate_weight_P · covariates + Σ_g r_g (1 + gate × n_g) - centre,
    where r_g is the gene's features times the reader's effects, and n_g the sum over the gene's neighbours of
    their features, less the mean, times the scout's effects. A gate of 0 leaves the sum of r_g. Where
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
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stack:
    """Fits of all priors, weighed: effects in logits, and what they say of people who were left out."""

    effect_KGC: Floats
    centre_K: Floats
    inclusion_G: Floats
    relevance_G: Floats
    score_M: Floats
    logit_M: Floats
    log_loss: float
    head: Head
    told: dict[str, Any]


def fit_direct_path(
    cohort: Cohort, neighbours: Neighbours | None, *, polygenic: bool = True, threads: int = 1
) -> DirectPath:
    """Fit gene effects, decide by left-out scores what counts, and fit once more with neighbours' gates.

    Parameters
    ----------
    cohort
        People outside the sealed fold and any other held out.
    neighbours
        Genes whose products are tried; None leaves them out.
    polygenic
        Try a prior under which every gene has an effect, beside the sparse one.
    threads
        Fits at a time.
    """
    stack = _fit_stack(cohort, cohort.columns, polygenic=polygenic, threads=threads)
    additive = _path(cohort, stack, stack, gate=0.0)
    if neighbours is None or not stack.score_M.any():
        return additive
    people = (stack.effect_KGC, cohort.group_M)
    product_M = gate_entries(cohort.columns, *people, neighbours, 0.0)[1]
    # Training people decide: what is chosen here is judged by the validation people later.
    training = cohort.n_groups
    alone = _regress(cohort, stack.score_M[:, None], fit=training, bounded=(True,))
    both_M2 = np.column_stack([stack.score_M, product_M])
    products = _regress(cohort, both_M2, fit=training, bounded=(True, False))
    gain, wanted = alone.deviance - products.deviance, math.log(len(product_M))
    told: dict[str, Any] = {"products_gain": gain, "products_gain_wanted": wanted}
    scale, weight = products.weight_P[-2:]
    # One weight more has to pay for itself (Schwarz 1978), else the products are left out.
    if gain < wanted or scale <= 0:
        return replace(additive, facts=additive.facts | told)
    gate = float(weight / scale)
    gated = gate_entries(cohort.columns, *people, neighbours, gate)[0]
    second = _fit_stack(cohort, gated, polygenic=polygenic, threads=threads)
    first = _with_products(cohort, stack, product_M, products)
    told |= {"products_log_loss": first.log_loss, "gated_log_loss": second.log_loss}
    worse_M = (_losses(cohort, second.logit_M) - _losses(cohort, first.logit_M))[cohort.training_M]
    # Effects fitted behind their gates gain most from more people: they yield only where clearly worse.
    if worse_M.mean() < 2 * worse_M.std() / math.sqrt(len(worse_M)):
        return _path(cohort, stack, second, gate=gate, told=told)
    # Half the gate with the first effects is the products with their weight: each pair is met twice.
    return replace(_path(cohort, stack, first, gate=gate / 2, told=told), centred=True)


def left_out_scores(cohort: Cohort, columns: GeneColumns, effect_KGC: Floats) -> tuple[Floats, Floats]:
    """Each person's features times the effects that were fitted without them, and what centres them.

    Parameters
    ----------
    cohort
        Its groups are looked at.
    columns
        Features of M people.
    effect_KGC
        Effects by fit, see `Cohort.unseen`.

    Returns
    -------
    Scores, less the mean that the effects give the people they were fitted on; and those means, by fit.
    """
    score_M, centre_K = np.zeros(columns.n_people), np.zeros(len(effect_KGC))
    for k, effect_GC in enumerate(effect_KGC):
        every_M = weighted_sums(columns, effect_GC)
        centre_K[k] = every_M[_seen(cohort, k)].mean()
        score_M = np.where(cohort.group_M == k, every_M - centre_K[k], score_M)
    return score_M, centre_K


def _fit_stack(cohort: Cohort, columns: GeneColumns, *, polygenic: bool, threads: int) -> _Stack:
    is_case_M = cohort.is_case_M.astype(np.float64)
    outcome = prepare_outcome(columns, is_case_M, cohort.covariates_MP, cohort.group_M)
    bases = {"sparse": None, "sparse_with_properties": cohort.basis_GD}
    starts = {
        name: SPARSE_START for name, basis_GD in bases.items() if name == "sparse" or basis_GD is not None
    } | ({"polygenic": POLYGENIC_START} if polygenic else {})

    last = cohort.n_groups + 1

    def fit(job: tuple[str, int]) -> Effects:
        name, left_out = job
        unseen = cohort.unseen(left_out)
        return fit_effects(outcome, starts[name], basis_GD=bases.get(name), left_out=unseen, sweeps=SWEEPS)

    with ThreadPoolExecutor(threads) as pool:
        first = dict(zip(starts, pool.map(fit, [(name, last - 1) for name in starts]), strict=True))
        best = max(fitted.bound for fitted in first.values())
        chosen = {name: fitted for name, fitted in first.items() if fitted.bound > best - FAR_BEHIND}
        # The prior is learned anew without each group: its mean alone would tell labels of those left out.
        others = (*range(cohort.n_groups), last)
        jobs = [(name, k) for name in chosen for k in others]
        refits = list(pool.map(fit, jobs))
    by_kind: dict[str, list[Effects]] = {name: [] for name in chosen}
    for (name, _), fitted in zip(jobs, refits, strict=True):
        by_kind[name].append(fitted)
    for name, of_kind in by_kind.items():
        of_kind.insert(cohort.n_groups, chosen[name])
    return _weigh(cohort, columns, by_kind)


def _weigh(cohort: Cohort, columns: GeneColumns, fits: Mapping[str, list[Effects]]) -> _Stack:
    """Weigh the priors by what they say of people left out, for each fit among those whom it has seen.

    That priors are chosen, and no weight is negative, lifts left-out scores a little above chance where
    nothing is to be found: docs/network.md has the figure.
    """
    n_covariates, n_fits = cohort.n_covariates, cohort.n_groups + 2
    effect_JKGC = np.stack([np.stack([fitted.mean_GC for fitted in of_kind]) for of_kind in fits.values()])
    scores = [left_out_scores(cohort, columns, effect_KGC) for effect_KGC in effect_JKGC]
    score_MJ = np.column_stack([score_M for score_M, _ in scores])
    centre_JK = np.stack([centre_K for _, centre_K in scores])
    used = _worth_having(cohort, score_MJ)
    heads = [_regress(cohort, score_MJ[:, used], fit=k, bounded=(True,) * len(used)) for k in range(n_fits)]
    weight_KJ = np.zeros((n_fits, len(fits)))
    weight_KJ[:, used] = [head.weight_P[n_covariates:] for head in heads]
    score_M = np.einsum("mj,mj->m", score_MJ, weight_KJ[cohort.group_M])
    intercept_K = np.array([head.intercept for head in heads])
    covariate_KP = np.stack([head.weight_P[:n_covariates] for head in heads])
    fixed_M = intercept_K[cohort.group_M] + np.einsum(
        "mp,mp->m", cohort.covariates_MP, covariate_KP[cohort.group_M]
    )
    logit_M = fixed_M + score_M
    # Under the polygenic prior every gene has an effect: it says nothing of which ones matter.
    telling = {name: of_kind for name, of_kind in fits.items() if name != "polygenic"} or dict(fits)
    likely = max(telling, key=lambda name: telling[name][cohort.n_groups].bound)
    return _Stack(
        np.einsum("jkgc,kj->kgc", effect_JKGC, weight_KJ),
        np.einsum("jk,kj->k", centre_JK, weight_KJ),
        telling[likely][-1].inclusion_G,
        telling[likely][cohort.n_groups].inclusion_G,
        score_M,
        logit_M,
        float(np.mean(_losses(cohort, logit_M)[cohort.training_M])),
        heads[-1],
        {
            name: {"weight": float(weight), **_told(of_kind[-1])}
            for weight, (name, of_kind) in zip(weight_KJ[-1], fits.items(), strict=True)
        },
    )


def _losses(cohort: Cohort, logit_M: Floats) -> Floats:
    return np.asarray(np.logaddexp(0, logit_M) - cohort.is_case_M * logit_M)


def _seen(cohort: Cohort, fit: int) -> NDArray[np.bool_]:
    return ~np.isin(cohort.group_M, cohort.unseen(fit))


def _worth_having(cohort: Cohort, score_MJ: Floats) -> list[int]:
    """Priors whose scores pay for their weight (Schwarz 1978), the best one first."""
    used: list[int] = []
    deviance = math.inf
    while len(used) < score_MJ.shape[1]:
        with_one_more = {
            j: _regress(
                cohort, score_MJ[:, [*used, j]], fit=cohort.n_groups, bounded=(True,) * (len(used) + 1)
            ).deviance
            for j in range(score_MJ.shape[1])
            if j not in used
        }
        best = min(with_one_more, key=lambda j: with_one_more[j])
        if used and deviance - with_one_more[best] < math.log(len(score_MJ)):
            break
        used.append(best)
        deviance = with_one_more[best]
    return used


def _with_products(cohort: Cohort, stack: _Stack, product_M: Floats, products: Head) -> _Stack:
    """The first effects, rescaled beside the products of their scores."""
    scale, weight = products.weight_P[-2:]
    n_covariates = cohort.n_covariates
    score_M = scale * stack.score_M + weight * product_M
    fixed_M = products.intercept + cohort.covariates_MP @ products.weight_P[:n_covariates]
    return replace(
        stack,
        effect_KGC=scale * stack.effect_KGC,
        centre_K=scale * stack.centre_K,
        score_M=score_M,
        logit_M=fixed_M + score_M,
        log_loss=products.log_loss,
        head=products,
    )


def _told(fitted: Effects) -> dict[str, Any]:
    return {
        "genes_expected": float(fitted.inclusion_G.sum()),
        "bound": fitted.bound,
        "sweeps": fitted.sweeps,
        "channel_deviation": np.sqrt(np.diag(fitted.prior.covariance_CC)).tolist(),
        "channel_mean": fitted.prior.mean_C.tolist(),
    }


def _regress(cohort: Cohort, score_MJ: Floats, *, fit: int, bounded: tuple[bool, ...]) -> Head:
    """Regress status on covariates and scores, among the people that a fit has seen."""
    held_P = np.r_[np.zeros(cohort.n_covariates, bool), np.array(bounded)]
    seen_M = _seen(cohort, fit)
    column_MP = np.column_stack([cohort.covariates_MP, score_MJ])
    return fit_head(column_MP[seen_M], cohort.is_case_M[seen_M], held_P)


def _path(
    cohort: Cohort, scout: _Stack, reader: _Stack, *, gate: float, told: dict[str, Any] | None = None
) -> DirectPath:
    return DirectPath(
        scout_KGC=scout.effect_KGC,
        reader_KGC=reader.effect_KGC,
        centre_K=reader.centre_K,
        inclusion_G=scout.inclusion_G,
        relevance_G=scout.relevance_G,
        gate=gate,
        intercept=reader.head.intercept,
        covariate_weight_P=reader.head.weight_P[: cohort.n_covariates],
        gene_logit_M=reader.score_M,
        logit_M=reader.logit_M,
        facts={"priors": reader.told, **(told or {})},
    )
