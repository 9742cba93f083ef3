import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    recall_score,
    roc_auc_score,
)
from torchmetrics.functional.classification import binary_calibration_error

from train.config import EvaluationConfig
from train.metrics import (
    Metric,
    accuracy,
    auroc,
    average_precision,
    balanced_accuracy,
    brier,
    calibration_error_by_chance,
    calibration_intercept,
    calibration_slope,
    expected_calibration_error,
    f1,
    liability_r2,
    logit,
    scaled_brier,
    sensitivity,
    specificity,
    standard_metrics,
)

Y = np.array([0, 0, 1, 1], np.int8)
P = np.array([0.1, 0.6, 0.4, 0.9])


def test_auroc__by_hand():
    # Pairs (case, control): .4>.1, .4<.6, .9>.1, .9>.6 -> 3 of 4; a tie counts half.
    assert auroc(Y, P) == 0.75
    assert auroc(Y, np.full(4, 0.5)) == 0.5
    assert np.isnan(auroc(np.zeros(3, np.int8), P[:3]))


def test_average_precision__by_hand():
    # Cases found at ranks 1 (precision 1) and 3 (precision 2/3).
    assert average_precision(Y, P) == pytest.approx((1 + 2 / 3) / 2)


def test_accuracies__by_hand():
    y, p = np.array([0, 0, 0, 1], np.int8), np.array([0.1, 0.2, 0.7, 0.9])
    assert accuracy(y, p) == 0.75
    assert balanced_accuracy(y, p) == pytest.approx((1 + 2 / 3) / 2)
    assert accuracy(y, p, threshold=0.8) == 1.0


def test_calls__by_hand():
    # Called from .4: one of two controls, both cases: precision 2/3, sensitivity 1.
    assert sensitivity(Y, P, threshold=0.4) == 1.0
    assert specificity(Y, P, threshold=0.4) == 0.5
    assert f1(Y, P, threshold=0.4) == pytest.approx(0.8)
    assert f1(Y, P, threshold=0.95) == 0.0


def test_brier__by_hand():
    assert brier(Y, P) == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert scaled_brier(Y, P) == pytest.approx(1 - 0.185 / 0.25)
    assert scaled_brier(Y, np.full(4, 0.5)) == 0.0


def weighted_people(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sixty people with many tied scores, in five draws in which some people are absent."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], 30)).astype(np.int8)
    p = np.round(np.clip(0.5 + 0.1 * y + 0.2 * rng.normal(size=60), 0.01, 0.99), 1)
    return y, p, rng.integers(0, 3, (5, 60)).astype(float)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (auroc, roc_auc_score),
        (average_precision, average_precision_score),
        (brier, brier_score_loss),
        (balanced_accuracy, lambda y, p, **w: balanced_accuracy_score(y, p >= 0.5, **w)),
        (f1, lambda y, p, **w: f1_score(y, p >= 0.5, **w)),
        (sensitivity, lambda y, p, **w: recall_score(y, p >= 0.5, **w)),
        (specificity, lambda y, p, **w: recall_score(1 - y, p < 0.5, **w)),
    ],
)
def test_on_draws__same_as_scikit_learn_with_weights(metric: Metric, reference):
    y, p, weight = weighted_people(3)
    wanted = [reference(y, p, sample_weight=row) for row in weight]
    np.testing.assert_allclose(metric.on_draws(y, p, weight), wanted, rtol=1e-12)


def test_on_draws__same_as_people_repeated():
    y, p, weight = weighted_people(4)
    for name, metric in standard_metrics(EvaluationConfig(prevalence=0.02)).items():
        repeated = [metric(np.repeat(y, row.astype(int)), np.repeat(p, row.astype(int))) for row in weight]
        np.testing.assert_allclose(metric.on_draws(y, p, weight), repeated, rtol=1e-6, err_msg=name)


def test_on_draws__draw_of_one_class_is_nan():
    weight = np.array([[1.0, 1.0, 0.0, 0.0]])
    assert np.isnan(auroc.on_draws(Y, P, weight)).all()
    assert np.isnan(sensitivity.on_draws(Y, P, weight)).all()


def test_auroc__unchanged_by_a_monotone_map_and_turned_by_a_sign():
    y, p, weight = weighted_people(5)
    np.testing.assert_allclose(auroc.on_draws(y, logit(p), weight), auroc.on_draws(y, p, weight))
    np.testing.assert_allclose(auroc.on_draws(y, -p, weight), 1 - auroc.on_draws(y, p, weight))


def iterated_least_squares(y: np.ndarray, x: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Logistic regression the textbook's way: weighted least squares on a working response."""
    theta = np.zeros(x.shape[1])
    for _ in range(50):
        mean = 1 / (1 + np.exp(-(x @ theta + offset)))
        weight = mean * (1 - mean)
        working = x @ theta + (y - mean) / weight
        theta = np.linalg.lstsq(x * np.sqrt(weight)[:, None], working * np.sqrt(weight), rcond=None)[0]
    return theta


def test_calibration__same_as_iterated_least_squares():
    rng = np.random.default_rng(7)
    p = rng.uniform(0.05, 0.95, 300)
    y = (rng.random(300) < p**1.5).astype(np.int8)
    ones, x = np.ones((300, 1)), logit(p)
    slope = iterated_least_squares(y, np.column_stack([ones, x]), np.zeros(300))[1]
    assert calibration_slope(y, p) == pytest.approx(slope, rel=1e-6)
    assert calibration_intercept(y, p) == pytest.approx(iterated_least_squares(y, ones, x)[0], rel=1e-6)


def test_calibration_slope__none_without_variation_or_with_separation():
    assert np.isnan(calibration_slope(Y, np.full(4, 0.3)))
    assert np.isnan(calibration_slope(Y, np.array([0.1, 0.2, 0.8, 0.9])))


def test_calibration_intercept__by_hand():
    # Everybody at 1/2, three of four are cases: log odds 3 have to be added.
    y = np.array([0, 1, 1, 1], np.int8)
    assert calibration_intercept(y, np.full(4, 0.5)) == pytest.approx(np.log(3))


def test_expected_calibration_error__same_as_torchmetrics():
    rng = np.random.default_rng(8)
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(np.int8)
    wanted = binary_calibration_error(torch.from_numpy(p), torch.from_numpy(y).int(), n_bins=10)
    assert expected_calibration_error(y, p) == pytest.approx(float(wanted), rel=1e-6)


def test_calibration_error_by_chance__shrinks_with_people():
    few, many = (calibration_error_by_chance(np.full(n, 0.35), seed=1) for n in (50, 5000))
    # One bin: the mean distance of a binomial share from its mean, √(2pq / πn).
    assert few == pytest.approx(np.sqrt(2 * 0.35 * 0.65 / np.pi / 50), rel=0.2)
    assert many < few / 5


def test_expected_calibration_error__by_hand():
    # Bin .2-.3: mean probability .25, share of cases .5, 4 people; bin .9-1: mean .95, share 1, 2 people.
    y = np.array([0, 0, 1, 1, 1, 1], np.int8)
    p = np.array([0.25, 0.25, 0.25, 0.25, 0.95, 0.95])
    assert expected_calibration_error(y, p) == pytest.approx((4 * 0.25 + 2 * 0.05) / 6)


@pytest.mark.parametrize("stretch", [1.0, 2.0])
def test_calibration_slope__recovers_overconfidence(stretch: float):
    rng = np.random.default_rng(0)
    logit = rng.normal(size=20_000)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    assert calibration_slope(y, 1 / (1 + np.exp(-stretch * logit))) == pytest.approx(1 / stretch, abs=0.04)


@pytest.mark.parametrize("prevalence", [0.01, 0.3])
def test_liability_r2__recovers_explained_liability_in_an_ascertained_sample(prevalence: float):
    rng = np.random.default_rng(2)
    n, r2 = 2_000_000, 0.2
    score = rng.normal(size=n) * np.sqrt(r2)
    is_case = score + rng.normal(size=n) * np.sqrt(1 - r2) > norm.ppf(1 - prevalence)
    cases = np.flatnonzero(is_case)[:15_000]
    controls = np.flatnonzero(~is_case)[: len(cases)]
    people = np.concatenate([cases, controls])
    found = liability_r2(is_case[people].astype(np.int8), score[people], prevalence=prevalence)
    assert found == pytest.approx(r2, rel=0.08)


def test_liability_r2__negative_where_controls_score_higher():
    assert liability_r2(Y, 1 - P, prevalence=0.01) == pytest.approx(-liability_r2(Y, P, prevalence=0.01))
    assert liability_r2(Y, np.full(4, 0.3), prevalence=0.01) == 0.0


def test_standard_metrics__threshold_and_prevalence_are_used():
    assert standard_metrics(EvaluationConfig(threshold=0.35))["accuracy"](Y, P) == 0.75
    metrics = standard_metrics(EvaluationConfig(threshold=0.95, prevalence=0.01))
    assert metrics["accuracy"](Y, P) == 0.5
    assert metrics["liability_r2"](Y, P) == liability_r2(Y, P, prevalence=0.01)
