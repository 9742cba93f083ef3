import pandas as pd
import pytest

from etl.report.attrition import (
    ANY,
    check_sums,
    people_flow,
    people_ledger,
    removal_tests,
    variant_ledger,
)
from etl.report.people import report_people

METRICS = pd.DataFrame(
    {
        "sample_id": list("ABCDEF"),
        "is_case": pd.array([1, 0, None, 1, 0, 1], dtype="Int8"),
        "batch": ["w1", "w1", "w1", "w2", "w2", "w2"],
        "declared_fold": None,
        "reasons": ["call_rate,mean_dp", "", "status_unknown", "", "", ""],
    }
)
DUPLICATES = pd.DataFrame({"sample_id": ["B"], "reasons": ["duplicate"]})
FOLDED = pd.DataFrame({"sample_id": ["D", "E", "F"], "fold": [0, 1, 2]})
COMPONENTS = pd.DataFrame({"sample_id": ["D", "E", "F"], "reasons": ["outlier_r_ti_tv", "", ""]})


@pytest.fixture
def people():
    found = report_people(METRICS, DUPLICATES, FOLDED, COMPONENTS, test_fold=0)
    return found.assign(in_end=[False, False, False, False, True, True])


def test_report_people__sealed_people_have_no_status_even_when_they_leave(people):
    assert people["status"].tolist() == ["case", "control", "unknown", "sealed", "control", "case"]
    assert not {"sample_id", "is_case", "reasons"} & set(people)


def test_report_people__a_declared_fold_seals_those_who_left_before():
    metrics = METRICS.assign(declared_fold=[7, 7, 1, 0, 1, 2])
    found = report_people(metrics, DUPLICATES, FOLDED, COMPONENTS, test_fold=7)
    assert found["status"].tolist()[:3] == ["sealed", "sealed", "unknown"]
    assert "declared_fold" not in found


def test_people_ledger__first_and_all_reasons(people):
    rows = people_ledger(people).set_index("reason")
    assert rows.loc["call_rate"].tolist() == ["sample_metrics", "case", "w1", 1, 1]
    assert rows.loc["mean_dp"].tolist() == ["sample_metrics", "case", "w1", 0, 1]
    assert rows.loc["duplicate"].tolist() == ["relatedness", "control", "w1", 1, 1]
    assert rows.loc["outlier_r_ti_tv"].tolist() == ["ancestry", "sealed", "w2", 1, 1]
    assert rows["n_first"].sum() == 4


def test_people_flow__each_step_begins_where_the_one_before_ended(people):
    sums = people_flow(people).groupby("step", sort=False)[["n_in", "n_out"]].sum()
    assert sums.values.tolist() == [[6, 4], [4, 3], [3, 2]]


def test_people_ledger__someone_who_left_without_a_reason_is_an_error(people):
    people.loc[5, "in_end"] = False
    with pytest.raises(
        ValueError,
        match=r"step ancestry, case in batch w2: 1 people came in, 0 left .* \+1 are unaccounted for",
    ):
        people_ledger(people)


def test_check_sums__someone_with_a_reason_who_went_on_is_an_error(people):
    ledger, flow = people_ledger(people), people_flow(people)
    flow.loc[flow["step"] == "relatedness", "n_out"] += 1
    with pytest.raises(ValueError, match=r"step relatedness, .* -1 are unaccounted for"):
        check_sums(flow, ledger)


def test_variant_ledger__adds_up_or_is_an_error():
    first, every = {"hwe": 2}, {"hwe": 3, "call_rate": 1}
    assert variant_ledger(first, every, n_in=10, n_out=8).values.tolist() == [
        ["hwe", 2, 3],
        ["call_rate", 0, 1],
    ]
    with pytest.raises(ValueError, match=r"10 came in, 2 left for a first reason and 7 went on: \+1"):
        variant_ledger(first, every, n_in=10, n_out=7)


def counted(removed: dict[tuple[str, str], int], came: dict[str, int]) -> pd.DataFrame:
    flow = pd.DataFrame(
        [("sample_metrics", status, "w1", n, 0) for status, n in came.items()],
        columns=["step", "status", "batch", "n_in", "n_out"],
    )
    ledger = pd.DataFrame(
        [("sample_metrics", reason, status, "w1", n, n) for (reason, status), n in removed.items()],
        columns=["step", "reason", "status", "batch", "n_first", "n_all"],
    )
    return removal_tests(flow, ledger).set_index("reason")


def test_removal_tests__are_fishers_with_bonferroni():
    """R: fisher.test(matrix(c(8, 2, 1, 5), 2))$p.value is 0.03497."""
    found = counted({("call_rate", "case"): 8, ("call_rate", "control"): 1}, {"case": 10, "control": 6})
    assert found.loc[ANY, "p"] == pytest.approx(0.03497, abs=1e-5)
    assert found.loc["call_rate", "p_corrected"] == pytest.approx(2 * 0.03497, abs=2e-5)
    assert found.loc["call_rate", "odds_ratio"] == pytest.approx(8 * 5 / (2 * 1))


def test_removal_tests__do_not_look_at_the_sealed_fold():
    removed = {("call_rate", "case"): 3, ("call_rate", "control"): 3}
    came = {"case": 10, "control": 10}
    expected = counted(removed, came)
    sealed = counted({**removed, ("call_rate", "sealed"): 5}, {**came, "sealed": 5})
    pd.testing.assert_frame_equal(sealed, expected)


def test_removal_tests__a_reason_that_removed_nobody_of_known_status_is_not_tested():
    found = counted(
        {("status_unknown", "unknown"): 4, ("call_rate", "case"): 1}, {"case": 9, "control": 9, "unknown": 4}
    )
    assert list(found.index) == [ANY, "call_rate"]
