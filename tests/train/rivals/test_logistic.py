import numpy as np
import pytest
from scipy.sparse import csc_matrix
from sklearn.linear_model import LogisticRegression

from train.rivals.logistic import Penalty, Problem, fit_path, fit_unpenalised


def draw(n: int = 400, n_features: int = 30, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    x_MF = rng.poisson(rng.uniform(0.1, 1, n_features), (n, n_features)).astype(np.float32)
    covariate_M = rng.normal(size=n)
    logit_M = 0.8 * x_MF[:, 0] - 0.6 * x_MF[:, 1] + 1.5 * covariate_M - 0.5
    is_case_M = (rng.random(n) < 1 / (1 + np.exp(-logit_M))).astype(np.int8)
    z_MP = np.column_stack([np.ones(n), covariate_M])
    return Problem(csc_matrix(x_MF), z_MP, is_case_M, rng.uniform(0.5, 2, n_features), np.ones(n, bool))


def reference(problem: Problem, penalty: str, strength: float) -> np.ndarray:
    """Coefficients by scikit-learn; columns without penalty are blown up until theirs is nothing."""
    far = 1e4
    x = np.hstack([problem.x_MF.toarray() * problem.factor_F, problem.z_MP * far])
    l1_ratio = 1.0 if penalty == "lasso" else 0.0
    solver = "liblinear" if penalty == "lasso" else "newton-cholesky"
    model = LogisticRegression(
        C=1 / strength, l1_ratio=l1_ratio, solver=solver, fit_intercept=False, tol=1e-12, max_iter=100_000
    ).fit(x, problem.is_case_M)
    n_features = problem.x_MF.shape[1]
    return np.concatenate([model.coef_[0, :n_features] * problem.factor_F, model.coef_[0, n_features:] * far])


@pytest.mark.parametrize(("penalty", "strength"), [("ridge", 30.0), ("ridge", 1.0), ("lasso", 10.0)])
def test_fit_path__same_optimum_as_scikit_learn(penalty: str, strength: float) -> None:
    problem = draw()
    chosen = Penalty(strength, 0.0) if penalty == "ridge" else Penalty(0.0, strength)
    (fit,) = fit_path(problem, [chosen], tolerance=1e-14)
    wanted = reference(problem, penalty, strength)
    found = np.concatenate([fit.coefficient_F, fit.unpenalised_P])
    np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_fit_path__elastic_net_meets_its_optimality_conditions() -> None:
    problem = draw()
    (fit,) = fit_path(problem, [Penalty(8.0, 4.0)], tolerance=1e-14)
    residual_M = problem.is_case_M - 1 / (1 + np.exp(-fit.logit_M))
    scaled_F = fit.coefficient_F / problem.factor_F
    gradient_F = (problem.x_MF.T @ residual_M) * problem.factor_F - 8.0 * scaled_F
    chosen = scaled_F != 0
    assert 0 < chosen.sum() < len(chosen)
    np.testing.assert_allclose(gradient_F[chosen], 4.0 * np.sign(scaled_F[chosen]), atol=1e-3)
    assert np.abs(gradient_F[~chosen]).max() <= 4.0 + 1e-3
    np.testing.assert_allclose(problem.z_MP.T @ residual_M, 0, atol=1e-3)


def test_fit_path__covariate_keeps_its_coefficient_under_heavy_ridge() -> None:
    problem = draw(n=4000)
    (fit,) = fit_path(problem, [Penalty(1e9, 0.0)])
    alone = fit_unpenalised(problem.z_MP, problem.is_case_M)
    assert np.abs(fit.coefficient_F).max() < 1e-4
    np.testing.assert_allclose(fit.unpenalised_P, alone.unpenalised_P, atol=1e-3)
    assert fit.unpenalised_P[1] > 1.0


def test_fit_path__warm_starts_end_where_a_cold_start_does() -> None:
    problem = draw()
    *_, warm = fit_path(problem, [Penalty(0.0, size) for size in (40, 20, 10, 5)], tolerance=1e-13)
    (cold,) = fit_path(problem, [Penalty(0.0, 5)], tolerance=1e-13)
    np.testing.assert_allclose(warm.coefficient_F, cold.coefficient_F, atol=1e-4)


def test_fit_path__people_not_used_are_scored_and_change_nothing() -> None:
    problem = draw()
    used_M = np.arange(400) < 300
    (masked,) = fit_path(Problem(*list(vars(problem).values())[:4], used_M), [Penalty(5.0, 0.0)], 1e-13)
    cut = Problem(
        problem.x_MF[:300], problem.z_MP[:300], problem.is_case_M[:300], problem.factor_F, np.ones(300, bool)
    )
    (alone,) = fit_path(cut, [Penalty(5.0, 0.0)], 1e-13)
    np.testing.assert_allclose(masked.coefficient_F, alone.coefficient_F, atol=1e-5)
    np.testing.assert_allclose(masked.logit_M, alone.logit(problem.x_MF, problem.z_MP), atol=1e-4)


def test_fit_path__features_of_factor_0_are_left_out() -> None:
    problem = draw()
    problem.factor_F[0] = 0.0
    (fit,) = fit_path(problem, [Penalty(0.1, 0.0)])
    assert fit.coefficient_F[0] == 0
    assert np.count_nonzero(fit.coefficient_F) == 29


def test_fit_unpenalised__collinear_and_empty_columns_and_perfect_separation_stay_finite() -> None:
    is_case_M = np.repeat([0, 1], 50).astype(np.int8)
    z_MP = np.column_stack([np.ones(100), is_case_M, is_case_M, np.zeros(100)])
    fit = fit_unpenalised(z_MP, is_case_M)
    assert np.isfinite(fit.logit_M).all()
    assert ((fit.logit_M > 0) == (is_case_M == 1)).all()
    assert fit.unpenalised_P[3] == 0
