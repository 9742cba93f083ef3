import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import binom, cauchy, hypergeom, norm

from contract.association.score import (
    combine_channels,
    exact_p,
    fit_null,
    saddlepoint_log_p,
    score_tests,
)


def binomial_mid_p(n: int, cases: int, share: float) -> float:
    """Two-sided by distance from the mean, half of what was seen."""
    k = np.arange(n + 1)
    distance, seen = np.abs(k - n * share), abs(cases - n * share)
    chance = binom.pmf(k, n, share)
    same = np.isclose(distance, seen)
    return float(chance[(distance > seen) & ~same].sum() + chance[same].sum() / 2)


def cohort(n_cases: int, n_controls: int, cases: int, carriers: int):
    """People without covariates, one feature carried by some cases and controls."""
    is_case_M = np.r_[np.ones(n_cases), np.zeros(n_controls)].astype(np.int8)
    x_M = np.zeros(n_cases + n_controls)
    x_M[:cases] = 1
    x_M[n_cases : n_cases + carriers - cases] = 1
    return csr_matrix(x_M[:, None]), is_case_M


@pytest.mark.parametrize("cases", [0, 2, 5, 8])
def test_score_tests__few_carriers_are_binomial(cases: int) -> None:
    x_MF, is_case_M = cohort(300, 700, cases, 8)
    found = score_tests(x_MF, fit_null(is_case_M, np.empty((1000, 0))))
    assert 10.0 ** -found.log10_p_F[0] == pytest.approx(binomial_mid_p(8, cases, 0.3), rel=1e-6)


@pytest.mark.parametrize("cases", [17, 20, 24])
def test_score_tests__saddlepoint_near_fishers_exact_test(cases: int) -> None:
    x_MF, is_case_M = cohort(300, 4700, cases, 60)
    found = score_tests(x_MF, fit_null(is_case_M, np.empty((5000, 0))))
    # Fisher's test as mid-p, one tail, the other being empty at these counts of 3.6 expected cases.
    table = hypergeom(5000, 300, 60)
    fisher = table.sf(cases) + table.pmf(cases) / 2
    z = (cases - 3.6) / np.sqrt(60 * 0.06 * 0.94)
    normal = -np.log10(2 * norm.sf(z))
    assert found.log10_p_F[0] == pytest.approx(-np.log10(fisher), rel=0.03)
    assert normal > 1.3 * found.log10_p_F[0]  # what is avoided


def test_exact_p__alleles_and_probabilities_of_each_carrier() -> None:
    value_N, probability_N, status_N = [1, 2, 1], [0.2, 0.5, 0.4], [1, 1, 0]
    score = sum(v * (y - p) for v, y, p in zip(value_N, status_N, probability_N, strict=True))
    p = 0.0
    for outcome in itertools.product((0, 1), repeat=3):
        chance = np.prod([q if y else 1 - q for y, q in zip(outcome, probability_N, strict=True)])
        other = sum(v * (y - q) for v, y, q in zip(value_N, outcome, probability_N, strict=True))
        p += chance * (
            1.0 if abs(other) > abs(score) + 1e-9 else 0.5 if abs(abs(other) - abs(score)) < 1e-9 else 0
        )
    assert exact_p(np.array(value_N, float), np.array(probability_N), score) == pytest.approx(p, rel=1e-9)


def test_saddlepoint_log_p__normal_where_all_is_normal() -> None:
    found = saddlepoint_log_p(np.array([1e-6]), np.array([0.5]), 4.0, 5.0)
    assert found == pytest.approx(np.log(2) + norm.logsf(2.5), abs=1e-4)


def test_saddlepoint_log_p__holds_its_level_with_few_cases() -> None:
    rng = np.random.default_rng(2)
    probability_M = np.full(2000, 0.02)
    carriers = np.arange(40)
    chance = rng.random((40_000, 40)) < probability_M[carriers]
    score_K = chance.sum(axis=1) - 40 * 0.02
    for score in (3.2, 4.2):
        p = np.exp(saddlepoint_log_p(np.ones(40), probability_M[carriers], 0.0, score))
        mid_p = np.mean(np.abs(score_K) > score + 1e-6) + np.mean(np.abs(score_K - score) < 1e-6) / 2
        assert p == pytest.approx(mid_p, rel=0.35)


def test_score_tests__covariate_that_explains_all_leaves_nothing() -> None:
    rng = np.random.default_rng(1)
    batch_M = rng.integers(0, 2, 4000)
    is_case_M = (rng.random(4000) < np.where(batch_M == 1, 0.8, 0.2)).astype(np.int8)
    x_MF = csr_matrix((rng.random((4000, 40)) < np.where(batch_M == 1, 0.3, 0.1)[:, None]).astype(float))
    plain = score_tests(x_MF, fit_null(is_case_M, np.empty((4000, 0))))
    covariates_MP = np.column_stack([batch_M, np.full(4000, 7.0)]).astype(
        np.float32
    )  # the second is constant
    adjusted = score_tests(x_MF, fit_null(is_case_M, covariates_MP))
    assert plain.log10_p_F.min() > 10
    assert np.median(adjusted.log10_p_F) == pytest.approx(-np.log10(0.5), abs=0.15)


@pytest.mark.filterwarnings("error")
def test_fit_null__covariates_that_follow_from_others_change_nothing() -> None:
    rng = np.random.default_rng(4)
    covariates_MP = np.column_stack([rng.normal(size=1000), rng.random(1000) < 0.05]).astype(float)
    is_case_M = (rng.random(1000) < 0.4).astype(np.int8)
    redundant_MP = np.column_stack([covariates_MP, 1 - covariates_MP[:, 1], covariates_MP.sum(axis=1)])
    plain, more = (fit_null(is_case_M, given) for given in (covariates_MP, redundant_MP))
    assert more.design_MQ.shape == plain.design_MQ.shape
    assert more.probability_M == pytest.approx(plain.probability_M, rel=1e-5)


def test_score_tests__nobody_or_everybody_carries() -> None:
    x_MF = csr_matrix(np.column_stack([np.zeros(50), np.ones(50)]))
    found = score_tests(x_MF, fit_null(np.tile([0, 1], 25).astype(np.int8), np.empty((50, 0))))
    assert np.isnan(found.log10_p_F).all()


def test_combine_channels__cauchy_by_hand() -> None:
    p = np.array([0.01, 0.2, 0.6])
    wanted = cauchy.sf(np.mean(np.tan((0.5 - p) * np.pi)))
    found = combine_channels(-np.log10(np.column_stack([p, [1e-40, np.nan, np.nan], [1e-8, 1.0, 1.0]])))
    assert found[0] == pytest.approx(-np.log10(wanted))
    assert found[1] == pytest.approx(40, abs=0.01)
    assert found[2] > 7  # a p-value of 1 does not undo the rest
    assert np.isnan(combine_channels(np.full((2, 1), np.nan))[0])
