"""Gene effects under several priors, each person scored by a fit without them, and the priors weighed.

No fold is set aside for weighing: scores of people who were left out decide how much each prior counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from train.effects.ascent import Outcome, prepare_outcome
from train.effects.columns import GeneColumns, weighted_sums
from train.effects.head import Head, fit_head
from train.effects.posterior import Effects, fit_effects
from train.effects.prior import Floats, Start

SLABS = (1.0, 0.3, 0.1)
"""Sizes of effects, where they may be of several: their variances are about a tenth apart, as in BayesR
(Moser et al. 2015)."""

STARTS = {
    "sparse": Start(inclusion=0.1),
    "slabs": Start(inclusion=0.1, scales=SLABS),
    "polygenic": Start(inclusion=1.0, scales=SLABS),
}
"""Where a fit begins does not matter, once expectation maximisation has come to its end; under the polygenic
prior every gene keeps an effect, if a small one."""

WITH_PROPERTIES = "_with_properties"
"""Ends the names of priors under which the probability of an effect depends on properties."""

DOUBT = 20.0
"""Priors are averaged by their evidence on people left out, to the power 1 / DOUBT: it differs by chance by
more than its sum over people would have it."""

LEAST_WEIGHT = 0.05
"""Share of the average below which a prior is left out: fits behind gates then need not be made for it."""

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

    def without(self, *groups: int) -> tuple[int, ...]:
        """These groups of training people, and the validation people: whom a fit leaves out."""
        return (*groups, self.n_groups)

    @property
    def n_covariates(self) -> int:
        """Number of covariates, P."""
        return self.covariates_MP.shape[1]


@dataclass(frozen=True)
class Stack:
    """Fits of all priors, weighed: effects in logits, and what they say of people who were left out.

    `used` are the priors that count for something, `score_MJ` the scores under each of them.
    """

    effect_KGC: Floats
    centre_K: Floats
    inclusion_G: Floats
    relevance_G: Floats
    score_M: Floats
    logit_M: Floats
    log_loss: float
    head: Head
    told: dict[str, Any]
    used: tuple[str, ...]
    score_MJ: Floats


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


def fit_stack(
    cohort: Cohort,
    columns: GeneColumns,
    *,
    polygenic: bool,
    threads: int,
    columns_of: Callable[[int], GeneColumns] | None = None,
) -> Stack:
    """Fit every prior on everybody and without each group, and weigh them.

    Parameters
    ----------
    cohort
        People; their own columns are not looked at.
    columns
        Features that fits read, and that people are scored by.
    polygenic
        Try a prior under which every gene has an effect.
    threads
        Fits at a time.
    columns_of
        What the fit without a group of training people reads in place of `columns`, where that differs.
    """
    outcome, last = _outcome(cohort, columns), cohort.n_groups + 1
    names = [name for name in _names(cohort) if polygenic or name != "polygenic"]

    def fit(name: str) -> Effects:
        return _fit(cohort, outcome, name, cohort.unseen(last - 1))

    def refit(job: tuple[int, tuple[str, ...]]) -> dict[str, Effects]:
        k, names = job
        own = outcome if columns_of is None or k == last else _outcome(cohort, columns_of(k))
        return {name: _fit(cohort, own, name, cohort.unseen(k)) for name in names}

    with ThreadPoolExecutor(threads) as pool:
        first = dict(zip(names, pool.map(fit, names), strict=True))
        best = max(fitted.bound for fitted in first.values())
        chosen = {name: fitted for name, fitted in first.items() if fitted.bound > best - FAR_BEHIND}
        # The prior is learned anew without each group: its mean alone would tell labels of those left out.
        others = (*range(cohort.n_groups), last)
        # Features of a fit's own are made once for all priors.
        together = [tuple(chosen)] if columns_of else [(name,) for name in chosen]
        refits = list(pool.map(refit, [(k, names) for names in together for k in others]))
    by_kind: dict[str, list[Effects]] = {name: [] for name in chosen}
    for fits in refits:
        for name, fitted in fits.items():
            by_kind[name].append(fitted)
    for name, of_kind in by_kind.items():
        of_kind.insert(cohort.n_groups, chosen[name])
    return _weigh(cohort, columns, by_kind)


def fit_pairs(cohort: Cohort, stack: Stack, threads: int) -> dict[tuple[int, int], Floats]:
    """Effects of the stack's priors without two groups of training people, by pair (ascending).

    Returns
    -------
    Effects by gene and channel; empty where too few people remain.
    """
    outcome = _outcome(cohort, cohort.columns)
    pairs = list(combinations(range(cohort.n_groups), 2))
    left = [cohort.without(*pair) for pair in pairs]
    statuses = [cohort.is_case_M[~np.isin(cohort.group_M, unseen)] for unseen in left]
    if not all(len(np.unique(statuses_M)) == 2 for statuses_M in statuses):
        return {}

    def fit(unseen: tuple[int, ...]) -> Floats:
        seen_M = ~np.isin(cohort.group_M, unseen)
        weight_J, _ = _blend(cohort, stack.score_MJ, seen_M)
        effects = [_fit(cohort, outcome, name, unseen).mean_GC for name in stack.used]
        return np.asarray(np.tensordot(weight_J, np.stack(effects), 1))

    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(pairs, pool.map(fit, left), strict=True))


def _outcome(cohort: Cohort, columns: GeneColumns) -> Outcome:
    return prepare_outcome(columns, cohort.is_case_M.astype(np.float64), cohort.covariates_MP, cohort.group_M)


def _names(cohort: Cohort) -> list[str]:
    sparse = [name for name in STARTS if name != "polygenic"]
    with_properties = [] if cohort.basis_GD is None else [name + WITH_PROPERTIES for name in sparse]
    return [*sparse, *with_properties, "polygenic"]


def _fit(cohort: Cohort, outcome: Outcome, name: str, unseen: tuple[int, ...]) -> Effects:
    start = STARTS[name.removesuffix(WITH_PROPERTIES)]
    basis_GD = cohort.basis_GD if name.endswith(WITH_PROPERTIES) else None
    return fit_effects(outcome, start, basis_GD=basis_GD, left_out=unseen, sweeps=SWEEPS)


def _weigh(cohort: Cohort, columns: GeneColumns, fits: Mapping[str, list[Effects]]) -> Stack:
    """Average the priors by what they say of people left out, for each fit among those whom it has seen.

    That priors are weighed, and no weight is negative, lifts left-out scores a little above chance where
    nothing is to be found: docs/network.md has the figure.
    """
    n_covariates, n_fits = cohort.n_covariates, cohort.n_groups + 2
    effect_JKGC = np.stack([np.stack([fitted.mean_GC for fitted in of_kind]) for of_kind in fits.values()])
    scores = [left_out_scores(cohort, columns, effect_KGC) for effect_KGC in effect_JKGC]
    score_MJ = np.column_stack([score_M for score_M, _ in scores])
    centre_JK = np.stack([centre_K for _, centre_K in scores])
    used = _worth_having(cohort, list(fits), score_MJ)
    blends = [_blend(cohort, score_MJ[:, used], _seen(cohort, k)) for k in range(n_fits)]
    heads = [head for _, head in blends]
    weight_KJ = np.zeros((n_fits, len(fits)))
    weight_KJ[:, used] = [weight_J for weight_J, _ in blends]
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
    return Stack(
        np.einsum("jkgc,kj->kgc", effect_JKGC, weight_KJ),
        np.einsum("jk,kj->k", centre_JK, weight_KJ),
        telling[likely][-1].inclusion_G,
        telling[likely][cohort.n_groups].inclusion_G,
        score_M,
        logit_M,
        float(np.mean(losses(cohort, logit_M)[cohort.training_M])),
        heads[-1],
        {
            name: {"weight": float(weight), **_told(of_kind[-1])}
            for weight, (name, of_kind) in zip(weight_KJ[-1], fits.items(), strict=True)
        },
        tuple(list(fits)[j] for j in used),
        score_MJ[:, used],
    )


def losses(cohort: Cohort, logit_M: Floats) -> Floats:
    """Log-loss of each person."""
    return np.asarray(np.logaddexp(0, logit_M) - cohort.is_case_M * logit_M)


def _seen(cohort: Cohort, fit: int) -> NDArray[np.bool_]:
    return ~np.isin(cohort.group_M, cohort.unseen(fit))


def _worth_having(cohort: Cohort, names: list[str], score_MJ: Floats) -> list[int]:
    """Priors of the chosen family that count for something in its average."""
    family = _family(cohort, names, score_MJ)
    weight_J, _ = _blend(cohort, score_MJ[:, family], cohort.training_M)
    return [j for j, weight in zip(family, weight_J, strict=True) if weight >= LEAST_WEIGHT * weight_J.sum()]


def _family(cohort: Cohort, names: list[str], score_MJ: Floats) -> list[int]:
    """Priors to average: those that know properties, if their average pays for itself, else the others."""
    plain = [j for j, name in enumerate(names) if not name.endswith(WITH_PROPERTIES)]
    knowing = [j for j, name in enumerate(names) if name.endswith(WITH_PROPERTIES) or name == "polygenic"]
    if not plain or len(plain) == len(names):
        return plain or knowing
    deviance, with_properties = (
        _blend(cohort, score_MJ[:, of_family], cohort.training_M)[1].deviance
        for of_family in (plain, knowing)
    )
    return knowing if deviance - with_properties > math.log(len(score_MJ)) else plain


def _blend(cohort: Cohort, score_MJ: Floats, seen_M: NDArray[np.bool_]) -> tuple[Floats, Head]:
    """Weights of the priors' scores in logits, by the left-out scores of the people seen.

    Scores that are hardly worse than the best one's are averaged with it: which of them is best is chance,
    and their errors differ. (Weights from left-out evidence: pseudo-BMA, Yao et al. 2018.)
    """
    deviance_J = np.array(
        [
            regress(cohort, score_MJ[:, [j]], seen_M=seen_M, bounded=(True,)).deviance
            for j in range(score_MJ.shape[1])
        ]
    )
    share_J = softmax(-(deviance_J - deviance_J.min()) / (2 * DOUBT))
    head = regress(cohort, (score_MJ @ share_J)[:, None], seen_M=seen_M, bounded=(True,))
    return head.weight_P[-1] * share_J, head


def regress(
    cohort: Cohort, score_MJ: Floats, *, seen_M: NDArray[np.bool_], bounded: tuple[bool, ...]
) -> Head:
    """Regress status on covariates and scores, among the people seen."""
    held_P = np.r_[np.zeros(cohort.n_covariates, bool), np.array(bounded)]
    column_MP = np.column_stack([cohort.covariates_MP, score_MJ])
    return fit_head(column_MP[seen_M], cohort.is_case_M[seen_M], held_P)


def _told(fitted: Effects) -> dict[str, Any]:
    return {
        "genes_expected": float(fitted.inclusion_G.sum()),
        "bound": fitted.bound,
        "sweeps": fitted.sweeps,
        "slab_shares": fitted.prior.share_K.tolist(),
        "channel_deviation": np.sqrt(np.diag(fitted.prior.covariance_CC)).tolist(),
        "channel_mean": fitted.prior.mean_C.tolist(),
    }
