import numpy as np
import pandas as pd
import pytest

from contract.errors import InputError
from contract.schema import N_FOLDS
from etl.qc.folds import assign_folds, declared_folds


def people(n: int = 400, per_family: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "is_case": rng.integers(0, 2, n),
            "batch": rng.choice(["w1", "w2"], n),
            "ancestry": rng.choice(["group1", "group2"], n, p=[0.8, 0.2]),
            "family": np.arange(n) // per_family,
        }
    )


def test_assign_folds__no_family_crosses_and_every_fold_is_used():
    cohort = people()
    folds = assign_folds(cohort, seed=1)
    assert folds.groupby(cohort["family"]).nunique().eq(1).all()
    assert sorted(folds.unique()) == list(range(N_FOLDS))
    assert folds.dtype == "int32"


def test_assign_folds__balanced_by_status_batch_and_ancestry():
    cohort = people(n=2000, per_family=1)
    folds = assign_folds(cohort, seed=1)
    for column in ("is_case", "batch", "ancestry"):
        counts = pd.crosstab(folds, cohort[column])
        assert (counts.max() - counts.min()).max() <= 8, counts


def test_assign_folds__same_seed_same_folds():
    cohort = people()
    assert assign_folds(cohort, seed=3).equals(assign_folds(cohort, seed=3))
    assert not assign_folds(cohort, seed=3).equals(assign_folds(cohort, seed=4))


def test_assign_folds__too_few_told_together():
    with pytest.raises(InputError) as told:
        assign_folds(people(n=12).assign(is_case=1), seed=1)
    assert told.value.faults == [
        "folds: families: found 3 after quality control, wanted at least 10 (one for each fold)",
        "folds: controls: found 0 after quality control, wanted at least 10 (one for each fold)",
    ]


@pytest.mark.parametrize(("n_batches", "n_ancestries"), [(1, 4), (4, 1), (3, 3)])
def test_assign_folds__strata_smaller_than_the_folds_are_joined(n_batches: int, n_ancestries: int):
    place = np.arange(24)
    cohort = pd.DataFrame(
        {
            "is_case": place % 2,
            "batch": (place // 2 % n_batches).astype(str),
            "ancestry": (place // 2 % n_ancestries).astype(str),
            "family": place,
        }
    )
    folds = assign_folds(cohort, seed=1)
    assert sorted(folds.unique()) == list(range(N_FOLDS))
    counts = pd.crosstab(folds, cohort["is_case"])
    assert counts.min().min() >= 1, "12 cases and 12 controls: both in every fold"


def test_assign_folds__people_in_large_strata_are_still_balanced_by_all_three():
    cohort = people(n=60, per_family=1).assign(is_case=[0, 1] * 30, batch="w1", ancestry="group1")
    mixed = cohort.assign(ancestry=["group1"] * 40 + ["group2"] * 20)
    folds = assign_folds(mixed, seed=1)
    assert pd.crosstab(folds, mixed["ancestry"])["group1"].eq(4).all()


def test_declared_folds__as_the_table_says():
    people = pd.DataFrame({"declared_fold": [3.0, 0.0, 3.0], "family": [1, 2, 1]})
    assert declared_folds(people).tolist() == [3, 0, 3]


def test_declared_folds__a_family_in_two_folds():
    people = pd.DataFrame({"declared_fold": [3.0, 0.0, 4.0], "family": [1, 2, 1]})
    with pytest.raises(InputError, match="found 1 families whose members stand in several folds, wanted"):
        declared_folds(people)
