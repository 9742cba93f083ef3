"""The assignment of families to folds."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from contract.errors import InputError
from contract.schema import N_FOLDS


def assign_folds(people: pd.DataFrame, *, seed: int) -> pd.Series:
    """Assign every family to one of the folds, balanced by status × batch × ancestry.

    Where no such stratum has a person for each fold, they are balanced by status × batch, else by status.

    Parameters
    ----------
    people
        is_case, batch, ancestry, family.
    seed
        Same people, same seed: same folds.

    Returns
    -------
    pandas.Series
        int32 along `people`, 0 to 9.

    Raises
    ------
    InputError
        If there are fewer families than folds, or fewer cases or controls.
    """
    counts = {
        "families": people["family"].nunique(),
        "cases": int((people["is_case"] == 1).sum()),
        "controls": int((people["is_case"] == 0).sum()),
    }
    short = [f"{name}: found {count} after quality control, wanted at least {N_FOLDS}"
             for name, count in counts.items() if count < N_FOLDS]  # fmt: skip
    if short:
        raise InputError([f"folds: {text} (one for each fold)" for text in short])
    strata = _strata(people)
    splitter = StratifiedGroupKFold(n_splits=N_FOLDS, shuffle=True, random_state=seed)
    folds = pd.Series(0, index=people.index, dtype="int32")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        for number, (_, members) in enumerate(
            splitter.split(np.zeros(len(people)), strata, people["family"])
        ):
            folds.iloc[members] = number
    return folds


def declared_folds(people: pd.DataFrame) -> pd.Series:
    """Folds that the samples table names.

    Parameters
    ----------
    people
        declared_fold, family.

    Raises
    ------
    InputError
        If relatives, declared or found by kinship, stand in several folds.
    """
    folds = people["declared_fold"].astype("int32")
    if split := int((folds.groupby(people["family"]).nunique() > 1).sum()):
        raise InputError(
            f"samples.fold: found {split} families whose members stand in several folds, wanted relatives of "
            "second degree or closer together: what is learned from one is known of the other"
        )
    return folds


def _strata(people: pd.DataFrame) -> pd.Series:
    for columns in (["is_case", "batch", "ancestry"], ["is_case", "batch"]):
        strata = people[columns].astype(str).agg("|".join, axis=1)
        if strata.value_counts().max() >= N_FOLDS:
            return strata
    return people["is_case"].astype(str)
