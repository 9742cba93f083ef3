import numpy as np
import pandas as pd
import pytest

from contract.reference import Comparison, distances
from etl.export.reference import describe_groups, lowest_call_rate
from etl.qc.comparisons import compare
from etl.qc.outliers import fit_comparisons
from etl.thresholds import MaxDeviations, SampleThresholds


def people(n: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    second = np.arange(n) >= 0.8 * n
    return pd.DataFrame(
        {
            "ancestry": np.where(second, "group2", "group1"),
            "batch": "all",
            "pc1": rng.normal(10.0 * second, 1.0),
            "pc2": rng.normal(0.0, 2.0, n),
            "common_call_rate": 1 - rng.beta(2, 200, n),
            "n_transition": rng.poisson(2000, n),
            "n_transversion": rng.poisson(700, n),
        }
    )


def test_describe_groups__few_are_outside_and_others_are():
    outside, others = people(), people(seed=2)
    groups = describe_groups(outside, ["pc1", "pc2"], 5)
    assert [(group.name, group.n) for group in groups] == [("group1", 320), ("group2", 80)]
    assert (distances(groups, outside[["pc1", "pc2"]].to_numpy()) > 1).sum() <= 2 * 4
    assert (distances(groups, others[["pc1", "pc2"]].to_numpy()) > 1).mean() < 0.02
    assert (distances(groups, np.array([[5.0, 0.0], [0.0, 15.0]])) > 1).all()
    assert distances(groups, np.array([[10.0, 1.0]]))[0] < 1


def test_describe_groups__of_fewer_than_a_cell_there_are_none():
    outside = people(100)
    outside.loc[outside.index[-4:], "ancestry"] = "few"
    assert [group.name for group in describe_groups(outside, ["pc1"], 5)] == ["group1", "group2"]
    assert describe_groups(outside, [], 5) == []


def test_lowest_call_rate__leaves_at_least_a_cell_below_or_at_it():
    outside = pd.DataFrame({"common_call_rate": np.linspace(0.9, 1.0, 101)})
    assert lowest_call_rate(outside, 5) == pytest.approx(0.904)
    assert lowest_call_rate(outside.head(3), 5) is None
    assert lowest_call_rate(outside[[]], 5) is None


def thresholds() -> SampleThresholds:
    deviations = {name: 4.0 for name in MaxDeviations.model_fields}
    zeros = dict.fromkeys(("min_call_rate", "min_mean_dp", "min_mean_gq"), 0)
    limits = {
        "max_charr": 1.0,
        "max_f_female": 0.5,
        "min_f_male": 0.6,
        "min_sites_on_x": 1,
        "min_stratum": 50,
    }
    return SampleThresholds.model_validate({**zeros, **limits, "max_deviations": deviations})


def test_compare__new_people_deviate_as_people_of_the_cohort_do():
    outside = people()
    found = [Comparison(**one) for one in fit_comparisons(outside, outside["pc1"] > -99, thresholds())]
    assert [(one.metric, one.ancestry) for one in found] == [("r_ti_tv", "group1"), ("r_ti_tv", "group2")]
    own = compare(outside, found[0])
    assert own.isna().tolist() == (outside["ancestry"] == "group2").tolist()
    assert abs(own.median()) < 0.05
    assert own.std() == pytest.approx(1.0, abs=0.15)
    odd = people(seed=3).assign(n_transition=3000)
    assert (compare(odd, found[0]).dropna() > 4).mean() > 0.9
