"""Stretches of the genome from BED files: what a capture aimed at, and what is of low complexity."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.errors import InputError, fault
from etl.config import IntervalsConfig
from etl.frames import read_text_table
from etl.genome import GenomeName, genome

_HEADER_WORDS = ("#", "track", "browser")


@dataclass(frozen=True)
class Intervals:
    """Disjoint stretches by contig, 1-based and closed, ascending."""

    starts: dict[str, NDArray[np.int64]]
    ends: dict[str, NDArray[np.int64]]

    def overlap(self, contig: str, first: int, last: int) -> bool:
        """Whether any base from `first` to `last` lies inside."""
        starts = self.starts.get(contig)
        if starts is None:
            return False
        # The last stretch that begins at or before `last` is the only one that can reach `first`.
        place = int(np.searchsorted(starts, last, side="right")) - 1
        return place >= 0 and bool(self.ends[contig][place] >= first)


def read_intervals(
    config: IntervalsConfig, reference: GenomeName, setting: str = "intervals.bed"
) -> Intervals:
    """Read a BED file (0-based, half open; plain or compressed, any path or URL) and widen its intervals.

    Contig names with and without 'chr' are understood; intervals on contigs that are not primary are left
    out. `setting` is what the configuration calls the file.

    Raises
    ------
    InputError
        If the file is absent or unreadable, a line has no two positions that ascend, an interval ends behind
        its contig, or none lies on a primary contig.
    """
    table = _read_bed(config.bed, setting)
    table = table[~table["contig"].str.startswith(_HEADER_WORDS)]
    start, end = (pd.to_numeric(table[name], errors="coerce") for name in ("start", "end"))
    bad = ~((start >= 0) & (end > start))
    if bad.any():
        first = table[bad].iloc[0]
        found = f"{first['contig']} {first['start']} {first['end']}"
        raise InputError(fault(config.bed, "interval", found=found, wanted="contig, start < end from 0"))
    lengths = genome(reference).lengths
    names = {contig.removeprefix("chr"): contig for contig in lengths} | {
        "MT": genome(reference).contig("MT")
    }
    contig = table["contig"].str.removeprefix("chr").map(names)
    behind = end > contig.map(lengths)
    if behind.any():
        found = f"{table['contig'][behind].iloc[0]} {int(end[behind].iloc[0])}"
        raise InputError(fault(config.bed, "interval", found=found, wanted=f"positions of {reference}"))
    if contig.isna().all():
        raise InputError(fault(config.bed, "intervals", found="none on a primary contig", wanted="some"))
    widened = pd.DataFrame(
        {"contig": contig, "start": start + 1 - config.padding, "end": end + config.padding}
    )
    return _merged(widened.dropna().sort_values(["contig", "start"]))


def read_low_complexity(bed: str, reference: GenomeName) -> Intervals:
    """Regions of low complexity, where calls are mostly wrong; see `read_intervals`."""
    return read_intervals(IntervalsConfig(bed=bed, padding=0), reference, "low_complexity")


def _merged(table: pd.DataFrame) -> Intervals:
    starts, ends = {}, {}
    for name, rows in table.groupby("contig"):
        first, last = rows["start"].to_numpy(np.int64), rows["end"].to_numpy(np.int64)
        reach = np.maximum.accumulate(last)
        fresh = np.concatenate([[True], first[1:] > reach[:-1] + 1])
        starts[str(name)] = first[fresh]
        ends[str(name)] = np.maximum.reduceat(last, np.flatnonzero(fresh))
    return Intervals(starts, ends)


def _read_bed(url: str, setting: str) -> pd.DataFrame:
    try:
        return read_text_table(
            url,
            sep=r"\s+",
            header=None,
            usecols=[0, 1, 2],
            names=["contig", "start", "end"],
            dtype=str,
            keep_default_na=False,
            on_bad_lines="skip",
            compression="infer",
        )
    except (OSError, ValueError, EOFError, zlib.error, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            fault(url, setting, found=f"no readable file ({reason})", wanted="a BED file")
        ) from None
