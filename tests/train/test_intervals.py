import time

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, t
from sklearn.metrics import roc_auc_score

from train.intervals import (
    BOOTSTRAP,
    BOUND,
    DELONG,
    Measured,
    auroc_difference,
    auroc_interval,
    family_draws,
    measure,
    placements,
)
from train.metrics import accuracy, auroc

Y = np.array([0, 0, 1, 1], np.int8)
P = np.array([0.1, 0.6, 0.4, 0.9])


def people(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, tied scores and families of one to four."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 2).astype(np.int8)
    return y, np.round(y + rng.normal(size=n), 1), np.sort(rng.integers(0, n // 2, n))


def kernel(y: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Every case against every control: 1 above, 1/2 tied, 0 below."""
    gap = score[y == 1][:, None] - score[y == 0][None, :]
    return (gap > 0) + 0.5 * (gap == 0)


def obuchowski(y: np.ndarray, score: np.ndarray, family: np.ndarray) -> float:
    """Variance of the AUROC as Obuchowski 1997 writes it, family by family."""
    pairs = kernel(y, score)
    theta, of_cases, of_controls = pairs.mean(), pairs.mean(axis=1), pairs.mean(axis=0)
    cases, controls = family[y == 1], family[y == 0]
    m, n = len(cases), len(controls)
    s10 = sum((of_cases[cases == f].sum() - (cases == f).sum() * theta) ** 2 for f in set(cases))
    s01 = sum((of_controls[controls == f].sum() - (controls == f).sum() * theta) ** 2 for f in set(controls))
    s11 = sum(
        (of_cases[cases == f].sum() - (cases == f).sum() * theta)
        * (of_controls[controls == f].sum() - (controls == f).sum() * theta)
        for f in set(family)
    )
    i10, i01, i = len(set(cases)), len(set(controls)), len(set(family))
    s10, s01, s11 = s10 * i10 / ((i10 - 1) * m), s01 * i01 / ((i01 - 1) * n), s11 * i / (i - 1)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


def logit_bounds(estimate: float, variance: float, families: int) -> tuple[float, float]:
    half = t.ppf(0.975, families - 1) * np.sqrt(variance) / (estimate * (1 - estimate))
    odds = estimate / (1 - estimate) * np.exp([-half, half])
    return tuple(odds / (1 + odds))


def test_placements__by_hand():
    # The case at .4 is above one of two controls, that at .9 above both; the control at .6 is below one case.
    np.testing.assert_allclose(placements(Y, P), [1.0, 0.5, 0.5, 1.0])


def test_auroc_interval__families_of_one_are_plain_delong():
    y, score, _ = people(1)
    pairs = kernel(y, score)
    variance = (
        pairs.mean(axis=1).var(ddof=1) / (y == 1).sum() + pairs.mean(axis=0).var(ddof=1) / (y == 0).sum()
    )
    found = auroc_interval(y, score, np.arange(60))
    assert found.estimate == pytest.approx(roc_auc_score(y, score))
    statistic = mannwhitneyu(score[y == 1], score[y == 0]).statistic
    assert found.estimate == pytest.approx(statistic / 30**2)
    assert (found.low, found.high) == pytest.approx(logit_bounds(found.estimate, variance, 60))
    assert found.method == DELONG


def test_auroc_interval__same_as_obuchowski_family_by_family():
    y, score, family = people(2)
    found = auroc_interval(y, score, family)
    wanted = logit_bounds(found.estimate, obuchowski(y, score, family), len(set(family)))
    assert (found.low, found.high) == pytest.approx(wanted)


def test_auroc_interval__order_names_and_scale_do_not_matter():
    y, score, family = people(3)
    found, order = auroc_interval(y, score, family), np.random.default_rng(1).permutation(60)
    same = auroc_interval(y[order], np.exp(score[order]), 1000 - 7 * family[order])
    assert (same.low, same.high) == pytest.approx((found.low, found.high))
    turned = auroc_interval(y, -score, family)
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_auroc_interval__people_copied_within_their_family_tell_nothing_more():
    y, score, _ = people(4)
    one = auroc_interval(y, score, np.arange(60))
    four = auroc_interval(np.repeat(y, 4), np.repeat(score, 4), np.repeat(np.arange(60), 4))
    assert (four.low, four.high) == pytest.approx((one.low, one.high))


def test_auroc_interval__perfect_scores_have_a_binomial_bound():
    y = np.repeat([0, 1], 10).astype(np.int8)
    found = auroc_interval(y, y.astype(float), np.arange(20))
    assert (found.estimate, found.high, found.method) == (1.0, 1.0, BOUND)
    assert found.low == pytest.approx(0.025 ** (1 / 10))
    assert auroc_interval(y, -y.astype(float), np.arange(20)).high == pytest.approx(1 - found.low)


def test_auroc_interval__what_cannot_be_told():
    one_class = auroc_interval(np.ones(3, np.int8), P[:3], np.arange(3))
    assert (one_class.estimate, one_class.note) == (None, "only cases: no pair to compare")
    one_family = auroc_interval(np.array([1, 0, 0, 0], np.int8), P, np.arange(4))
    assert (one_family.estimate, one_family.low) == (0.0, None)
    assert one_family.note == "only one family with a case: no interval"
    same = auroc_interval(Y, np.full(4, 0.3), np.arange(4))
    assert (same.estimate, same.low, same.high) == (0.5, 0.5, 0.5)


def test_auroc_difference__same_as_delong_covariances():
    y, score, _ = people(5)
    rival = score + np.random.default_rng(2).normal(size=60)
    one, two = kernel(y, score), kernel(y, rival)
    of_cases = np.cov(one.mean(axis=1), two.mean(axis=1)) / (y == 1).sum()
    of_controls = np.cov(one.mean(axis=0), two.mean(axis=0)) / (y == 0).sum()
    covariance = of_cases + of_controls
    half = t.ppf(0.975, 59) * np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = auroc_difference(y, score, rival, np.arange(60))
    assert found.estimate == pytest.approx(roc_auc_score(y, score) - roc_auc_score(y, rival))
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))


def test_auroc_difference__with_itself_and_turned():
    y, score, family = people(6)
    same = auroc_difference(y, score, 2 * score, family)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    rival = np.roll(score, 3)
    found, turned = auroc_difference(y, score, rival, family), auroc_difference(y, rival, score, family)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_family_draws__families_stay_whole():
    family = np.array([0, 0, 0, 1, 1, 2], np.int32)
    drawn = family_draws(np.array([0, 1, 0, 1, 0, 1], np.int8), family, 50, 1)
    weight = np.concatenate(list(drawn.weights()))
    assert weight.shape == (50, 6)
    assert (weight[:, :3] == weight[:, :1]).all()
    assert (weight[:, 3] == weight[:, 4]).all()
    assert (weight[:, [0, 3, 5]].sum(axis=1) == 3).all()


def test_family_draws__both_classes_and_seed():
    y, family = np.array([1] + [0] * 9, np.int8), np.arange(10, dtype=np.int32)
    drawn = family_draws(y, family, 30, 4)
    assert len(drawn) == 30
    assert (drawn.count_DF[:, 0] > 0).all()
    np.testing.assert_array_equal(drawn.count_DF, family_draws(y, family, 30, 4).count_DF)
    assert (drawn.count_DF != family_draws(y, family, 30, 5).count_DF).any()


def test_measure__same_as_scikit_learn_draw_by_draw_with_ties(monkeypatch: pytest.MonkeyPatch):
    y, score, family = people(7)
    drawn = family_draws(y, family, 40, 2)
    found = measure({"auroc": auroc}, y, score, drawn)["auroc"].value_D
    wanted = [
        roc_auc_score(np.repeat(y, row), np.repeat(score, row)) for row in drawn.count_DF[:, drawn.position_M]
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    # Draws in pieces are the same draws.
    monkeypatch.setattr("train.intervals.CHUNK", 7 * 60)
    np.testing.assert_array_equal(measure({"auroc": auroc}, y, score, drawn)["auroc"].value_D, found)


def test_measure__thousand_draws_of_a_large_fold_take_no_time():
    rng = np.random.default_rng(3)
    y, score = (np.arange(1700) % 2).astype(np.int8), rng.normal(size=1700)
    drawn = family_draws(y, np.arange(1700) // 2, 1000, 1)
    started = time.process_time()
    measure({"auroc": auroc}, y, score, drawn)
    assert time.process_time() - started < 1.0


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
    # Unbiased draws, so many families that nothing is widened: the middle 95 %.
    values = np.arange(1, 1000) / 1000
    interval = Measured(0.5, values, 10**9).interval()
    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975), abs=1e-3)
    assert interval.method == BOOTSTRAP
    # Of five families Student's t with 4 degrees of freedom times √(5/4) reaches 3.10 deviations.
    low, high = Measured(0.5, values, 5).levels(values)
    assert (low, high) == pytest.approx((0.00096, 0.99904), abs=1e-5)


def test_measured__draws_that_lie_too_high_move_the_interval_down():
    values = np.random.default_rng(4).normal(size=2000)
    interval = Measured(-1.0, values, 10**9).interval()
    # 16 % of the draws lie below the estimate: z = -1, so that the levels are Φ(-2 ∓ 1.96).
    assert interval.low == pytest.approx(values.min(), abs=0.3)
    assert interval.high == pytest.approx(-0.04, abs=0.15)


def test_measured__interval_contains_the_estimate_though_all_draws_lie_above():
    interval = Measured(0.1, np.linspace(0.2, 0.3, 100), 50).interval()
    assert interval.low == 0.1 < interval.high


def test_measured__what_cannot_be_told():
    assert Measured(np.nan, np.ones(9), 9).interval().note == "not defined on these people"
    for value in (
        Measured(0.5, np.empty(0), 9),
        Measured(0.5, np.ones(9), 1),
        Measured(0.5, np.full(9, np.nan), 9),
    ):
        interval = value.interval()
        assert (interval.estimate, interval.low) == (0.5, None)
        assert interval.note == "too few families for an interval"


def test_measure__estimate_is_not_a_mean_of_draws():
    drawn = family_draws(Y, np.arange(4), 20, 1)
    assert measure({"accuracy": accuracy.at(threshold=0.35)}, Y, P, drawn)["accuracy"].estimate == 0.75
