"""Posterior and learned prior against exact answers on problems small enough to have them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

from tests.train.effects.drawn import columns_of, counts
from train.effects.ascent import Ascent, Outcome, prepare_outcome
from train.effects.columns import weighted_sums
from train.effects.learning import Pulls, learn_prior
from train.effects.posterior import fit_effects
from train.effects.prior import Prior, Start


def test_fit_effects__one_gene_is_exact():
    # With one gene the variational posterior is the true one: compare with marginal likelihoods.
    rng = np.random.default_rng(2)
    x_MC = counts(rng, 40, 2, 1)[:, :, 0]
    y_M = (x_MC @ [0.2, 0.1] + rng.normal(0, 0.5, 40) > 0.2).astype(float)
    prior = Prior(
        np.array([0.3]), np.array([0.1, 0.05]), np.array([[0.04, 0.01], [0.01, 0.02]]), 0.2, np.empty(0)
    )
    outcome = prepare_outcome(columns_of(x_MC[:, :, None]), y_M, np.empty((40, 0)), np.zeros(40, np.int64))
    found = fit_effects(outcome, prior)
    # A flat intercept is integrated out by an orthonormal basis of what is left.
    left = np.linalg.qr(np.column_stack([np.ones(40), np.eye(40)[:, :39]]))[0][:, 1:]
    y, x = left.T @ y_M, left.T @ x_MC
    without = multivariate_normal(np.zeros(39), 0.2 * np.eye(39)).logpdf(y)
    spread = x @ prior.covariance_CC @ x.T + 0.2 * np.eye(39)
    with_effect = multivariate_normal(x @ prior.mean_C, spread).logpdf(y)
    inclusion = 1 / (1 + 0.7 / 0.3 * np.exp(without - with_effect))
    precision = np.linalg.inv(prior.covariance_CC)
    mean = np.linalg.solve(x.T @ x / 0.2 + precision, x.T @ y / 0.2 + precision @ prior.mean_C)
    assert found.inclusion_G == pytest.approx([inclusion])
    assert found.mean_GC[0] == pytest.approx(inclusion * mean)


def test_fit_effects__covariates_are_projected_out():
    rng = np.random.default_rng(3)
    x_MCG, z_MP = counts(rng, 60, 1, 5), rng.normal(size=(60, 2))
    y_M = (z_MP[:, 0] + x_MCG[:, 0, 0] + rng.normal(size=60) > 0).astype(float)
    prior = Prior(np.full(5, 1.0), np.zeros(1), np.array([[0.05]]), 0.2, np.empty(0))
    outcome = prepare_outcome(columns_of(x_MCG), y_M, z_MP, np.zeros(60, np.int64))
    found = fit_effects(outcome, prior, sweeps=400).mean_GC[:, 0]
    left = np.linalg.qr(np.column_stack([np.ones(60), z_MP, np.eye(60)[:, :57]]))[0][:, 3:]
    x, y = left.T @ x_MCG[:, 0], left.T @ y_M
    ridge = np.linalg.solve(x.T @ x / 0.2 + np.eye(5) / 0.05, x.T @ y / 0.2)
    assert found == pytest.approx(ridge, abs=2e-3)


def test_fit_effects__people_left_out_are_not_seen():
    rng = np.random.default_rng(4)
    x_MCG, y_M = counts(rng, 80, 2, 6), rng.integers(0, 2, 80).astype(float)
    group_M = np.arange(80) % 4
    outcome = prepare_outcome(columns_of(x_MCG), y_M, np.empty((80, 0)), group_M)
    other = np.where(group_M == 2, 1 - y_M, y_M)
    changed = prepare_outcome(columns_of(x_MCG), other, np.empty((80, 0)), group_M)
    prior = fit_effects(outcome, Start(0.2)).prior
    found = fit_effects(outcome, prior, left_out=(2,))
    assert found.mean_GC == pytest.approx(fit_effects(changed, prior, left_out=(2,)).mean_GC)
    inside = group_M != 2
    alone = prepare_outcome(columns_of(x_MCG[inside]), y_M[inside], np.empty((60, 0)), np.zeros(60, np.int64))
    assert found.mean_GC == pytest.approx(fit_effects(alone, prior).mean_GC)


def test_fit_effects__finds_causal_genes_and_the_ratio_of_channels():
    rng = np.random.default_rng(5)
    x_MCG = counts(rng, 3000, 2, 100)
    effect_G = np.zeros(100)
    effect_G[[3, 50, 77]] = [1.0, 0.8, 1.2]
    liability = np.einsum("mcg,g,c->m", x_MCG, effect_G, [1.0, 0.5]) + rng.normal(0, 1, 3000)
    y_M = (liability > np.median(liability)).astype(float)
    found = fit_effects(
        prepare_outcome(columns_of(x_MCG), y_M, np.empty((3000, 0)), np.zeros(3000, np.int64)), Start(0.1)
    )
    assert set(np.argsort(-found.inclusion_G)[:3]) == {3, 50, 77}
    assert found.inclusion_G.sum() == pytest.approx(3, abs=0.5)
    assert found.mean_GC[[3, 50, 77], 1] / found.mean_GC[[3, 50, 77], 0] == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("start", [Start(0.1), Start(0.1, scales=(1.0, 0.3, 0.1)), Start(1.0)], ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_fit_effects__a_batch_with_fewer_calls_in_all_genes(start: Start, seed: int):
    # Batch B holds most cases and lacks a fifth of all calls: every gene is pulled the same way, and each
    # learns from what all others leave. What such a fit says of other people is worth what the batch is.
    rng = np.random.default_rng(seed)
    case_M = rng.integers(0, 2, 2000)
    in_b_M = rng.random(2000) < np.where(case_M == 1, 0.8, 0.25)
    x_MCG = rng.poisson(np.where(in_b_M, 0.8, 1.0)[:, None, None] * [[[0.1], [0.3]]], (2000, 2, 600))
    columns, group_M = columns_of(x_MCG.astype(float)), np.arange(2000) % 2
    outcome = prepare_outcome(columns, case_M.astype(float), np.empty((2000, 0)), group_M)
    found = fit_effects(outcome, start, left_out=(1,), sweeps=25)
    others_M = group_M == 1
    score_M = weighted_sums(columns, found.mean_GC)[others_M]
    assert found.prior.noise < 0.25
    assert roc_auc_score(case_M[others_M], score_M) > 0.72
    assert 0.15 < np.corrcoef(case_M[others_M], score_M)[0, 1] * 0.5 / score_M.std() < 1.5


def test_shift__goes_to_where_the_bound_is_highest():
    rng = np.random.default_rng(7)
    x_MCG, y_M = counts(rng, 150, 2, 12), rng.integers(0, 2, 150).astype(float)
    y_M = np.maximum(y_M, (x_MCG.sum((1, 2)) > 8).astype(float))
    outcome = prepare_outcome(columns_of(x_MCG), y_M, rng.normal(size=(150, 1)), np.zeros(150, np.int64))
    state = Ascent.begin(outcome, (), 2)
    prior = state.first_prior(Start(0.4, scales=(1.0, 0.3)))
    state.sweep(prior, state.vary_G)
    begun = state.copy()
    there = state.shift(prior)
    bound, moved_C = state.bound(there), there.mean_C - prior.mean_C
    assert bound > begun.bound(prior) + 0.01
    again = state.shift(there)
    assert again.mean_C == pytest.approx(there.mean_C, abs=1e-6)  # nowhere else to go
    # The same move by hand, a little too short and too far, and each time the bound is lower.
    for share in (0.9, 1.1):
        other = begun.copy()
        other.slab_GKC += share * prior.scale_K[:, None] * moved_C
        other.mean_GC = np.einsum("gk,gkc->gc", other.share_GK, other.slab_GKC)
        other.residual_M = begun.residual_M - np.einsum("mcg,gc->m", x_MCG, other.mean_GC - begun.mean_GC)
        taken_PC = np.einsum("mp,mcg,gc->p", other.basis_MP, x_MCG, other.mean_GC - begun.mean_GC)
        other.fixed_P = begun.fixed_P + taken_PC
        assert other.bound(replace(prior, mean_C=prior.mean_C + share * moved_C)) < bound


def test_fit_effects__a_gene_that_never_varies_has_none():
    rng = np.random.default_rng(6)
    x_MCG = counts(rng, 50, 1, 3)
    x_MCG[:, :, 1] = 0
    y_M = rng.integers(0, 2, 50).astype(float)
    found = fit_effects(
        prepare_outcome(columns_of(x_MCG), y_M, np.empty((50, 0)), np.zeros(50, np.int64)), Start(0.5)
    )
    assert found.inclusion_G[1] == 0
    assert (found.mean_GC[1] == 0).all()


def test_fit_effects__a_channel_in_which_nothing_varies_changes_little():
    rng = np.random.default_rng(15)
    x_MCG = counts(rng, 600, 2, 30)
    y_M = (x_MCG[:, 0, 3] + rng.normal(size=600) > 0.5).astype(float)
    x_MCG[:, 1] = 0
    with_it, without = (
        fit_effects(
            prepare_outcome(columns_of(x), y_M, np.empty((600, 0)), np.zeros(600, np.int64)), Start(0.1)
        )
        for x in (x_MCG, x_MCG[:, :1])
    )
    assert with_it.mean_GC[:, 0] == pytest.approx(without.mean_GC[:, 0], abs=0.01)
    assert np.abs(with_it.mean_GC[:, 1]).max() < 1


def test_fit_effects__no_gene_varies():
    y_M = np.arange(40) % 2.0
    outcome = prepare_outcome(columns_of(np.ones((40, 2, 3))), y_M, np.empty((40, 0)), np.zeros(40, np.int64))
    found = fit_effects(outcome, Start(0.1))
    assert (found.mean_GC == 0).all()
    assert (found.inclusion_G == 0).all()


def test_fit_effects__the_start_does_not_matter_at_the_end():
    cohort, truth = weak_effects()
    fits = [fit_effects(cohort, Start(inclusion=share)) for share in (0.03, 0.1, 0.3)]
    expected = [fitted.inclusion_G.sum() for fitted in fits]
    assert max(expected) < 1.1 * min(expected)
    # Within the error of 60 planted genes, though one step of learning a pass would stop far below.
    assert 40 < np.mean(expected) < 85
    assert np.corrcoef(fits[1].mean_GC.ravel(), truth.ravel())[0, 1] > 0.5


def weak_effects() -> tuple[Outcome, np.ndarray]:
    """6,000 people, 400 genes of two channels, 60 of which explain 15 % of liability."""
    rng = np.random.default_rng(21)
    value_MF = rng.poisson(0.2, (6000, 800)).astype(np.float32)
    effect_GC = np.zeros((400, 2))
    effect_GC[:60] = rng.normal(0, 1, (60, 1)) * [1.0, 0.5]
    score_M = value_MF @ effect_GC.T.ravel()
    score_M = (score_M - score_M.mean()) / score_M.std()
    liability_M = np.sqrt(0.15) * score_M + np.sqrt(0.85) * rng.normal(size=6000)
    is_case_M = (liability_M > 0).astype(np.float64)
    columns = columns_of(value_MF.reshape(6000, 2, 400))
    return prepare_outcome(columns, is_case_M, np.empty((6000, 0)), np.zeros(6000, np.int64)), effect_GC


def test_learn_prior__comes_to_where_plain_steps_lead():
    rng = np.random.default_rng(3)
    root_VCC = np.eye(2) + 0.3 * rng.normal(size=(40, 2, 2))
    pull_VC = rng.normal(0, 3, (40, 2)) * (np.arange(40) < 12)[:, None] + rng.normal(0, 0.8, (40, 2))
    pulls = Pulls(np.arange(40), pull_VC, root_VCC @ root_VCC.transpose(0, 2, 1))
    start = Prior(
        np.full(40, 0.1), np.array([0.1, -0.2]), np.array([[1.0, 0.4], [0.4, 0.8]]), 0.7, np.empty(0)
    )
    learned, plain = learn_prior(start, pulls, None, sparse=True), start
    for _ in range(400):
        plain = one_step(plain, pulls)
    assert learned.inclusion_G == pytest.approx(plain.inclusion_G, rel=0.02)
    assert learned.mean_C == pytest.approx(plain.mean_C, abs=0.02)
    assert learned.covariance_CC == pytest.approx(plain.covariance_CC, rel=0.05, abs=0.02)


def one_step(prior: Prior, pulls: Pulls) -> Prior:
    """Expectation and maximisation with multivariate normal densities of the pulls, gene by gene."""
    inclusions, means, seconds = [], [], []
    for pull_C, product_CC in zip(pulls.pull_VC, pulls.product_VCC, strict=True):
        noise_CC = product_CC * prior.noise
        slab_CC = product_CC @ prior.covariance_CC @ product_CC + noise_CC
        inside = multivariate_normal(product_CC @ prior.mean_C, slab_CC).pdf(pull_C)
        outside = multivariate_normal(np.zeros(2), noise_CC).pdf(pull_C)
        share = prior.inclusion_G[0]
        inclusions.append(share * inside / (share * inside + (1 - share) * outside))
        precision_CC = np.linalg.inv(prior.covariance_CC)
        spread_CC = np.linalg.inv(product_CC / prior.noise + precision_CC)
        means.append(spread_CC @ (pull_C / prior.noise + precision_CC @ prior.mean_C))
        seconds.append(spread_CC + np.outer(means[-1], means[-1]))
    weight_V = np.array(inclusions)
    mean_C = weight_V @ np.array(means) / weight_V.sum()
    covariance_CC = np.einsum("v,vcd->cd", weight_V, seconds) / weight_V.sum() - np.outer(mean_C, mean_C)
    return Prior(np.full(len(weight_V), weight_V.mean()), mean_C, covariance_CC, prior.noise, prior.weight_D)
