"""Text files with one line for each variant (.bim, .pvar): checked whole, and read from any line on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.genome import Genome
from etl.ingest.contig_names import contig_of
from etl.ingest.header import decode, shown

MAX_FAULTS = 3
"""Lines with a fault that are named."""

MOST_SNPS = 2000
"""SNPs of a file that are held against the reference's sequence."""

_READ_SIZE = 16 * 2**20


@dataclass(frozen=True)
class LineFormat:
    """How the lines of a file are to be read."""

    separator: str | None
    """None for any blanks."""
    names: tuple[str, ...]
    """All columns, CHROM and POS among them."""
    alleles: tuple[str, str]
    """Columns of the alleles; the second may hold a list."""
    first_byte: int = 0
    """Where the first variant's line begins."""

    def split(self, line: str) -> list[str]:
        """Cells of a line."""
        return line.split(self.separator)


@dataclass
class LineSummary:
    """What all lines together say."""

    n_variants: int = 0
    first_contig: str | None = None
    has_several_alternates: bool = False
    """Whether some line's second allele is a list."""
    faults: list[str] = field(default_factory=list)
    snps: list[tuple[str, int, str, str]] = field(default_factory=list)
    """Some SNPs, from all over the file: contig, position, alleles."""


def summarize(url: str, form: LineFormat, genome: Genome) -> LineSummary:
    """Read every line's contig, position and alleles; lines with a fault are named, three at most.

    Raises
    ------
    InputError
        If the file is absent.
    """
    reading = _Summarizing(url, form, genome)
    filesystem, path = open_storage(url)
    try:
        with filesystem.open(path, "rb") as stream:
            stream.seek(form.first_byte)
            for line in _lines(stream):
                reading.add(line)
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"no readable file ({error})"
        raise InputError(fault(url, "input", found=found, wanted="the variants' file")) from None
    return reading.summary


class _Summarizing:
    def __init__(self, url: str, form: LineFormat, genome: Genome) -> None:
        self.summary = LineSummary()
        self._url, self._form, self._genome = url, form, genome
        self._contig, self._position, self._first, self._second = (
            form.names.index(name) for name in ("CHROM", "POS", *form.alleles)
        )
        self._contigs: dict[str, tuple[str, int | None]] = {}
        self._every = 1

    def add(self, line: str) -> None:
        summary = self.summary
        summary.n_variants += 1
        cells = self._form.split(line)
        if len(cells) != len(self._form.names) or not cells[self._position].isdecimal():
            names = self._form.names
            self._fault(f"'{shown(line.expandtabs(1))}'", f"{len(names)} columns: {', '.join(names)}")
            return
        name, position = cells[self._contig], int(cells[self._position])
        contig, length = self._contigs.get(name) or self._known(name)
        summary.first_contig = summary.first_contig or name
        # Behind the last base VCF names a telomere.
        if length is not None and position > length + 1:
            wanted = f"1 to {length}, the length of {contig} in {self._genome.name}"
            self._fault(f"position {position}", wanted)
        first, second = cells[self._first], cells[self._second]
        if len(first) == len(second) == 1:
            if summary.n_variants % self._every == 0:
                self._add_snp((contig, position, first.upper(), second.upper()))
        elif "," in second:
            summary.has_several_alternates = True

    def _known(self, name: str) -> tuple[str, int | None]:
        contig = contig_of(name, self._genome)
        return self._contigs.setdefault(name, (contig, self._genome.lengths.get(contig)))

    def _add_snp(self, snp: tuple[str, int, str, str]) -> None:
        snps = self.summary.snps
        snps.append(snp)
        if len(snps) > MOST_SNPS:
            self._every *= 2
            del snps[::2]

    def _fault(self, found: str, wanted: str) -> None:
        if len(self.summary.faults) < MAX_FAULTS:
            place = f"variant {self.summary.n_variants}"
            self.summary.faults.append(fault(self._url, place, found=found, wanted=wanted))


def _lines(stream: IO[bytes]) -> Iterator[str]:
    held = b""
    while text := stream.read(_READ_SIZE):
        *lines, held = (held + text).split(b"\n")
        for line in lines:
            yield decode(line).rstrip("\r")
    if held:
        yield decode(held).rstrip("\r")


def line_starts(url: str, first_byte: int, every: int) -> list[int]:
    """Byte at which line 0, `every`, 2 × `every`, … begins, lines counted from `first_byte` on."""
    filesystem, path = open_storage(url)
    starts, n_lines, position = [first_byte], 0, first_byte
    with filesystem.open(path, "rb") as stream:
        stream.seek(first_byte)
        while text := stream.read(_READ_SIZE):
            ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
            # The end of line number k - 1 is where line k begins.
            wanted = np.arange(-(n_lines + 1) % every, len(ends), every)
            starts += (ends[wanted] + position + 1).tolist()
            n_lines, position = n_lines + len(ends), position + len(text)
    return starts


def lines_from(url: str, first_byte: int, count: int) -> Iterator[str]:
    """So many lines from a byte on, without their ends."""
    filesystem, path = open_storage(url)
    with filesystem.open(path, "rb") as stream:
        stream.seek(first_byte)
        for _ in range(count):
            yield decode(stream.readline()).rstrip("\r\n")
