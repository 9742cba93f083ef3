import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.person_sums import GRID, PERSON_SUMS, Measured
from etl.qc.sample_metrics import COUNTS, hard_failures, join_reasons, mean_depth, measure_samples
from etl.thresholds import Profile


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_config(Profile, PROFILES / "bipex.yaml")


def people(**columns: list[object]) -> pd.DataFrame:
    fine = {
        "call_rate": 0.99,
        "mean_dp": 40.0,
        "mean_gq": 80.0,
        "charr": 0.001,
        "is_case": 1,
        "imputed_sex": "male",
        "reported_sex": "male",
    }
    n = len(next(iter(columns.values())))
    return pd.DataFrame({name: [value] * n for name, value in fine.items()} | columns)


@pytest.mark.parametrize(
    ("column", "values", "reason", "wanted"),
    [
        ("call_rate", [0.93, 0.929, np.nan], "call_rate", [False, True, False]),
        ("mean_dp", [30.0, 29.9, np.nan], "mean_dp", [False, True, False]),
        ("mean_gq", [55.0, 54.9, np.nan], "mean_gq", [False, True, False]),
        ("charr", [0.02, 0.021, np.nan], "contamination", [False, True, False]),
        ("is_case", [0, None, 1], "status_unknown", [False, True, False]),
        ("imputed_sex", ["male", "female", None], "sex_mismatch", [False, True, False]),
        ("reported_sex", ["male", "female", None], "sex_mismatch", [False, True, False]),
    ],
)
def test_hard_failures__each_limit_and_missing_values(
    profile: Profile, column: str, values: list[object], reason: str, wanted: list[bool]
):
    failures = hard_failures(people(**{column: values}), profile.sample)
    assert failures[reason].tolist() == wanted
    assert not any(failed.any() for name, failed in failures.items() if name != reason)


def test_hard_failures__metrics_that_were_not_measured(profile: Profile):
    metrics = people(is_case=[1, 0]).drop(columns=["mean_dp", "mean_gq", "charr"])
    assert set(hard_failures(metrics, profile.sample)) == {"call_rate", "status_unknown", "sex_mismatch"}


def test_join_reasons__all_of_them_in_order():
    index = pd.Index([5, 3, 9])
    failures = {
        "depth": pd.Series([True, False, True], index=index),
        "sex": pd.Series([True, False, False], index=index),
    }
    assert join_reasons(failures, index).to_dict() == {5: "depth,sex", 3: "", 9: "depth"}


def measured(*people: dict[str, int], n_sites: int = 100) -> Measured:
    rows = pd.DataFrame([dict.fromkeys(PERSON_SUMS, 0) | sums for sums in people])
    return Measured(rows, {"n_sites": n_sites, "x_sites": 0, "x_expected": 0})


def test_measure_samples__by_hand():
    first = {
        "n_missing": 3,
        "n_transition": 6,
        "n_transversion": 2,
        "n_het": 5,
        "n_hom_var": 4,
        "n_insertion": 1,
        "n_deletion": 4,
        "n_singleton": 2,
        "n_charr": 2,
        "charr": GRID // 2,
    }
    metrics = measure_samples(measured(first, {}))
    assert metrics.loc[0].to_dict() == {
        "call_rate": 0.97,
        "n_singleton": 2,
        "n_snp": 8,
        **{name: first[name] for name in COUNTS},
        "r_ti_tv": 3,
        "r_het_hom_var": 1.25,
        "r_insertion_deletion": 0.25,
        "charr": 0.25,
    }
    # Nothing to divide by: missing, not 0.
    assert metrics.loc[1, ["r_ti_tv", "r_het_hom_var", "r_insertion_deletion", "charr"]].isna().all()
    assert metrics.loc[1, "call_rate"] == 1


def test_measure_samples__no_reads_in_the_files():
    assert "charr" not in measure_samples(measured({"n_het": 1}))


def test_mean_depth__a_field_that_nobody_has():
    sums = pd.DataFrame({"n_dp": [2, 0], "sum_dp": [61, 0], "n_gq": [0, 0], "sum_gq": [0, 0]})
    means = mean_depth(sums)
    assert list(means) == ["mean_dp"]
    assert means["mean_dp"].tolist() == pytest.approx([30.5, np.nan], nan_ok=True)
