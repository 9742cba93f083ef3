"""Covariates of the dataset: sex, ancestry components, batches, and columns of the samples table by name.

A column holds numbers, or text of two values, of which the later in the alphabet is 1. Who has no value gets
the mean of the people outside the test fold; where more than `MAX_FILLED` of those have none, a column that
says who follows. Imports neither Hail nor Spark: the check reads columns before either starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from contract.manifest import CovariateColumn
from etl.config import EtlConfig, SamplesConfig
from etl.ingest.samples import read_columns

KINDS = ("is_female", "ancestry_pcs", "batch")
"""Names in `covariates` that are not columns of the samples table."""
MAX_FILLED = 0.01
"""Share of people outside the test fold without a value, above which it is told who they are; our own."""
MISSING_SUFFIX = "_missing"
COMPONENT = re.compile(r"pc\d+", re.IGNORECASE)

Levels = tuple[str, str] | None
"""The two values of a text column, 0 and 1; None: numbers."""


@dataclass(frozen=True)
class Covariates:
    """Covariates of everybody.

    Attributes
    ----------
    values
        One column per covariate, float, none missing; along the people.
    columns
        How each column of the samples table was read: covariate -> its rule.
    """

    values: pd.DataFrame
    columns: dict[str, CovariateColumn]

    @property
    def of_this_cohort(self) -> list[str]:
        """Those that mean nothing in another cohort: ancestry components and batches."""
        own = {*self.columns, *(name + MISSING_SUFFIX for name in self.columns), "is_female"}
        return [str(name) for name in self.values if name not in own]

    def words(self) -> list[str]:
        """One text per covariate: its name, and for a column of the samples table how it was read."""
        return [
            f"{name} ({self.columns[name].words()})" if name in self.columns else str(name)
            for name in self.values
        ]


def make_covariates(
    samples: pd.DataFrame, config: EtlConfig, fixed: Mapping[str, CovariateColumn] | None = None
) -> Covariates:
    """Covariates in the order of the configuration.

    is_female is 1, 0, or 0.5 where sex is unknown; a batch is 1 in its own column, the first batch in none.

    Parameters
    ----------
    samples
        People of the dataset: sample_id, sex, batch, fold and the ancestry components.
    config
        `covariates`, `samples` and `folds` are looked at.
    fixed
        Rules of another cohort that these people follow; null: learned from those outside the test fold.

    Raises
    ------
    InputError
        If a column is absent or of another kind, or nobody outside the test fold has a value.
    """
    names = column_names(config.covariates)
    columns, own = dict(fixed or {}), pd.DataFrame(index=samples.index)
    if names:
        text = read_columns(config.samples, names).loc[samples["sample_id"]].set_axis(samples.index)
        levels = read_levels(config.samples, text, names) if fixed is None else _levels(columns)
        values = encode(text, levels, config.samples.path)
        if fixed is None:
            columns = learn(values, levels, samples["fold"] != config.folds.test, config.samples.path)
        own = complete(values, columns)
    parts: list[pd.DataFrame] = []
    for kind in config.covariates:
        if kind == "is_female":
            parts.append(samples["sex"].map({"female": 1.0, "male": 0.0}).fillna(0.5).to_frame("is_female"))
        elif kind == "ancestry_pcs":
            parts.append(samples[[name for name in samples if re.fullmatch(r"pc\d+", str(name))]])
        elif kind == "batch":
            parts.append(pd.get_dummies(samples["batch"], prefix="batch", dtype=float, drop_first=True))
        else:
            parts.append(own[[name for name in (kind, kind + MISSING_SUFFIX) if name in own]])
    frame = pd.concat([pd.DataFrame(index=samples.index), *parts], axis=1).astype(float)
    return Covariates(frame, columns)


def column_names(covariates: Iterable[str]) -> list[str]:
    """Those that are columns of the samples table."""
    return [name for name in covariates if name not in KINDS]


def check_columns(config: EtlConfig) -> None:
    """What can be told of the columns before any work: everybody's values, nobody's status.

    Raises
    ------
    InputError
        With one sentence for each column that cannot be a covariate.
    """
    names = column_names(config.covariates)
    if not names:
        return
    faults = _name_faults(config, names)
    if faults:
        raise InputError(faults)
    read_levels(config.samples, read_columns(config.samples, names), names)


def read_levels(config: SamplesConfig, text: pd.DataFrame, names: Iterable[str]) -> dict[str, Levels]:
    """Which columns are numbers, and the two values of the others.

    Raises
    ------
    InputError
        With one sentence for each column that is neither, or that has one value alone.
    """
    levels: dict[str, Levels] = {}
    faults = []
    for name in names:
        known = text[name].dropna()
        different = sorted(known.unique())
        numbers = pd.to_numeric(known, errors="coerce")
        if len(different) < 2:
            found = f"{different[0]} for everybody" if different else "no value for anybody"
            faults.append(_fault(config, name, found, "at least two values"))
        elif np.isfinite(numbers).all():
            levels[name] = None
        elif len(different) == 2:
            levels[name] = (different[0], different[1])
        else:
            odd = sorted(known[~np.isfinite(numbers)].unique())
            shown = ", ".join(odd[:3]) + (", …" if len(odd) > 3 else "")
            found = f"{len(different)} values, of which {len(odd)} are no numbers ({shown})"
            faults.append(_fault(config, name, found, "numbers, or two values"))
    if faults:
        raise InputError(faults)
    return levels


def encode(text: pd.DataFrame, levels: Mapping[str, Levels], path: str) -> pd.DataFrame:
    """Columns as numbers, missing where there is no value.

    Raises
    ------
    InputError
        If a value is none of the two that a column should have, or no number where it has numbers.
    """
    found, faults = pd.DataFrame(index=text.index), []
    for name, pair in levels.items():
        numbers = (
            pd.to_numeric(text[name], errors="coerce")
            if pair is None
            else text[name].map({pair[0]: 0.0, pair[1]: 1.0})
        )
        found[name] = numbers.astype(float)
        if wrong := int((text[name].notna() & ~np.isfinite(found[name])).sum()):
            wanted = "numbers" if pair is None else f"{pair[0]} or {pair[1]}"
            faults.append(fault(path, f"column '{name}'", found=f"{wrong} other values", wanted=wanted))
    if faults:
        raise InputError(faults)
    return found


def learn(
    values: pd.DataFrame, levels: Mapping[str, Levels], outside: pd.Series, path: str
) -> dict[str, CovariateColumn]:
    """What stands for missing values: the mean of the people outside the test fold.

    Parameters
    ----------
    values
        Encoded columns.
    levels
        Of each column.
    outside
        Whether a person is outside the test fold.
    path
        The samples table, for faults.

    Raises
    ------
    InputError
        If nobody outside the test fold has a value.
    """
    columns = {}
    for name, pair in levels.items():
        known = values.loc[outside, name]
        if known.isna().all():
            found, wanted = "no value of anybody outside the test fold", "some"
            raise InputError(fault(path, f"column '{name}'", found=found, wanted=wanted))
        zero, one = pair or (None, None)
        columns[name] = CovariateColumn(
            zero=zero,
            one=one,
            mean=float(known.mean()),
            filled=int(values[name].isna().sum()),
            indicator=bool(known.isna().mean() > MAX_FILLED),
        )
    return columns


def complete(values: pd.DataFrame, columns: Mapping[str, CovariateColumn]) -> pd.DataFrame:
    """Encoded columns without missing values, each followed by who had none where its rule says so."""
    found = {}
    for name, column in columns.items():
        found[name] = values[name].fillna(column.mean)
        if column.indicator:
            found[name + MISSING_SUFFIX] = values[name].isna().astype(float)
    return pd.DataFrame(found, index=values.index)


def doubts(covariates: Covariates, samples: pd.DataFrame, outside: pd.Series) -> list[str]:
    """What a reader must know of columns of the samples table: often no value, or the status by another name.

    Parameters
    ----------
    covariates
        Of everybody.
    samples
        is_case, along them.
    outside
        Whether a person is outside the test fold: nobody else's status is looked at.
    """
    told = []
    for name, column in covariates.columns.items():
        if column.indicator:
            told.append(
                f"covariate {name}: {column.filled:,} people have no value; they have the mean, and "
                f"{name}{MISSING_SUFFIX} is 1"
            )
        of_status = covariates.values.loc[outside, name].groupby(samples.loc[outside, "is_case"])
        lowest, highest = of_status.min(), of_status.max()
        if len(lowest) == 2 and (lowest[0] > highest[1] or lowest[1] > highest[0]):
            told.append(f"covariate {name} alone tells every case from every control: is it the status?")
    return told


def _levels(columns: Mapping[str, CovariateColumn]) -> dict[str, Levels]:
    return {
        name: None if column.zero is None or column.one is None else (column.zero, column.one)
        for name, column in columns.items()
    }


def _name_faults(config: EtlConfig, names: list[str]) -> list[str]:
    samples = config.samples
    roles = {
        samples.sample_id: "the people's names",
        samples.status.column if samples.status else None: "the status",
        samples.fold: "the folds",
        samples.family: "the families",
        samples.ancestry: "the known ancestry (ancestry_pcs stands for it)",
        samples.batch: "the batches (batch stands for them)",
        samples.sex.column if samples.sex else None: "the sex (is_female stands for it)",
    }
    stems = {name + MISSING_SUFFIX for name in names}
    faults = []
    for name in names:
        if name in roles:
            faults.append(_fault(samples, name, f"the column of {roles[name]}", "a column of no other use"))
        elif COMPONENT.fullmatch(name):
            wanted = "another name: the ETL's own ancestry components have such names"
            faults.append(_fault(samples, name, "the name of a component", wanted))
        elif name.startswith("batch_"):
            wanted = "another name: columns of batches begin like this"
            faults.append(_fault(samples, name, "the name of a batch", wanted))
        elif name in stems:
            wanted = f"another name: it says who has no {name.removesuffix(MISSING_SUFFIX)}"
            faults.append(_fault(samples, name, "a name that is in use", wanted))
    return faults


def _fault(config: SamplesConfig, name: str, found: str, wanted: str) -> str:
    return fault(config.path, f"covariates: column '{name}'", found=found, wanted=wanted)
