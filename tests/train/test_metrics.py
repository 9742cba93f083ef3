import numpy as np
import pytest
from scipy.stats import norm

from train.config import EvaluationConfig
from train.metrics import (
    Measured,
    accuracy,
    auroc,
    average_precision,
    balanced_accuracy,
    brier,
    calibration_slope,
    expected_calibration_error,
    family_draws,
    liability_r2,
    measure,
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


def test_brier__by_hand():
    assert brier(Y, P) == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)


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


def test_family_draws__families_stay_whole():
    family = np.array([0, 0, 0, 1, 1, 2], np.int32)
    for people in family_draws(np.array([0, 1, 0, 1, 0, 1], np.int8), family, 50, 1):
        times = np.bincount(people, minlength=6)
        assert times[0] == times[1] == times[2]
        assert times[3] == times[4]


def test_family_draws__both_classes_and_seed():
    y, family = np.array([1] + [0] * 9, np.int8), np.arange(10, dtype=np.int32)
    drawn = family_draws(y, family, 30, 4)
    assert len(drawn) == 30
    assert all(0 < y[people].sum() < len(people) for people in drawn)
    np.testing.assert_array_equal(drawn, family_draws(y, family, 30, 4))


def test_measure__wider_for_related_people():
    # Ten families of twenty identical people tell less than two hundred unrelated ones.
    rng = np.random.default_rng(1)
    y, p = np.repeat(np.arange(10) % 2, 20).astype(np.int8), np.repeat(rng.random(10), 20)
    widths = []
    for family in (np.arange(200), np.repeat(np.arange(10), 20)):
        drawn = family_draws(y, family.astype(np.int32), 200, 1)
        interval = measure({"auroc": auroc}, y, p, drawn)["auroc"].interval()
        assert interval.low <= interval.estimate <= interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] > 2 * widths[0]


def test_measured__difference_over_the_same_draws():
    drawn = family_draws(Y, np.arange(4, dtype=np.int32), 20, 1)
    one = measure({"auroc": auroc}, Y, P, drawn)["auroc"]
    interval = (one - one).interval()
    assert (interval.estimate, interval.low, interval.high) == (0, 0, 0)
    better = measure({"auroc": auroc}, Y, Y.astype(float), drawn)["auroc"]
    assert (better - one).interval().estimate == 0.25


def test_measured__interval_by_hand():
    interval = Measured(0.5, np.arange(1000) / 1000).interval()
    assert (interval.low, interval.high) == (0.024, 0.974)
    assert np.isnan(Measured(0.5, np.empty(0)).interval().low)


@pytest.mark.parametrize("prevalence", [0.01, 0.3])
def test_liability_r2__recovers_explained_liability_in_an_ascertained_sample(prevalence: float):
    rng = np.random.default_rng(2)
    n, r2 = 2_000_000, 0.2
    score = rng.normal(size=n) * np.sqrt(r2)
    is_case = score + rng.normal(size=n) * np.sqrt(1 - r2) > norm.ppf(1 - prevalence)
    cases = np.flatnonzero(is_case)[:15_000]
    controls = np.flatnonzero(~is_case)[: len(cases)]
    people = np.concatenate([cases, controls])
    found = liability_r2(is_case[people].astype(np.int8), score[people], prevalence)
    assert found == pytest.approx(r2, rel=0.08)


def test_standard_metrics__threshold_and_prevalence_are_used():
    assert standard_metrics(EvaluationConfig(threshold=0.35))["accuracy"](Y, P) == 0.75
    metrics = standard_metrics(EvaluationConfig(threshold=0.95, prevalence=0.01))
    assert metrics["accuracy"](Y, P) == 0.5
    assert metrics["liability_r2"](Y, P) == liability_r2(Y, P, 0.01)
