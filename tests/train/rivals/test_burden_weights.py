from dataclasses import replace

import numpy as np
import pytest

from tests.train.rivals.cohorts import causal_effects, draw_design
from train.metrics import auroc
from train.rivals.burden_weights import (
    BurdenWeightsRival,
    binomial_log_likelihood,
    constraint_bins,
    count_cases,
    posterior_means,
)


def test_posterior_means__one_round_of_em_by_hand() -> None:
    # Two genes with an equal share of cases expected, 3 of 3 and 0 of 1 alleles in cases; odds ratio 1 or 3.
    grid_K = np.log([1.0, 3.0])
    log_likelihood_FK = binomial_log_likelihood(
        np.array([3.0, 0.0]), np.array([3.0, 1.0]), np.array([0.5, 0.5]), grid_K
    )
    # P(case) is 1/2 or 3/4: likelihoods 1/8 and 27/64, 1/2 and 1/4.
    np.testing.assert_allclose(np.exp(log_likelihood_FK), [[1 / 8, 27 / 64], [1 / 2, 1 / 4]])
    # Flat start: posteriors of 3 are 27/35 and 1/3, their mean 58/105 is the share after one round.
    after = 58 / 105
    odds = np.array([27 / 8, 1 / 2]) * after / (1 - after)
    found = posterior_means(log_likelihood_FK, grid_K, rounds=1)
    np.testing.assert_allclose(found, np.log(3) * odds / (1 + odds))


def test_posterior_means__em_ends_at_the_greatest_likelihood() -> None:
    rng = np.random.default_rng(0)
    grid_K = np.log([1.0, 4.0])
    share_F, total_F = np.full(300, 0.4), rng.integers(1, 30, 300).astype(float)
    cases_F = rng.binomial(total_F.astype(int), np.where(rng.random(300) < 0.3, 8 / 11, 0.4)).astype(float)
    log_likelihood_FK = binomial_log_likelihood(cases_F, total_F, share_F, grid_K)
    mean_F = posterior_means(log_likelihood_FK, grid_K) / np.log(4)
    # At the optimum the mean posterior is the share itself: find the share on a grid and compare.
    shares = np.linspace(0.001, 0.999, 999)
    likelihood_FK = np.exp(log_likelihood_FK)
    sums = [np.log(likelihood_FK @ np.array([1 - share, share])).sum() for share in shares]
    assert mean_F.mean() == pytest.approx(shares[int(np.argmax(sums))], abs=0.002)


def test_count_cases__expected_share_follows_the_covariates() -> None:
    design = draw_design(100, np.zeros((2, 3)))
    expected_M = np.linspace(0.1, 0.9, 100)
    cases_F, total_F, share_F = count_cases(design, expected_M)
    x_M = design.x_MF[:, 3].toarray().ravel()
    assert cases_F[3] == x_M[design.is_case_M == 1].sum()
    assert total_F[3] == x_M.sum()
    assert share_F[3] == pytest.approx((x_M * expected_M).sum() / x_M.sum())


def test_burden_weights_rival__finds_planted_effects_and_leaves_the_rest_near_0() -> None:
    effects_GC = causal_effects(40, 4, 2.0)
    training, fresh = draw_design(600, effects_GC, seed=1), draw_design(1000, effects_GC, seed=2)
    fitted = BurdenWeightsRival().fit(training, 0)
    assert auroc(fresh.is_case_M, fitted.logit(fresh)) > 0.65
    weight_CG = fitted.coefficient_F.reshape(3, 40)
    assert np.median(weight_CG[1, :4]) > 0.5
    assert np.abs(weight_CG[2]).max() < 0.1


def test_constraint_bins__fifths_and_a_bin_for_genes_without_a_value() -> None:
    design = draw_design(50, np.zeros((11, 3)))
    genes = design.genes.assign(LOEUF=[*np.arange(10) / 10, np.nan])
    bin_G, what = constraint_bins(replace(design, genes=genes))
    assert bin_G.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert what == "bins of loeuf"
    assert constraint_bins(design)[0].tolist() == [0] * 11


def test_burden_weights_rival__constraint_helps_where_only_constrained_genes_matter() -> None:
    effects_GC = causal_effects(200, 40, 0.8, (1.0, 0.0, 0.0))
    training, fresh = draw_design(1500, effects_GC, seed=1), draw_design(3000, effects_GC, seed=2)
    blind = BurdenWeightsRival().fit(training, 0)
    told = replace(training, genes=training.genes.assign(loeuf=np.arange(200) / 200))
    seeing = BurdenWeightsRival().fit(told, 0)
    assert auroc(fresh.is_case_M, seeing.logit(fresh)) > auroc(fresh.is_case_M, blind.logit(fresh)) + 0.01
