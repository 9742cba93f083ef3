import hail as hl
import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.ancestry import choose_unrelated, find_groups, find_outliers, fit_components
from etl.thresholds import MaxDeviations, Profile, SampleThresholds


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_config(Profile, PROFILES / "bipex.yaml")


def scores_of(*sizes: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    centres = np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 5], [5, 5, 5]])
    values = np.concatenate([rng.normal(centres[i], 0.2, (n, 3)) for i, n in enumerate(sizes)])
    return pd.DataFrame(values, columns=["pc1", "pc2", "pc3"])


def test_find_groups__largest_first(profile: Profile):
    groups = find_groups(scores_of(20, 60, 30), [True] * 110, profile.ancestry, seed=1)
    assert groups.tolist() == ["group3"] * 20 + ["group1"] * 60 + ["group2"] * 30


def test_find_groups__one_cloud_is_one_group(profile: Profile):
    assert set(find_groups(scores_of(80), [True] * 80, profile.ancestry, seed=1)) == {"group1"}


def test_find_groups__people_who_are_not_fitted_move_nobody(profile: Profile):
    scores = scores_of(40, 40, 3)
    fitted = [True] * 80 + [False] * 3
    moved = scores.copy()
    moved.iloc[80:] += 50
    before, after = (find_groups(s, fitted, profile.ancestry, seed=1)[:80] for s in (scores, moved))
    assert pd.crosstab(before, after).gt(0).sum().eq(1).all()


def outlier_limits(profile: Profile, **own: float) -> SampleThresholds:
    """4 deviations for every metric but those named, in strata from 5 people."""
    deviations = {"r_ti_tv": 4, "r_insertion_deletion": 4, "r_het_hom_var": 4, "n_singleton": 4, **own}
    return profile.sample.model_copy(
        update={"max_deviations": MaxDeviations.model_validate(deviations), "min_stratum": 5}
    )


def test_find_outliers__by_hand(profile: Profile):
    limits = outlier_limits(profile)
    # Median 3, median absolute deviation 1: 4 deviations are 4 x 1.4826 = 5.93 either side.
    people = pd.DataFrame(
        {
            "batch": "w1",
            "ancestry": "group1",
            "r_ti_tv": [1.0, 2.0, 3.0, 4.0, 5.0, 8.9, 9.0, -3.0, np.nan],
            "n_singleton": [1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 3.0, -30.0, 9.0],
        }
    )
    fitted = pd.Series([True] * 5 + [False] * 4)
    flags = find_outliers(people, fitted, limits)
    assert set(flags) == {"outlier_r_ti_tv", "outlier_n_singleton"}
    assert flags["outlier_r_ti_tv"].tolist() == [False] * 6 + [True, True, False]
    assert flags["outlier_n_singleton"].tolist() == [False] * 8 + [True]  # only too many are suspect


def test_find_outliers__within_batch_and_ancestry(profile: Profile):
    limits = outlier_limits(profile)
    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    people = pd.DataFrame(
        {
            "batch": ["w1"] * 5 + ["w2"] * 5,
            "ancestry": "group1",
            "r_ti_tv": values + [v + 100 for v in values],
        }
    )
    assert not find_outliers(people, pd.Series([True] * 10), limits)["outlier_r_ti_tv"].any()


def test_find_outliers__each_metric_by_its_own_limit(profile: Profile):
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]
    people = pd.DataFrame({name: values for name in MaxDeviations.model_fields})
    people = people.assign(batch="w1", ancestry="group1")
    fitted = pd.Series([True] * 5 + [False])
    flags = find_outliers(people, fitted, outlier_limits(profile, r_het_hom_var=5, n_singleton=3))
    # 9 lies (9 - 3) / 1.4826 = 4.05 deviations above the median.
    assert {name: int(flag.sum()) for name, flag in flags.items()} == {
        "outlier_r_ti_tv": 1,
        "outlier_r_insertion_deletion": 1,
        "outlier_r_het_hom_var": 0,
        "outlier_n_singleton": 1,
    }


@pytest.mark.usefixtures("hail_session")
def test_choose_unrelated__cases_stay_then_the_better_called():
    people = pd.DataFrame(
        {
            "sample_id": list("ABCDEF"),
            "is_case": [0, 1, 0, 0, 0, 1],
            "call_rate": [0.99, 0.95, 0.96, 0.98, 0.99, 0.99],
        }
    )
    pairs = pd.DataFrame(
        [("A", "B", 0.25), ("C", "D", 0.2), ("E", "F", 0.05), ("E", "gone", 0.5)],
        columns=["first", "second", "kinship"],
    )
    assert choose_unrelated(people, pairs, 0.0884) == set("BDEF")


@pytest.mark.usefixtures("hail_session")
def test_fit_components__test_people_do_not_move_the_others(profile: Profile):
    hl.reset_global_randomness()
    markers = hl.balding_nichols_model(2, 40, 200, fst=[0.2, 0.2])
    markers = markers.key_cols_by(s=hl.str(markers.sample_idx)).select_entries("GT")
    markers = markers.checkpoint(hl.utils.new_temp_file("markers", "mt"))
    tested = {str(number) for number in range(30, 40)}
    fitted = {str(number) for number in range(30)}
    other = markers.annotate_entries(
        GT=hl.if_else(hl.literal(tested).contains(markers.s), hl.call(1, 1), markers.GT)
    )
    first, second = (
        fit_components(mt, fitted, profile.ancestry).set_index("sample_id") for mt in (markers, other)
    )
    inside, outside = sorted(fitted), sorted(tested)
    signs = np.sign((first.loc[inside] * second.loc[inside]).sum())
    assert np.allclose(first.loc[inside], second.loc[inside] * signs, atol=1e-6)
    assert not np.allclose(first.loc[outside].abs(), second.loc[outside].abs(), atol=1e-3)
    assert len(first) == 40
