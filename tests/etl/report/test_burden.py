import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyspark")

from etl.report.burden import burden_by_status

SAMPLES = pd.DataFrame(
    {
        "sample_index": range(7),
        "is_case": pd.array([1, 1, 1, 0, 0, None, 1], dtype="Int8"),
        "fold": [0, 1, 2, 0, 1, 2, 9],
    }
)
BURDEN = pd.DataFrame(
    {"sample_index": [0, 1, 3, 5, 6], "channel": [0, 0, 1, 0, 0], "burden": [1.0, 2.0, 4.0, 50.0, 90.0]}
)


def test_burden_by_status__people_without_features_count_as_zero():
    found = burden_by_status(BURDEN, SAMPLES, ["plof", "synonymous"], test_fold=9)
    assert found[["channel", "status", "n", "mean"]].values.tolist() == [
        ["plof", "case", 3, 1.0],
        ["plof", "control", 2, 0.0],
        ["synonymous", "case", 3, 0.0],
        ["synonymous", "control", 2, 2.0],
    ]


def test_burden_by_status__interval_is_students():
    row = burden_by_status(BURDEN, SAMPLES, ["plof"], test_fold=9).iloc[0]
    half = 4.302653 * 1.0 / np.sqrt(3)
    assert (row["low"], row["high"]) == pytest.approx((1 - half, 1 + half), abs=1e-5)


def test_burden_by_status__one_person_has_no_interval():
    row = burden_by_status(BURDEN, SAMPLES.iloc[:1], ["plof"], test_fold=9).iloc[0]
    assert row["mean"] == 1.0
    assert np.isnan(row["low"])
