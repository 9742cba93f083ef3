import numpy as np
import pytest

from tests.train.rivals.cohorts import causal_effects, draw_design
from train.metrics import auroc
from train.rivals.penalised import PenalisedRival, ridge_paths
from train.rivals.spike_slab import SpikeSlabRival, fit_spike_slab

EFFECTS_GC = causal_effects(120, 12, 1.5)


def test_fit_spike_slab__finds_causal_genes_and_what_channels_share() -> None:
    posterior, _ = fit_spike_slab(draw_design(1500, EFFECTS_GC, seed=1))
    top = np.argsort(-posterior.inclusion_G)[:12]
    assert len(set(top) & set(range(12))) >= 10
    assert 0.04 < posterior.share < 0.25
    deviation_C = np.sqrt(np.diag(posterior.covariance_CC))
    assert posterior.covariance_CC[0, 1] / (deviation_C[0] * deviation_C[1]) > 0.5
    assert deviation_C[2] < 0.5 * deviation_C[1]


def test_spike_slab_rival__above_ridge_where_genes_are_few_and_channels_share() -> None:
    training, fresh = draw_design(1000, EFFECTS_GC, seed=1), draw_design(3000, EFFECTS_GC, seed=2)
    scores = [
        auroc(fresh.is_case_M, rival.fit(training, 0).logit(fresh))
        for rival in (SpikeSlabRival(), PenalisedRival(ridge_paths))
    ]
    assert scores[0] > scores[1] + 0.01


def test_fit_spike_slab__same_as_exact_posterior_without_spike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.rivals.spike_slab.SETTLED", 1e-4)
    monkeypatch.setattr("train.rivals.spike_slab.SWEEPS", 400)
    # With a slab alone, and what is learned held at its end, the posterior mean is generalised ridge.
    design = draw_design(300, causal_effects(5, 2, 1.0), seed=3)
    posterior, factor_F = fit_spike_slab(design, starts=(1.0,))
    x_MF = design.x_MF.toarray() * factor_F
    z_MP = np.column_stack([np.ones(300), design.covariates_MP])
    hat_MM = z_MP @ np.linalg.pinv(z_MP)
    x_MF, y_M = x_MF - hat_MM @ x_MF, design.is_case_M - hat_MM @ design.is_case_M
    prior_FF = np.kron(posterior.covariance_CC, np.eye(5))
    wanted_F = np.linalg.solve(x_MF.T @ x_MF / posterior.residual + np.linalg.inv(prior_FF), x_MF.T @ y_M)
    np.testing.assert_allclose(posterior.effect_GC.T.ravel(), wanted_F / posterior.residual, atol=1e-4)


def test_fit_spike_slab__no_effect_gives_small_effects() -> None:
    design = draw_design(800, np.zeros((60, 3)), seed=4)
    fresh = draw_design(2000, np.zeros((60, 3)), seed=5)
    fitted = SpikeSlabRival().fit(design, 0)
    assert np.std(fresh.x_MF @ fitted.coefficient_F) < 0.3
    assert fitted.tuned
    assert fitted.tuned.startswith("share of genes")


def test_spike_slab_rival__covariates_are_regressed_out_of_features_too() -> None:
    design = draw_design(2000, np.zeros((30, 3)), seed=6, covariate=2.0)
    # A feature that is the covariate and nothing else: it must explain nothing beside it.
    x_MF = design.x_MF.tolil()
    x_MF[:, 0] = design.covariates_MP[:, [0]]
    object.__setattr__(design, "x_MF", x_MF.tocsr())
    fitted = SpikeSlabRival().fit(design, 0)
    assert abs(fitted.coefficient_F[0]) < 0.05
    assert fitted.unpenalised_P[1] == pytest.approx(2.0, abs=0.3)
