"""Text files with one line for each variant (.bim, .pvar): checked whole, and read from any line on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.genome import Genome
from etl.ingest.contig_names import contig_of
from etl.ingest.header import decode, shown

LINES_AT_ONCE = 500_000
SNPS_PER_PIECE = 1000
"""SNPs of each piece of a file that are held against the reference's sequence."""

_READ_SIZE = 16 * 2**20


@dataclass(frozen=True)
class LineFormat:
    """How the lines of a file are to be read."""

    separator: str
    """'\\t', or r'\\s+' for any blanks."""
    names: tuple[str, ...]
    """All columns, CHROM, POS and two alleles among them."""
    alleles: tuple[str, str]
    """Columns of the alleles."""
    first_byte: int = 0
    """Where the first variant's line begins."""


@dataclass(frozen=True)
class LineSummary:
    """What all lines together say."""

    n_variants: int
    first_contig: str | None
    faults: list[str]
    snps: list[tuple[str, int, str, str]]
    """Some SNPs: contig, position, alleles."""
    has_several_alternates: bool
    """Whether some line's second allele is a list."""


def summarize(url: str, form: LineFormat, genome: Genome) -> LineSummary:
    """Read every line's contig, position and alleles; lines with a fault are named, three at most.

    Raises
    ------
    InputError
        If the file is absent or no such table.
    """
    n_variants, first_contig, several = 0, None, False
    snps: list[tuple[str, int, str, str]] = []
    faults: list[str] = []
    for piece in _pieces(url, form):
        if first_contig is None and len(piece):
            first_contig = str(piece["CHROM"].iloc[0])
        faults += _line_faults(url, piece, genome)
        snps += _some_snps(piece, form, genome)
        several = several or bool(piece[form.alleles[1]].str.contains(",").any())
        n_variants += len(piece)
    return LineSummary(n_variants, first_contig, faults[:3], snps, several)


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


def _pieces(url: str, form: LineFormat) -> Iterator[pd.DataFrame]:
    filesystem, path = open_storage(url)
    try:
        with filesystem.open(path, "rb") as stream:
            stream.seek(form.first_byte)
            yield from pd.read_csv(
                stream,
                sep=form.separator,
                header=None,
                names=list(form.names),
                usecols=["CHROM", "POS", *form.alleles],
                dtype=str,
                keep_default_na=False,
                quoting=3,
                encoding="latin-1",
                chunksize=LINES_AT_ONCE,
                index_col=False,
                skip_blank_lines=False,
            )
    except pd.errors.EmptyDataError:
        return
    except FileNotFoundError:
        raise InputError(fault(url, "input", found="no such file", wanted="the variants' file")) from None
    except (OSError, ValueError) as error:
        wanted = f"lines with {len(form.names)} columns"
        raise InputError(
            fault(url, "variants", found=f"an unreadable table ({str(error).strip()})", wanted=wanted)
        ) from None


def _line_faults(url: str, piece: pd.DataFrame, genome: Genome) -> list[str]:
    faults = []
    position = pd.to_numeric(piece["POS"], errors="coerce")
    last_column = piece.columns[-1]
    short = piece[last_column].isna() | (piece[last_column] == "")
    for line in np.flatnonzero(short | position.isna())[:3]:
        place, found = f"variant {piece.index[line] + 1}", shown(" ".join(map(str, piece.iloc[line])))
        faults.append(fault(url, place, found=f"'{found}'", wanted="contig, position and two alleles"))
    lengths = piece["CHROM"].map(
        {name: genome.lengths.get(contig_of(str(name), genome)) for name in piece["CHROM"].unique()}
    )
    for line in np.flatnonzero((position > lengths + 1).to_numpy())[:3]:
        name = piece["CHROM"].iloc[line]
        wanted = f"1 to {int(lengths.iloc[line])}, the length of {contig_of(name, genome)} in {genome.name}"
        place, found = f"variant {piece.index[line] + 1}", f"position {piece['POS'].iloc[line]}"
        faults.append(fault(url, place, found=found, wanted=wanted))
    return faults


def _some_snps(piece: pd.DataFrame, form: LineFormat, genome: Genome) -> Sequence[tuple[str, int, str, str]]:
    first, second = form.alleles
    snps = piece[(piece[first].str.len() == 1) & (piece[second].str.len() == 1) & piece["POS"].str.isdigit()]
    some = snps.iloc[:: max(1, len(snps) // SNPS_PER_PIECE)]
    return [
        (contig_of(contig, genome), int(position), one.upper(), other.upper())
        for contig, position, one, other in zip(
            some["CHROM"], some["POS"], some[first], some[second], strict=True
        )
    ]
