"""Markers as PLINK 1 files: two bits for a genotype, read by Hail, PLINK and numpy alike.

Axes: M markers in genome order, P people, B bytes of four people each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.storage import is_url, open_storage, read_whole, write_whole

HOM_ALT_BITS, MISSING_BITS, HET_BITS, HOM_REF_BITS = range(4)
"""Codes of a genotype where allele 1 is the alternate one."""

Value = TypeVar("Value", bound=np.generic)

SITE_COLUMNS = ("contig", "position", "ref", "alt")

_MAGIC = b"\x6c\x1b\x01"
_SHIFTS = np.array([0, 2, 4, 6], dtype=np.uint8)
_CODES = (np.arange(256)[:, None] >> _SHIFTS) & 3
"""The four codes in each value of a byte."""
_DOSAGES = np.array([2, np.nan, 1, 0])[_CODES]


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
        return unpacked(self.packed_MB[first:last], len(self.people), _DOSAGES)

    def codes_of(self, people: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Codes of some people at all markers, by their places: M × as many."""
        return (self.packed_MB[:, people // 4] >> _SHIFTS[people % 4]) & 3


@dataclass(frozen=True)
class MarkerFile:
    """A PLINK file that all machines see, for tasks that need some people at some markers."""

    prefix: str
    n_markers: int
    n_people: int

    def values(self, rows: slice, people: slice, *tables: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Genotypes as tables of `by_code` have them: markers × people, an array for each table.

        Parameters
        ----------
        rows
            First and last of the markers; only their part of the file is read.
        people
            Likewise; `start` is a multiple of the four people in a byte.
        tables
            Of `by_code`.
        """
        packed_MB = self._stored(rows)[:, people.start // 4 : packed_width(people.stop)]
        return [unpacked(packed_MB, people.stop - people.start, table) for table in tables]

    def _stored(self, rows: slice) -> NDArray[np.uint8]:
        """Packed genotypes of markers; of a file of this machine only what is looked at is read."""
        path, width = f"{self.prefix}.bed", packed_width(self.n_people)
        filesystem, inside = open_storage(path)
        if not is_url(path):
            shape = (self.n_markers, width)
            return np.memmap(inside, np.uint8, "r", offset=len(_MAGIC), shape=shape)[rows]
        first, last, _ = rows.indices(self.n_markers)
        place = len(_MAGIC)
        start, end = place + first * width, place + last * width
        content = filesystem.cat_file(inside, start=start, end=end)
        return np.frombuffer(content, np.uint8).reshape(last - first, width)


def by_code(*, hom_ref: float, het: float, hom_alt: float, missing: float) -> NDArray[np.float32]:
    """What stands for a genotype of each code, for all four of each value of a byte."""
    values = np.empty(4, dtype=np.float32)
    values[[HOM_REF_BITS, HET_BITS, HOM_ALT_BITS, MISSING_BITS]] = hom_ref, het, hom_alt, missing
    return values[_CODES]


DOSAGE = by_code(hom_ref=0, het=1, hom_alt=2, missing=0)
CALLED = by_code(hom_ref=1, het=1, hom_alt=1, missing=0)


def unpacked(packed_MB: NDArray[np.uint8], n_people: int, table: NDArray[Value]) -> NDArray[Value]:
    """Look all genotypes up in a table of `by_code`, four at once: markers × people."""
    return table[packed_MB].reshape(len(packed_MB), 4 * packed_MB.shape[1])[:, :n_people]


def packed_width(n_people: int) -> int:
    """Bytes of a marker."""
    return -(-n_people // 4)


def pack(bits_MP: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four codes to a byte, the first person in the lowest bits; the last byte is filled up with zeros."""
    n_markers, n_people = bits_MP.shape
    padded = np.zeros((n_markers, packed_width(n_people), 4), dtype=np.uint8)
    padded.reshape(n_markers, 4 * packed_width(n_people))[:, :n_people] = bits_MP
    return np.bitwise_or.reduce(padded << _SHIFTS, axis=2)


def write_plink(markers: Markers, prefix: str) -> MarkerFile:
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
    write_whole(f"{prefix}.bed", _MAGIC + markers.packed_MB.tobytes())
    return MarkerFile(prefix, len(markers), len(markers.people))


def read_plink(prefix: str) -> Markers:
    """Read what `write_plink` wrote, or other such files that are tab-separated."""
    bim = pd.DataFrame(
        _read_lines(f"{prefix}.bim"), columns=["contig", "name", "morgans", "position", "alt", "ref"]
    )
    people = tuple(line[1] for line in _read_lines(f"{prefix}.fam"))
    sites = bim.astype({"position": int})[list(SITE_COLUMNS)]
    stored = np.frombuffer(read_whole(f"{prefix}.bed"), dtype=np.uint8, offset=len(_MAGIC))
    return Markers(sites, people, stored.reshape(len(sites), packed_width(len(people))))


def _write_lines(path: str, rows: Iterable[tuple[object, ...]]) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    write_whole(path, text.encode())


def _read_lines(path: str) -> list[list[str]]:
    return [line.split("\t") for line in read_whole(path).decode().split("\n") if line]
