"""PLINK's tables of people: .fam and .psam."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.config import PEOPLE_FILES, StatusColumn
from etl.ingest.header import decode, shown

FAM_COLUMNS = ("family", "sample_id", "father", "mother", "sex", "status")
"""Columns of a .fam; those of a .psam get the same names."""

_PSAM_NAMES = {"#FID": "family", "FID": "family", "#IID": "sample_id", "IID": "sample_id", "PAT": "father",
               "MAT": "mother", "SEX": "sex"}  # fmt: skip
UNKNOWN_STATUS = ("0", "-9", "NA", "nan", "NaN", ".", "")
"""What PLINK takes for no status in a column of cases and controls."""

MOST_VALUES = 6
"""Values that a message names."""


def is_people_file(url: str) -> bool:
    """Whether a file is a table of people of PLINK, by its name."""
    return url.endswith(PEOPLE_FILES)


def read_people_file(url: str) -> pd.DataFrame:
    """A .fam or .psam as text, its columns named as in `FAM_COLUMNS`.

    A .psam's first phenotype is the column `status` and keeps its own name too; other columns keep theirs.
    A family of 0 is missing: it means none.

    Raises
    ------
    InputError
        If the file is absent, empty, or a line has another number of columns.
    """
    text = _text(url)
    table = _psam(url, text) if url.endswith(".psam") else _columns(url, text, list(FAM_COLUMNS))
    table["family"] = table["family"].mask(table["family"].isin(["0", "", "NA"]))
    return table


def status_faults(url: str, status: pd.Series, codes: StatusColumn) -> list[str]:
    """The fault of a column that holds anything but status: a quantitative phenotype, another coding."""
    others = status[~status.isin([*codes.case, *codes.control, *UNKNOWN_STATUS]) & status.notna()]
    if others.empty:
        return []
    values = sorted(others.unique())
    named = ", ".join(values[:MOST_VALUES]) + (", …" if len(values) > MOST_VALUES else "")
    wanted = (
        f"case ({', '.join(codes.case)}), control ({', '.join(codes.control)}) or none (0, -9, NA); "
        "samples.status names other codes, or another table has the status"
    )
    return [fault(url, f"column '{codes.column}'", found=f"{named} of {len(others)} people", wanted=wanted)]


def men(people: pd.DataFrame) -> NDArray[np.bool_]:
    """Who is a man by the column `sex`: 1 or M."""
    return people["sex"].isin(["1", "M", "m", "male"]).to_numpy()


def _text(url: str) -> str:
    filesystem, path = open_storage(url)
    try:
        with filesystem.open(path, "rb") as stream:
            text = decode(stream.read())
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"no readable file ({error})"
        raise InputError(fault(url, "people", found=found, wanted="a .fam or .psam file")) from None
    if not text.strip():
        raise InputError(fault(url, "people", found="an empty file", wanted="a line for each person"))
    return text


def _psam(url: str, text: str) -> pd.DataFrame:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("##")]
    names = lines[0].split()
    if names[0] not in ("#FID", "#IID"):
        # As plink2 reads a file without a header: a .fam.
        return _columns(url, "\n".join(lines), list(FAM_COLUMNS))
    names = [_PSAM_NAMES.get(name, name) for name in names]
    if "sample_id" not in names:
        raise InputError(fault(url, "header", found=shown(lines[0].expandtabs(1)), wanted="a column IID"))
    table = _columns(url, "\n".join(lines[1:]), names)
    for name in ("family", "sex"):
        if name not in table:
            table[name] = ""
    phenotypes = [name for name in names if name not in (*FAM_COLUMNS[:5], "SID")]
    if phenotypes and "status" not in table:
        table["status"] = table[phenotypes[0]]
    return table


def _columns(url: str, text: str, names: list[str]) -> pd.DataFrame:
    wanted = f"{len(names)}: {', '.join(names)}"
    for number, line in enumerate(text.splitlines(), start=1):
        n_columns = len(line.split())
        if n_columns not in (0, len(names)):
            found = f"{n_columns} columns"
            raise InputError(fault(url, f"person {number}", found=found, wanted=wanted))
    return pd.read_csv(
        io.StringIO(text), sep=r"\s+", header=None, names=names, dtype=str, keep_default_na=False, quoting=3
    )
