"""The samples table: status, reported sex, batch, declared family, known ancestry."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from contract.schema import N_FOLDS
from etl.config import SamplesConfig
from etl.frames import read_text_table
from etl.ingest.fam import is_people_file, read_people_file, status_faults

MISSING = ["", "NA", "NaN", "nan", "."]


def read_samples(config: SamplesConfig, *, both_classes: bool = True) -> pd.DataFrame:
    """Read the samples table into the project's own columns.

    Parameters
    ----------
    config
        The table and its columns.
    both_classes
        Whether there must be cases and controls.

    Returns
    -------
    pandas.DataFrame
        One row per person in the table's order: sample_id, is_case (1, 0, missing), reported_sex
        (female, male, missing), batch ('all' when the configuration names no column), declared_family,
        known_ancestry, declared_fold (missing when no column is named).

    Raises
    ------
    InputError
        If the file is absent or unreadable, a named column is absent, an id stands twice, the status
        column lacks cases or controls, or somebody's fold is none.
    """
    table = _read_table(config.path)
    columns = [config.sample_id, config.batch, config.family, config.ancestry, config.fold]
    if config.status:
        columns.append(config.status.column)
    if config.sex:
        columns.append(config.sex.column)
    faults = [
        fault(
            config.path, f"column '{name}'", found=f"columns {', '.join(table.columns)}", wanted=f"'{name}'"
        )
        for name in columns
        if name is not None and name not in table.columns
    ]
    if faults:
        raise InputError(faults)
    samples = pd.DataFrame(
        {
            "sample_id": table[config.sample_id],
            "is_case": _status(table, config),
            "reported_sex": _sex(table, config),
            "batch": table[config.batch].fillna("unknown") if config.batch else "all",
            "declared_family": table[config.family] if config.family else None,
            "known_ancestry": table[config.ancestry] if config.ancestry else None,
            "declared_fold": pd.to_numeric(table[config.fold], errors="coerce") if config.fold else None,
        }
    )
    faults = _fold_faults(samples, config)
    faults += _identity_faults(samples, config.path)
    if both_classes:
        faults += _code_faults(table, config) or _status_faults(samples, table, config)
    if faults:
        raise InputError(faults)
    if config.permute_status is not None:
        samples["is_case"] = permuted_status(samples, config.permute_status)
    return samples


def permuted_status(samples: pd.DataFrame, seed: int) -> pd.Series:
    """Status that says nothing of anybody: whole families swap theirs with families of the same size.

    A step that leaks the labels of the sealed fold makes up a score from these as well; labels that are
    permuted after it cannot show that.

    Parameters
    ----------
    samples
        is_case, and declared_family (missing for none). People of unknown status keep it.
    seed
        Same table, same seed: same status.
    """
    random = np.random.default_rng(seed)
    known = samples[samples["is_case"].notna()]
    alone = pd.Series([f"alone {place}" for place in known.index], index=known.index)
    members = known.groupby(
        known["declared_family"].map("family {}".format, na_action="ignore").fillna(alone)
    )
    by_size: dict[int, list[pd.Index]] = {}
    for _, family in members:
        by_size.setdefault(len(family), []).append(family.index)
    status = samples["is_case"].copy()
    for families in by_size.values():
        for place, other in enumerate(random.permutation(len(families))):
            status.loc[families[place]] = samples.loc[families[other], "is_case"].to_numpy()
    return status


def match_samples(
    samples: pd.DataFrame, in_calls: Sequence[str], table_path: str, calls_path: str, *, people_field: str
) -> list[str]:
    """Faults where the table and the calls name different people; counts only, no ids.

    Parameters
    ----------
    samples
        See `read_samples`.
    in_calls
        Names of the people who are called, as the calls have them.
    table_path, calls_path
        Named in the messages.
    people_field
        Where calls of this format name people, see `etl.ingest.source.Source`.
    """
    in_table, called = set(samples["sample_id"]), set(in_calls)
    faults = []
    if repeated := len(in_calls) - len(called):
        faults.append(fault(calls_path, people_field, found=f"{repeated} repeated names", wanted="each once"))
    if absent := len(in_table - called):
        found = f"{absent} people of {table_path} absent"
        faults.append(fault(calls_path, people_field, found=found, wanted="all of them"))
    if extra := len(called - in_table):
        found = f"{extra} people of {calls_path} absent"
        faults.append(fault(table_path, "samples", found=found, wanted="all of them"))
    return faults


def _read_table(url: str) -> pd.DataFrame:
    if is_people_file(url):
        table = read_people_file(url)
        return table.mask(table.isin(MISSING))
    return _read_text(url)


def _read_text(url: str) -> pd.DataFrame:
    """The table as text, in UTF-8 or, where that fails, Latin-1, as the VCF's header is read."""
    for encoding in ("utf-8-sig", "latin-1"):
        try:
            table = read_text_table(
                url,
                sep="," if url.endswith(".csv") else "\t",
                dtype=str,
                na_values=MISSING,
                keep_default_na=False,
                index_col=False,
                encoding=encoding,
            )
        except UnicodeDecodeError:
            continue
        except FileNotFoundError:
            raise InputError(
                fault(url, "samples.path", found="no such file", wanted="a samples table")
            ) from None
        except (OSError, ValueError, EOFError, zlib.error, ImportError) as error:
            raise InputError(
                fault(url, "samples.path", found=f"an unreadable table ({error})", wanted="text")
            ) from None
        break
    table.columns = [str(name).strip() for name in table.columns]
    if not all(name.isprintable() for name in table.columns):
        found = "an unreadable table (binary content)"
        raise InputError(fault(url, "samples.path", found=found, wanted="text"))
    return table


def _status(table: pd.DataFrame, config: SamplesConfig) -> pd.Series:
    coded = pd.Series(pd.NA, index=table.index, dtype="Int8")
    if config.status:
        coded[table[config.status.column].isin(config.status.case)] = 1
        coded[table[config.status.column].isin(config.status.control)] = 0
    return coded


def _sex(table: pd.DataFrame, config: SamplesConfig) -> pd.Series:
    sex = pd.Series(None, index=table.index, dtype=object)
    if config.sex:
        sex[table[config.sex.column].isin(config.sex.female)] = "female"
        sex[table[config.sex.column].isin(config.sex.male)] = "male"
    return sex


def _identity_faults(samples: pd.DataFrame, path: str) -> list[str]:
    faults = []
    if unnamed := int(samples["sample_id"].isna().sum()):
        faults.append(fault(path, "sample id", found=f"{unnamed} empty", wanted="one in every row"))
    if repeated := int(samples["sample_id"].dropna().duplicated().sum()):
        faults.append(fault(path, "sample id", found=f"{repeated} repeated", wanted="each once"))
    return faults


def _fold_faults(samples: pd.DataFrame, config: SamplesConfig) -> list[str]:
    if config.fold is None or not (wrong := ~samples["declared_fold"].isin(range(N_FOLDS))).any():
        return []
    found, wanted = f"{wrong.sum()} people without one", f"a whole number from 0 to {N_FOLDS - 1} for each"
    return [fault(config.path, f"column '{config.fold}'", found=found, wanted=wanted)]


def _code_faults(table: pd.DataFrame, config: SamplesConfig) -> list[str]:
    """Values of PLINK's column of status that are none; a table of the user's own may hold others."""
    if config.status is None or not is_people_file(config.path):
        return []
    return status_faults(config.path, table[config.status.column], config.status)


def _status_faults(samples: pd.DataFrame, table: pd.DataFrame, config: SamplesConfig) -> list[str]:
    present = set(samples["is_case"].dropna())
    if present == {0, 1} or config.status is None:
        return []
    values = sorted(table[config.status.column].dropna().unique())
    shown = ", ".join(values[:6]) + (", …" if len(values) > 6 else "")
    wanted = (
        f"two values: case ({', '.join(config.status.case)}) and control ({', '.join(config.status.control)})"
    )
    return [fault(config.path, f"column '{config.status.column}'", found=shown or "nothing", wanted=wanted)]


def read_columns(config: SamplesConfig, names: Sequence[str]) -> pd.DataFrame:
    """Columns of the samples table as text without spaces at the ends, by sample id; missing where empty.

    Raises
    ------
    InputError
        If the file is absent or unreadable, or lacks a column.
    """
    table = _read_table(config.path)
    shown = ", ".join(table.columns)
    faults = [
        fault(config.path, f"column '{name}'", found=f"columns {shown}", wanted=f"'{name}'")
        for name in (config.sample_id, *names)
        if name not in table.columns
    ]
    if faults:
        raise InputError(faults)
    return table.set_index(config.sample_id)[list(names)].apply(lambda column: column.str.strip())
