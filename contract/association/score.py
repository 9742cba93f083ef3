"""Association of each gene and channel with status, one at a time: what a burden test sees.

The score test of a logistic regression whose null model has the covariates. Cases and controls are not
equal in number and carriers are few, so that the normal approximation is wrong in the tails; the p-value is
exact for few carriers and otherwise by saddlepoint:

- Dey, Schmidt, Abecasis, Lee 2017, "A fast and accurate algorithm to test for binary phenotypes and its
  application to PheWAS", doi 10.1016/j.ajhg.2017.05.014: saddlepoint over carriers, the rest as a normal sum.
- Lee, Fuchsberger, Kim, Scott 2016, "An efficient resampling method for calibrating single and gene-based
  rare variant association analysis in case-control studies", doi 10.1093/biostatistics/kxv033: with few
  carriers all their outcomes are enumerated.
- Liu, Chen, Li, Morrison, Boerwinkle, Lin 2019, "ACAT: a fast and powerful p value combination method for
  rare-variant analysis", doi 10.1016/j.ajhg.2019.01.002: channels of a gene combined.

Two-sided; an exact p-value counts half of the probability of what was seen (mid-p), as the saddlepoint does.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.optimize import brentq
from scipy.sparse import csc_matrix, csr_matrix
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

Values = NDArray[np.float64]

FEW_CARRIERS = 10
"""Carriers up to which all 2^n outcomes are enumerated: 1,024 sums."""
NORMAL_WITHIN = 2.0
"""Standard deviations within which the normal approximation is kept (Dey et al. 2017)."""
SMALLEST_P = 1e-300
SMALLEST_CHANCE = 1e-12
LARGEST_ARGUMENT = 2.0**40


@dataclass(frozen=True)
class Association:
    """One test for each of F features; nan where nobody or everybody carries the same.

    Attributes
    ----------
    log10_p_F
        -log10 of the two-sided p-value.
    effect_F
        Score over information: the first step towards the log odds ratio per allele.
    standard_error_F
        One over the root of the information.
    """

    log10_p_F: Values
    effect_F: Values
    standard_error_F: Values


@dataclass(frozen=True)
class NullModel:
    """Logistic regression of status on covariates, for M people; `design_MQ` has the intercept first."""

    probability_M: Values
    residual_M: Values
    design_MQ: Values


@dataclass(frozen=True)
class FirstOrder:
    """What the null model says of F features; `solved_FQ` is each one's weighted regression on covariates.

    `tested_F` is False where covariates leave nothing of a feature.
    """

    score_F: Values
    information_F: Values
    solved_FQ: Values
    tested_F: NDArray[np.bool_]


def fit_null(is_case_M: NDArray[np.int8], covariates_MP: NDArray[np.floating[Any]]) -> NullModel:
    """Fit status on an intercept and covariates, without those that do not vary or follow from others.

    Parameters
    ----------
    is_case_M
        1 or 0; both must occur.
    covariates_MP
        In any unit, finite; P may be 0.
    """
    covariates_MP = covariates_MP.astype(np.float64)
    deviation_P = covariates_MP.std(axis=0)
    varies_P = deviation_P > 1e-9
    scaled = (covariates_MP - covariates_MP.mean(axis=0))[:, varies_P] / deviation_P[varies_P]
    scaled = scaled[:, _independent(scaled)]
    if scaled.shape[1]:
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-6, max_iter=200)
        probability_M = model.fit(scaled, is_case_M).predict_proba(scaled)[:, 1]
    else:
        probability_M = np.full(len(is_case_M), float(is_case_M.mean()))
    # Where covariates settle the outcome, such as a batch of cases alone, logarithms still need both sides.
    probability_M = np.clip(probability_M, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
    design_MQ = np.column_stack([np.ones(len(is_case_M)), scaled]).astype(np.float64)
    return NullModel(probability_M, is_case_M - probability_M, design_MQ)


def score_tests(x_MF: csr_matrix, null: NullModel) -> Association:
    """Score test of every feature given the null model.

    Parameters
    ----------
    x_MF
        Features of the null model's people, sparse, not scaled.
    null
        The null model.
    """
    columns = csc_matrix(x_MF, dtype=np.float64)
    first = first_order(columns, null)
    score_F, solved_FQ, information_F = first.score_F, first.solved_FQ, first.information_F
    tested_F = first.tested_F
    z_F = score_F / np.sqrt(np.where(tested_F, information_F, 1.0))
    log_p_F = np.log(2) + norm.logsf(np.abs(z_F))
    n_carriers_F = np.diff(columns.indptr)
    for f in np.flatnonzero(tested_F & ((n_carriers_F <= FEW_CARRIERS) | (np.abs(z_F) > NORMAL_WITHIN))):
        carriers = columns.indices[columns.indptr[f] : columns.indptr[f + 1]]
        value_N = columns.data[columns.indptr[f] : columns.indptr[f + 1]]
        probability_N = null.probability_M[carriers]
        if len(carriers) <= FEW_CARRIERS:
            log_p_F[f] = np.log(exact_p(value_N, probability_N, score_F[f]))
        else:
            adjusted_N = value_N - null.design_MQ[carriers] @ solved_FQ[f]
            rest = information_F[f] - float(adjusted_N**2 @ (probability_N * (1 - probability_N)))
            log_p_F[f] = saddlepoint_log_p(adjusted_N, probability_N, max(rest, 0.0), score_F[f])
    log10_p_F = np.where(tested_F, np.maximum(-log_p_F / np.log(10), 0.0), np.nan)
    known_F = np.where(tested_F, information_F, np.nan)
    return Association(log10_p_F, score_F / known_F, 1 / np.sqrt(known_F))


def first_order(columns: csc_matrix, null: NullModel) -> FirstOrder:
    """Score and information of every feature at no effect, covariates taken out; `columns` are M × F."""
    weight_M = null.probability_M * (1 - null.probability_M)
    weighted_MQ = null.design_MQ * weight_M[:, None]
    cross_FQ = columns.T @ weighted_MQ
    # Least squares: the weights of people whose outcome the covariates settle are 0, and so may a column be.
    solved_FQ = np.linalg.lstsq(null.design_MQ.T @ weighted_MQ, cross_FQ.T, rcond=1e-12)[0].T
    square_F = columns.multiply(columns).T @ weight_M
    information_F = square_F - np.einsum("fq,fq->f", cross_FQ, solved_FQ)
    tested_F = information_F > 1e-9 * np.maximum(square_F, 1e-12)
    return FirstOrder(columns.T @ null.residual_M, information_F, solved_FQ, tested_F)


def exact_p(value_N: Values, probability_N: Values, score: float) -> float:
    """Mid-p of a score at least as far from 0, over every outcome of few carriers.

    Parameters
    ----------
    value_N
        Alleles of the carriers.
    probability_N
        Their probability of being a case under the null model.
    score
        Sum over carriers of alleles × (1 for a case, 0 for a control, less the probability).
    """
    outcome_KN = _outcomes(len(value_N))
    score_K = (outcome_KN - probability_N) @ value_N
    chance_K = np.where(outcome_KN == 1, probability_N, 1 - probability_N).prod(axis=1)
    distance_K, seen = np.abs(score_K), abs(score)
    same_K = np.isclose(distance_K, seen, rtol=1e-6, atol=1e-9)
    return float(chance_K[(distance_K > seen) & ~same_K].sum() + chance_K[same_K].sum() / 2)


def saddlepoint_log_p(adjusted_N: Values, probability_N: Values, rest: float, score: float) -> float:
    """Natural logarithm of the two-sided p-value of a score by saddlepoint approximation.

    Parameters
    ----------
    adjusted_N
        Alleles of the carriers less what the covariates say of them.
    probability_N
        Their probability of being a case under the null model.
    rest
        Variance that all others add to the score, taken as normal.
    score
        The score.
    """
    spread = _Cumulants(adjusted_N, probability_N, rest)
    mirrored = _Cumulants(-adjusted_N, probability_N, rest)
    return min(float(np.logaddexp(spread.log_tail(abs(score)), mirrored.log_tail(abs(score)))), 0.0)


def combine_channels(log10_p_CG: Values) -> Values:
    """-log10 p of each gene over its channels (Cauchy combination, equal weights); nan where none has one."""
    used_CG = np.isfinite(log10_p_CG)
    n_G = used_CG.sum(axis=0)
    # A p-value of 1 would undo any other: 1 - 1/n is the authors' remedy.
    most_G = np.where(n_G > 1, 1 - 1 / np.maximum(n_G, 2), 1 - 1e-9)
    p_CG = np.clip(10.0 ** -np.where(used_CG, log10_p_CG, 0.0), SMALLEST_P, most_G)
    small_CG = p_CG < 1e-12  # the tangent loses its digits there
    angle_CG = np.tan((0.5 - np.where(small_CG, 0.5, p_CG)) * np.pi)
    cauchy_CG = np.where(used_CG, np.where(small_CG, 1 / (p_CG * np.pi), angle_CG), 0.0)
    mean_G = cauchy_CG.sum(axis=0) / np.maximum(n_G, 1)
    far_G = mean_G > 1e12
    tail_G = np.where(far_G, 1 / (np.pi * np.where(far_G, mean_G, 1.0)), 0.5 - np.arctan(mean_G) / np.pi)
    return np.where(n_G > 0, -np.log10(np.clip(tail_G, SMALLEST_P, 1.0)), np.nan)


def _independent(scaled_MQ: Values) -> NDArray[np.int64]:
    """Places of columns of which none is a sum of others, in their order."""
    if not scaled_MQ.shape[1]:
        return np.empty(0, np.int64)
    triangle, pivot_Q = qr(scaled_MQ, mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    return np.sort(pivot_Q[: len(diagonal)][diagonal > 1e-8 * diagonal[0]]).astype(np.int64)


@lru_cache
def _outcomes(n_carriers: int) -> Values:
    """All 2^n outcomes, 1 for a case."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=n_carriers)))


@dataclass(frozen=True)
class _Cumulants:
    """Cumulant generating function of a centred sum over carriers and a normal rest."""

    value_N: Values
    probability_N: Values
    rest: float

    def log_tail(self, score: float) -> float:
        """Logarithm of P(sum ≥ score), by Barndorff-Nielsen's form of Lugannani and Rice's formula."""
        high = 1.0 / max(float(np.abs(self.value_N).max()), 1e-12)
        while self._first(high) < score:
            high *= 2
            if high > LARGEST_ARGUMENT:
                return -np.inf  # not within reach, whatever the outcome
        t = float(brentq(lambda t: self._first(t) - score, 0.0, high, xtol=1e-12, rtol=1e-10))
        w = np.sqrt(max(2 * (t * score - self._zeroth(t)), 0.0))
        v = t * np.sqrt(self._second(t))
        if w < 1e-6 or v <= 0:
            return float(norm.logsf(score / np.sqrt(self._second(0.0))))
        return float(norm.logsf(w + np.log(v / w) / w))

    def _zeroth(self, t: float) -> float:
        each = np.logaddexp(np.log1p(-self.probability_N), np.log(self.probability_N) + self.value_N * t)
        return float(each.sum() - t * (self.value_N @ self.probability_N) + self.rest * t**2 / 2)

    def _first(self, t: float) -> float:
        return float(self.value_N @ (self._tilted(t) - self.probability_N) + self.rest * t)

    def _second(self, t: float) -> float:
        tilted_N = self._tilted(t)
        return float(self.value_N**2 @ (tilted_N * (1 - tilted_N)) + self.rest)

    def _tilted(self, t: float) -> Values:
        logit_N = np.log(self.probability_N) - np.log1p(-self.probability_N)
        return np.asarray(expit(logit_N + self.value_N * t))
