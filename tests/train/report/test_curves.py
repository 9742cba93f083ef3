import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score

from train.report.curves import (
    calibration_panel,
    curve_panels,
    decision_panel,
    learning_panels,
    score_panel,
    wilson,
)


def scored(n: int = 4000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probability_M = random.random(n)
    return (random.random(n) < probability_M).astype(np.int8), probability_M


def test_wilson__by_hand():
    # 5 of 10: centre .5, half-width 1.96 * sqrt(.025 + .0096) / 1.384.
    low, high = wilson(np.array([0.5]), np.array([10]))
    assert (low[0], high[0]) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_curve_panels__area_under_the_drawn_curve_is_the_auroc():
    is_case_M, probability_M = scored()
    roc, precision = curve_panels(is_case_M, {"cnn": probability_M})
    area = auc(roc.table["false_rate"], roc.table["cnn"])
    assert area == pytest.approx(roc_auc_score(is_case_M, probability_M), abs=0.005)
    assert precision.table["cnn"].iloc[-1] == pytest.approx(is_case_M.mean(), abs=0.01)
    assert [trace.name for trace in roc.figure.data] == ["network", None]


def test_calibration_panel__leaves_out_bins_of_few_people():
    probability_M = np.array([0.05] * 4 + [0.55] * 10)
    is_case_M = np.array([1] * 4 + [1] * 6 + [0] * 4, np.int8)
    table = calibration_panel(is_case_M, probability_M).table
    assert table[["people", "mean_probability", "share_of_cases"]].values.tolist() == [
        [10, pytest.approx(0.55), pytest.approx(0.6)]
    ]


def test_score_panel__leaves_out_bins_of_few_people():
    probability_M = np.array([0.1] * 4 + [0.9] * 5 + [0.1] * 7)
    is_case_M = np.array([1] * 9 + [0] * 7, np.int8)
    table = score_panel(is_case_M, probability_M).table
    assert table["cases"].tolist() == [0, 0, 0, 0, 5]
    assert table["controls"].tolist() == [7, 0, 0, 0, 0]


def test_decision_panel__draws_the_three_choices():
    curve = [{"threshold": at, "network": 0.3, "all": 0.5 - at, "none": 0.0} for at in (0.1, 0.5, 0.9)]
    panel = decision_panel(curve)
    assert [trace.name for trace in panel.figure.data] == [
        "network (ours)",
        "everybody called a case",
        "nobody called a case",
    ]
    assert panel.table["all"].tolist() == pytest.approx([0.4, 0.0, -0.4])


def test_learning_panels__draw_what_was_recorded():
    history = [{"epoch": number, "training_loss": 0.7 - number / 10} for number in range(3)]
    (panel,) = learning_panels(history, 2)
    assert panel.table["epoch"].tolist() == [1, 2, 3]
    assert [shape.x0 for shape in panel.figure.layout.shapes] == [2]
    assert learning_panels([], None) == []
    assert learning_panels([{"step": 1}], None) == []
