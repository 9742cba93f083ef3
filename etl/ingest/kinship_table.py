"""Kinship of pairs as other tools write it."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Literal

import pandas as pd

from contract.errors import InputError, fault
from etl.frames import read_text_table

NAMES = {
    "first": ("id1", "iid1", "i", "first"),
    "second": ("id2", "iid2", "j", "second"),
    "kinship": ("kinship", "kin", "phi"),
}
"""Columns of KING and plink2 (.kin0), GENESIS and Hail (PC-Relate), and our own tables; in lower case."""


def read_kinship(url: str, people: Collection[str]) -> pd.DataFrame:
    """Pairs of people of the cohort: first, second (ascending) and kinship.

    Pairs with others are left out; of a pair that stands twice the larger kinship stays.

    Raises
    ------
    InputError
        If the table is absent or unreadable, lacks a column, has a kinship that is no number, or names
        nobody of the cohort.
    """
    table = _read(url)
    names = {name.lstrip("#").lower(): name for name in table.columns}
    columns = {
        ours: next((names[theirs] for theirs in known if theirs in names), None)
        for ours, known in NAMES.items()
    }
    faults = [
        fault(
            url,
            f"column of {ours}",
            found=f"columns {', '.join(table.columns[:8])}",
            wanted=f"one of {', '.join(NAMES[ours])}",
        )
        for ours, theirs in columns.items()
        if theirs is None
    ]
    if faults:
        raise InputError(faults)
    pairs = pd.DataFrame({ours: table[theirs] for ours, theirs in columns.items()})
    kinship = pd.to_numeric(pairs["kinship"], errors="coerce")
    unreadable = pairs.loc[kinship.isna(), "kinship"]
    if len(unreadable):
        raise InputError(
            fault(url, "kinship", found=f"'{unreadable.iloc[0]}'", wanted="a number in every row")
        )
    pairs["kinship"] = kinship
    ours = pairs[pairs["first"].isin(people) & pairs["second"].isin(people)]
    if len(pairs) and ours.empty:
        raise InputError(
            fault(url, "sample ids", found="no pair of people of the calls", wanted="the VCF's names")
        )
    ends = ours[["first", "second"]]
    ordered = pd.DataFrame(
        {"first": ends.min(axis=1), "second": ends.max(axis=1), "kinship": ours["kinship"]}
    )
    ordered = ordered[ordered["first"] != ordered["second"]]
    return ordered.groupby(["first", "second"], sort=True)["kinship"].max().reset_index()


def _read(url: str) -> pd.DataFrame:
    separator = "," if url.endswith(".csv") else r"\s+"
    try:
        packing: Literal["gzip", "infer"] = "gzip" if url.endswith(".bgz") else "infer"
        return read_text_table(url, sep=separator, dtype=str, compression=packing)
    except FileNotFoundError:
        found = "no such file"
    except (OSError, ValueError, EOFError, zlib.error) as error:
        found = f"an unreadable table ({error})"
    raise InputError(fault(url, "kinship.table", found=found, wanted="a table of pairs"))
