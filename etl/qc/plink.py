"""Markers as PLINK 1 files: two bits for a genotype, read by Hail, PLINK and numpy alike.

Axes: M markers in genome order, P people, B bytes of four people each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HOM_ALT_BITS, MISSING_BITS, HET_BITS, HOM_REF_BITS = range(4)
"""Codes of a genotype where allele 1 is the alternate one."""

SITE_COLUMNS = ("contig", "position", "ref", "alt")

_MAGIC = b"\x6c\x1b\x01"
_SHIFTS = np.array([0, 2, 4, 6], dtype=np.uint8)
_DOSAGES = np.array([2, np.nan, 1, 0])[(np.arange(256)[:, None] >> _SHIFTS) & 3]
"""The four numbers of alternate alleles in each value of a byte."""


@dataclass(frozen=True)
class Markers:
    """Genotypes of biallelic markers, all of them diploid."""

    sites: pd.DataFrame
    """`SITE_COLUMNS` along the markers."""
    people: tuple[str, ...]
    packed_MB: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sites)

    def take(self, places: NDArray[np.integer]) -> Markers:
        """Some of the markers."""
        return Markers(self.sites.iloc[places].reset_index(drop=True), self.people, self.packed_MB[places])

    def dosages(self, first: int, last: int) -> NDArray[np.float64]:
        """Alternate alleles of the markers first … last − 1 along the people; NaN where there is no call."""
        return _DOSAGES[self.packed_MB[first:last]].reshape(last - first, 4 * self.packed_MB.shape[1])[
            :, : len(self.people)
        ]

    def dosages_of(self, first: int, last: int) -> NDArray[np.float64]:
        """Alternate alleles of the people first … last − 1 along all markers; `first` is a multiple of 4."""
        packed_MB = self.packed_MB[:, first // 4 : packed_width(last)]
        return _DOSAGES[packed_MB].reshape(len(self), 4 * packed_MB.shape[1])[:, : last - first]


def packed_width(n_people: int) -> int:
    """Bytes of a marker."""
    return -(-n_people // 4)


def pack(bits_MP: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four codes to a byte, the first person in the lowest bits; the last byte is filled up with zeros."""
    n_markers, n_people = bits_MP.shape
    padded = np.zeros((n_markers, packed_width(n_people), 4), dtype=np.uint8)
    padded.reshape(n_markers, -1)[:, :n_people] = bits_MP
    return np.bitwise_or.reduce(padded << _SHIFTS, axis=2)


def write_plink(markers: Markers, prefix: str) -> None:
    """Write prefix.bed, prefix.bim and prefix.fam, tab-separated; allele 2 is the reference."""
    sites = zip(*(markers.sites[name] for name in SITE_COLUMNS), strict=True)
    _write_lines(
        f"{prefix}.bim",
        (
            (contig, f"{contig}:{position}:{ref}:{alt}", 0, position, alt, ref)
            for contig, position, ref, alt in sites
        ),
    )
    _write_lines(f"{prefix}.fam", ((0, person, 0, 0, 0, -9) for person in markers.people))
    with Path(f"{prefix}.bed").open("wb") as stream:
        stream.write(_MAGIC)
        stream.write(markers.packed_MB.tobytes())


def read_plink(prefix: str) -> Markers:
    """Read what `write_plink` wrote, or other such files that are tab-separated."""
    bim = pd.DataFrame(
        _read_lines(f"{prefix}.bim"), columns=["contig", "name", "morgans", "position", "alt", "ref"]
    )
    people = tuple(line[1] for line in _read_lines(f"{prefix}.fam"))
    sites = bim.astype({"position": int})[list(SITE_COLUMNS)]
    stored = np.fromfile(f"{prefix}.bed", dtype=np.uint8, offset=len(_MAGIC))
    return Markers(sites, people, stored.reshape(len(sites), packed_width(len(people))))


def _write_lines(path: str, rows: Iterable[tuple[object, ...]]) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    Path(path).write_text(text, encoding="utf-8", newline="")


def _read_lines(path: str) -> list[list[str]]:
    return [line.split("\t") for line in Path(path).read_text(encoding="utf-8").split("\n") if line]
