import numpy as np
import pytest

from deploy.evidence.coverage import CASE_SHARE, CELLS, Cell, coverage, simulate, strength_for, truths
from train.intervals import DELONG


def test_simulate__probabilities_are_right_and_families_alike():
    fold = simulate(Cell(400_000, 4, 0.75), 0.6, np.random.default_rng(1))
    assert fold.is_case_M.mean() == pytest.approx(CASE_SHARE, abs=0.005)
    for low in (0.2, 0.4, 0.6):
        people = (fold.probability_M >= low) & (fold.probability_M < low + 0.05)
        assert fold.is_case_M[people].mean() == pytest.approx(fold.probability_M[people].mean(), abs=0.01)
    for values in (fold.is_case_M, fold.probability_M, fold.rival_M):
        within = np.corrcoef(values[0::4], values[1::4])[0, 1]
        assert 0.3 < within < 0.55
        assert abs(np.corrcoef(values[0:-4:4], values[4::4])[0, 1]) < 0.02


def test_truths__wanted_auroc_and_weaker_rival():
    cell = Cell(113, 4, 0.75)
    truth = truths(cell, strength_for(0.75), ["calibration_intercept"])
    assert truth["auroc"] == pytest.approx(0.75, abs=0.002)
    assert truth["auroc_difference"] > 0.02
    assert truth["calibration_intercept"] == pytest.approx(0, abs=0.02)


def test_coverage__table_by_cell_metric_and_method():
    cells = [Cell(60, 1, 0.75), Cell(60, 4, 0.75)]
    table = coverage(50, cells, 1, simulations=20)
    assert set(table["metric"]) == {"auroc", "auroc_difference", "accuracy", "brier"}
    chosen = table[table["method"] == DELONG]
    assert chosen["family"].tolist() == [1, 4]
    assert (table[["share", "above", "below"]].sum(axis=1).round(6) == 1).all()
    assert table.equals(coverage(50, cells, 1, simulations=20))
    # Without a bootstrap DeLong's rows are the same.
    alone = coverage(50, cells, 1, simulations=20, metrics=())
    assert alone["share"].tolist() == table[table["method"].str.contains("DeLong")]["share"].tolist()
    # Relatives tell less: their intervals are wider.
    assert chosen["width"].iloc[1] > chosen["width"].iloc[0]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_coverage__delong_contains_the_truth_as_often_as_stated(cell: Cell):
    table = coverage(0, [cell], 3, simulations=3000, metrics=()).set_index("metric")["share"]
    # Three thousand folds of a true 95 % show 94.2 to 95.8 % in nineteen of twenty tries.
    assert 0.935 <= table["auroc"] <= 0.965
    # A difference near 1 is skewed, and its interval is not.
    assert 0.93 <= table["auroc_difference"] <= 0.965


@pytest.mark.slow
def test_coverage__bootstrap_of_few_families():
    table = coverage(200, [Cell(113, 4, 0.75)], 3, simulations=600).set_index(["metric", "method"])["share"]
    for metric in ("auroc", "accuracy", "brier"):
        assert table[metric, "widened, bias-corrected"] >= 0.915
        assert table[metric, "widened percentile"] > table[metric, "percentile"]
