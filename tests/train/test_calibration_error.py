import numpy as np
import pytest
from scipy.special import expit

from train.calibration_error import calibration_error_interval
from train.intervals import Interval, family_draws
from train.metrics import expected_calibration_error


def draw(n: int, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Status of people whose log odds are those of their probability times a slope."""
    rng = np.random.default_rng(seed)
    logit_M = rng.normal(0, 1.5, n)
    return (rng.random(n) < expit(slope * logit_M)).astype(np.int8), expit(logit_M)


def interval(n: int, slope: float, seed: int) -> Interval:
    y_M, probability_M = draw(n, slope, seed)
    return calibration_error_interval(y_M, probability_M, family_draws(y_M, np.arange(n) // 2, 300, seed))


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_calibration_error_interval__contains_the_truth(slope: float):
    # 60 test folds: a share of 95 % gives fewer than 52 in one of 200 series.
    logit_M = np.random.default_rng(99).normal(0, 1.5, 400_000)
    truth = expected_calibration_error(expit(slope * logit_M), expit(logit_M))
    found = [interval(300, slope, seed) for seed in range(60)]
    assert sum(each.low <= truth <= each.high for each in found) >= 52
    assert np.mean([each.estimate for each in found]) == pytest.approx(truth, abs=0.025)
    assert all(each.low <= each.estimate <= each.high for each in found)


def test_calibration_error_interval__estimate_lies_below_the_binned_error():
    y_M, probability_M = draw(300, 1.0, 5)
    assert interval(300, 1.0, 5).estimate < expected_calibration_error(y_M, probability_M)


def test_calibration_error_interval__large_error_is_nearly_the_binned_one():
    y_M, _ = draw(2000, 1.0, 6)
    found = calibration_error_interval(y_M, np.full(2000, 0.95), family_draws(y_M, np.arange(2000), 300, 1))
    assert found.estimate == pytest.approx(0.95 - y_M.mean(), abs=1e-3)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 2000), rel=0.15)


def test_calibration_error_interval__one_family():
    y_M = np.array([0, 1, 1], np.int8)
    found = calibration_error_interval(y_M, np.full(3, 0.5), family_draws(y_M, np.zeros(3, int), 10, 1))
    assert (found.estimate, found.low, found.note) == (
        pytest.approx(1 / 6),
        None,
        "too few families for an interval",
    )
