import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import chi2

from contract.association.firth import firth_fits
from contract.association.score import fit_null, score_tests


def whole_model(
    design_MQ: np.ndarray, is_case_M: np.ndarray, n_free: int
) -> tuple[np.ndarray, float, np.ndarray]:
    """Firth's fit of all coefficients together, those behind `n_free` held at 0: plain Newton steps.

    Returns the coefficients, the penalised log likelihood and the covariance.
    """
    coefficient_Q = np.zeros(design_MQ.shape[1])
    for _ in range(200):
        p_M = 1 / (1 + np.exp(-design_MQ @ coefficient_Q))
        weight_M = p_M * (1 - p_M)
        covariance = np.linalg.inv(design_MQ.T @ (design_MQ * weight_M[:, None]))
        leverage_M = weight_M * np.einsum("mq,qr,mr->m", design_MQ, covariance, design_MQ)
        score_Q = design_MQ.T @ (is_case_M - p_M + leverage_M * (0.5 - p_M))
        free = slice(0, n_free)
        information = np.linalg.inv(covariance)[free, free]
        step = np.clip(np.linalg.solve(information, score_Q[free]), -1, 1)
        coefficient_Q[free] += step
        if np.abs(step).max() < 1e-10:
            break
    logit_M = design_MQ @ coefficient_Q
    height = float((is_case_M * logit_M - np.logaddexp(0, logit_M)).sum())
    return coefficient_Q, height - np.linalg.slogdet(covariance)[1] / 2, covariance


def cohort(n: int, share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates that matter; 5 to half of all people carry a gene, and every second one has an effect."""
    rng = np.random.default_rng(seed)
    covariates_MP = rng.normal(size=(n, 3))
    carriers = np.repeat([5, 10, 30, n // 20, n // 2], 2)
    x_MF = np.zeros((n, len(carriers)))
    for place, count in enumerate(carriers):
        x_MF[rng.choice(n, count, replace=False), place] = rng.choice([1, 2], count, p=[0.9, 0.1])
    logit_M = np.log(share / (1 - share)) + covariates_MP @ [0.5, -0.3, 0.0] + x_MF[:, 1::2] @ np.full(5, 0.8)
    return x_MF, covariates_MP, (rng.random(n) < 1 / (1 + np.exp(-logit_M))).astype(np.int8)


@pytest.mark.parametrize("share", [0.3, 0.05])
def test_firth_fits__near_the_fit_of_all_coefficients_together(share: float):
    x_MF, covariates_MP, is_case_M = cohort(1_500, share)
    found = firth_fits(csr_matrix(x_MF), fit_null(is_case_M, covariates_MP))
    for place, x_M in enumerate(x_MF.T):
        design_MQ = np.column_stack([np.ones(len(x_M)), covariates_MP, x_M])
        coefficient_Q, height, covariance = whole_model(design_MQ, is_case_M, 5)
        _, lower, _ = whole_model(design_MQ, is_case_M, 4)
        wanted = -chi2.logsf(2 * (height - lower), 1) / np.log(10)
        # An offset cannot follow a large effect of what half of all people carry, the last feature.
        near = 0.02 if place < 9 else 0.1
        assert found.effect_F[place] == pytest.approx(coefficient_Q[4], rel=near, abs=0.006)
        assert found.standard_error_F[place] == pytest.approx(np.sqrt(covariance[4, 4]), rel=near)
        assert found.log10_p_F[place] == pytest.approx(wanted, rel=near, abs=0.005)


@pytest.mark.parametrize(("cases", "carriers"), [(6, 6), (0, 8), (3, 20)])
def test_firth_fits__two_by_two_table_adds_a_half_to_each_cell(cases: int, carriers: int):
    # Without covariates Firth's estimate is the log odds ratio with 0.5 in each cell (Haldane 1956).
    is_case_M = np.r_[np.ones(300), np.zeros(700)].astype(np.int8)
    x_M = np.zeros(1000)
    x_M[:cases] = 1
    x_M[300 : 300 + carriers - cases] = 1
    found = firth_fits(csr_matrix(x_M[:, None]), fit_null(is_case_M, np.empty((1000, 0))))
    controls = carriers - cases
    wanted = np.log((cases + 0.5) * (700 - controls + 0.5) / ((controls + 0.5) * (300 - cases + 0.5)))
    assert found.effect_F[0] == pytest.approx(wanted, rel=0.01)


def test_firth_fits__many_carriers_are_as_by_maximum_likelihood():
    statsmodels = pytest.importorskip("statsmodels.api")
    x_MF, covariates_MP, is_case_M = cohort(6_000, 0.4)
    found = firth_fits(csr_matrix(x_MF), fit_null(is_case_M, covariates_MP))
    scored = score_tests(csr_matrix(x_MF), fit_null(is_case_M, covariates_MP))
    for place in (6, 8):
        design_MQ = statsmodels.add_constant(np.column_stack([covariates_MP, x_MF[:, place]]))
        fit = statsmodels.Logit(is_case_M, design_MQ).fit(disp=0)
        assert found.effect_F[place] == pytest.approx(fit.params[-1], rel=0.02, abs=0.002)
        assert found.standard_error_F[place] == pytest.approx(fit.bse[-1], rel=0.02)
        assert scored.standard_error_F[place] == pytest.approx(fit.bse[-1], rel=0.05)
        assert found.log10_p_F[place] == pytest.approx(-np.log10(fit.pvalues[-1]), rel=0.02, abs=0.01)


def test_firth_fits__unit_of_the_feature_moves_the_effect_alone():
    x_MF, covariates_MP, is_case_M = cohort(800, 0.3)
    null = fit_null(is_case_M, covariates_MP)
    one, hundred = (firth_fits(csr_matrix(x_MF * unit), null) for unit in (1, 100))
    assert hundred.effect_F * 100 == pytest.approx(one.effect_F, rel=1e-6)
    assert hundred.standard_error_F * 100 == pytest.approx(one.standard_error_F, rel=1e-6)
    assert hundred.log10_p_F == pytest.approx(one.log10_p_F, rel=1e-6)


def test_firth_fits__nobody_carries_or_the_covariates_tell_all():
    is_case_M = np.tile([0, 1], 50).astype(np.int8)
    batch_M = np.r_[np.ones(20), np.zeros(80)]
    x_MF = csr_matrix(np.column_stack([np.zeros(100), batch_M]))
    found = firth_fits(x_MF, fit_null(is_case_M, batch_M[:, None]))
    assert np.isnan(found.effect_F).all()
    assert np.isnan(found.log10_p_F).all()


def test_firth_fits__a_batch_of_cases_alone_leaves_the_others_estimate():
    rng = np.random.default_rng(5)
    is_case_M, batch_M = (rng.random(1000) < 0.3).astype(np.int8), np.zeros(1000)
    x_M = (rng.random(1000) < 0.05).astype(float)
    batch_M[:100], is_case_M[:100] = 1, 1
    null = fit_null(is_case_M, batch_M[:, None])
    found = firth_fits(csr_matrix(x_M[:, None]), null)
    others = firth_fits(csr_matrix(x_M[100:, None]), fit_null(is_case_M[100:], np.empty((900, 0))))
    assert found.effect_F[0] == pytest.approx(others.effect_F[0], abs=0.05)
    assert np.isfinite(score_tests(csr_matrix(x_M[:, None]), null).log10_p_F[0])
