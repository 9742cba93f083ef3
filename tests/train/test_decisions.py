import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from train.decisions import decision_curve, youden_threshold

Y = np.array([0, 0, 0, 0, 1, 1], np.int8)
P = np.array([0.05, 0.1, 0.3, 0.6, 0.4, 0.9])


def test_decision_curve__six_people_by_hand():
    at = {round(row["threshold"], 2): row for row in decision_curve(Y, P)}
    # From .5: one case and one control are called; odds 1. Everybody: 2 cases less 4 controls.
    assert at[0.5]["network"] == pytest.approx((1 - 1) / 6)
    assert at[0.5]["all"] == pytest.approx((2 - 4) / 6)
    # From .2: both cases and two controls; odds 1/4.
    assert at[0.2]["network"] == pytest.approx((2 - 2 / 4) / 6)
    assert at[0.2]["all"] == pytest.approx((2 - 4 / 4) / 6)
    assert at[0.95]["network"] == 0
    assert {row["none"] for row in at.values()} == {0.0}


def test_decision_curve__equals_everybody_below_the_lowest_score():
    row = decision_curve(Y, P)[3]
    assert row["threshold"] == pytest.approx(0.04)
    assert row["network"] == pytest.approx(row["all"])


def test_youden_threshold__six_people_by_hand():
    # From .4 both cases and one of four controls are called: 1 + 3/4; every other threshold is worse.
    assert youden_threshold(Y, P) == 0.4


def test_youden_threshold__no_threshold_is_better():
    rng = np.random.default_rng(1)
    y = (np.arange(200) % 3 == 0).astype(np.int8)
    p = np.round(np.clip(0.3 + 0.2 * y + 0.2 * rng.normal(size=200), 0, 1), 2)
    best = max(balanced_accuracy_score(y, p >= threshold) for threshold in np.unique(p))
    assert balanced_accuracy_score(y, p >= youden_threshold(y, p)) == best
