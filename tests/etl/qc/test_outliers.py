import numpy as np
import pandas as pd
import pytest

from contract.config import load_config
from etl.config import PROFILES
from etl.qc.outliers import RATIOS, find_between_groups, find_outliers
from etl.thresholds import MaxDeviations, Profile, SampleThresholds


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_config(Profile, PROFILES / "bipex.yaml")


def outlier_limits(profile: Profile, **own: float) -> SampleThresholds:
    """4 deviations for every metric but those named, in strata from 5 people."""
    deviations = {"r_ti_tv": 4, "r_insertion_deletion": 4, "r_het_hom_var": 4, "n_singleton": 4, **own}
    return profile.sample.model_copy(
        update={"max_deviations": MaxDeviations.model_validate(deviations), "min_stratum": 5}
    )


def counts(metric: str, *places: float) -> dict[str, list[float]]:
    """Counts of a ratio that are compared at these places, in thousandths of the transformed share."""
    total = 100_000_000  # chance plays no part
    shares = [float(np.sin((500 + place) / 1000) ** 2) for place in places]
    above = [share * (total + 3 / 4) - 3 / 8 for share in shares]
    names = RATIOS[metric]
    return {names[0]: above, names[1]: [total - value for value in above]}


ALIKE = (1, 2, 3, 4, 5)
"""Median 3, median absolute deviation 1: 4 deviations are 4 x 1.4826 = 5.93 either side."""


def test_find_outliers__by_hand(profile: Profile):
    people = pd.DataFrame(
        {
            "batch": "w1",
            "ancestry": "group1",
            **counts("r_ti_tv", *ALIKE, 8.9, 9, -3, np.nan),
            "n_singleton": np.square([21.0, 22, 23, 24, 25, 23, 23, 1, 29]),  # the same, around 23
            "n_insertion": [0, 0, 0, 0, 1, 0, 0, 0, 0],
            "n_deletion": [1, 0, 1, 0, 0, 0, 1, 0, 1],  # too few to be an outlier of anything
        }
    )
    fitted = pd.Series([True] * 5 + [False] * 4)
    flags = find_outliers(people, fitted, outlier_limits(profile))
    assert set(flags) == {"outlier_r_ti_tv", "outlier_n_singleton", "outlier_r_insertion_deletion"}
    assert not flags["outlier_r_insertion_deletion"].any()
    assert flags["outlier_r_ti_tv"].tolist() == [False] * 6 + [True, True, False]
    assert flags["outlier_n_singleton"].tolist() == [False] * 8 + [True]  # only too many are suspect


def test_find_outliers__few_insertions_and_deletions_are_no_outliers(profile: Profile):
    rng = np.random.default_rng(1)
    n = 2_000
    people = pd.DataFrame(
        {
            "batch": "w1",
            "ancestry": "group1",
            "n_insertion": rng.poisson(3, n),
            "n_deletion": rng.poisson(7, n),
        }
    )
    flagged = find_outliers(people, pd.Series([True] * n), outlier_limits(profile))
    assert flagged["outlier_r_insertion_deletion"].sum() <= 2, "without any artefact"
    people.loc[:9, "n_insertion"] = 100
    flagged = find_outliers(people, pd.Series([True] * n), outlier_limits(profile))
    assert flagged["outlier_r_insertion_deletion"][:10].all()


def test_find_outliers__within_batch_and_ancestry(profile: Profile):
    people = pd.DataFrame(
        {
            "batch": ["w1"] * 5 + ["w2"] * 5,
            "ancestry": "group1",
            **counts("r_ti_tv", *ALIKE, *(place + 100 for place in ALIKE)),
        }
    )
    flags = find_outliers(people, pd.Series([True] * 10), outlier_limits(profile))
    assert not flags["outlier_r_ti_tv"].any()


def test_find_outliers__a_small_batch_is_compared_within_its_ancestry(profile: Profile):
    people = pd.DataFrame(
        {
            "batch": ["w1"] * 10 + ["w2", "w2", "w2"],
            "ancestry": ["a"] * 5 + ["b"] * 5 + ["b", "b", "c"],
            # The minority b lies far from a; of the two in the small batch one is an outlier of b.
            **counts("r_ti_tv", *ALIKE, *(place + 100 for place in ALIKE), 103, 180, 50),
        }
    )
    flags = find_outliers(people, pd.Series([True] * 13), outlier_limits(profile))
    # The one of ancestry c is compared with nobody.
    assert flags["outlier_r_ti_tv"].tolist() == [False] * 11 + [True, False]


def test_find_outliers__each_metric_by_its_own_limit(profile: Profile):
    people = pd.DataFrame(
        {name: values for metric in RATIOS for name, values in counts(metric, *ALIKE, 9).items()}
    )
    people = people.assign(batch="w1", ancestry="group1", n_singleton=np.square([21, 22, 23, 24, 25, 29]))
    fitted = pd.Series([True] * 5 + [False])
    flags = find_outliers(people, fitted, outlier_limits(profile, r_het_hom_var=5, n_singleton=3))
    # 9 lies (9 - 3) / 1.4826 = 4.05 deviations above the median.
    assert {name: int(flag.sum()) for name, flag in flags.items()} == {
        "outlier_r_ti_tv": 1,
        "outlier_r_insertion_deletion": 1,
        "outlier_r_het_hom_var": 0,
        "outlier_n_singleton": 1,
    }


def test_find_outliers__what_follows_ancestry_is_no_outlier(profile: Profile):
    rng = np.random.default_rng(5)
    n = 400
    share = rng.beta(2, 1, n)
    people = pd.DataFrame({"batch": "w1", "ancestry": "group1", "pc1": share, "pc2": rng.normal(size=n)})
    # Heterozygotes grow with the share of an ancestry; the last one has too many for theirs alone.
    places = 100 * share + rng.normal(0, 3, n)
    people.loc[n - 1, ["pc1"]], places[-1] = 0.2, 85
    people = people.assign(**counts("r_het_hom_var", *places))
    flags = find_outliers(people, pd.Series([True] * n), outlier_limits(profile))
    assert np.flatnonzero(flags["outlier_r_het_hom_var"]).tolist() == [n - 1]


def between_groups(profile: Profile, n_between: int) -> list[bool]:
    """Two groups of 60, five standard deviations of 0.2 in diameter, and people half-way between them."""
    rng = np.random.default_rng(3)
    centres = np.repeat([[0, 0, 0], [8, 0, 0], [4, 0, 0]], [60, 60, n_between], axis=0)
    people = pd.DataFrame(rng.normal(centres, 0.2), columns=["pc1", "pc2", "pc3"])
    people["ancestry"] = np.where(people["pc1"] < 4, "group1", "group2")
    fitted = pd.Series([True] * len(people))
    return find_between_groups(people, fitted, profile.ancestry, min_stratum=30).tolist()


def test_find_between_groups__few_people_whom_nobody_is_like(profile: Profile):
    assert between_groups(profile, 2) == [False] * 120 + [True] * 2


def test_find_between_groups__a_minority_of_its_own_stays(profile: Profile):
    assert not any(between_groups(profile, 40))
    assert not any(between_groups(profile, 6)), "five of a hundred are a minority as well"


def test_find_between_groups__nobody_without_a_large_group(profile: Profile):
    people = pd.DataFrame(np.random.default_rng(2).normal(size=(20, 3)), columns=["pc1", "pc2", "pc3"])
    people["ancestry"] = "group1"
    found = find_between_groups(people, pd.Series([True] * 20), profile.ancestry, min_stratum=30)
    assert not found.any()
