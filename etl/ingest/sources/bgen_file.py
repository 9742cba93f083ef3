"""Bytes of BGEN files, layout 2: header, sample ids, where variants begin, and one variant's probabilities.

Format: www.chg.ox.ac.uk/~gav/bgen_format/spec/v1.2.html (and v1.3, which adds zstd).
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from contextlib import closing
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.ingest.header import decode

NONE, ZLIB, ZSTD = range(3)
_NAMES = ("none", "zlib", "zstd")
WIDTHS: dict[int, str] = {8: "<u1", 16: "<u2", 32: "<u4"}
"""Bits of a probability that are read, and their numpy type."""
MOST_HOPS = 200_000
"""Variants that a check of the header hops over: a few seconds."""


@dataclass(frozen=True)
class BgenHeader:
    """The header block and the block of sample ids."""

    n_variants: int
    n_people: int
    compression: int
    samples: tuple[str, ...] | None
    """None where the file has no ids."""
    first_byte: int
    """Where the first variant begins."""


@dataclass(frozen=True)
class BgenVariant:
    """One variant; axes: P people."""

    contig: str
    position: int
    alleles: list[str]
    ploidy_P: NDArray[np.uint8]
    missing_P: NDArray[np.bool_]
    phased: bool
    largest: int
    """What stands for a probability of 1."""
    stored: NDArray[np.unsignedinteger]
    """All probabilities that are stored, person after person."""


def read_bgen_header(url: str) -> BgenHeader:
    """Header and sample ids.

    Raises
    ------
    InputError
        If the file is absent, no BGEN, cut off, of another layout or of an unknown compression.
    """
    filesystem, path = open_storage(url)
    try:
        with filesystem.open(path, "rb") as stream:
            return _parse_header(url, stream)
    except FileNotFoundError:
        raise InputError(fault(url, "input.bgen", found="no such file", wanted="a BGEN file")) from None
    except (EOFError, OSError) as error:
        found = f"unreadable content ({error})"
        raise InputError(fault(url, "header", found=found, wanted="a BGEN file")) from None


def variant_starts(url: str, header: BgenHeader, every: int) -> list[int]:
    """Byte at which variant 0, `every`, 2 × `every`, … begins. Hops over all others.

    Raises
    ------
    InputError
        If the file ends before its last variant does, or goes on behind it.
    """
    filesystem, path = open_storage(url)
    size, starts = int(filesystem.size(path)), []
    with filesystem.open(path, "rb") as stream:
        position = header.first_byte
        for number in range(header.n_variants):
            if number % every == 0:
                starts.append(position)
            stream.seek(position)
            try:
                _, length = _identity(stream)
            except EOFError:
                length = size
            position = stream.tell() + length
            if position > size:
                place, found = f"variant {number + 1}", f"the file's end, at byte {size}"
                raise InputError(fault(url, place, found=found, wanted=f"{header.n_variants} whole variants"))
    if position != size:
        found = f"{size - position} bytes behind the last variant"
        wanted = f"the {header.n_variants} variants that its header names"
        raise InputError(fault(url, "size", found=found, wanted=wanted))
    return starts


def size_faults(url: str, header: BgenHeader) -> list[str]:
    """Faults of a file that is cut off or goes on behind its last variant, where that is cheap to tell.

    An index (.bgi) beside a file of this machine that agrees with its size is believed. Else its variants
    are hopped over, as in `variant_starts`, if there are no more than `MOST_HOPS` or the index disagrees; of
    other files, and of those elsewhere, the step that reads them tells.
    """
    if not os.path.exists(url):
        return []
    end = _indexed_end(f"{url}.bgi")
    if end == (header.n_variants, os.path.getsize(url)):
        return []
    if end is None and header.n_variants > MOST_HOPS:
        return []
    try:
        variant_starts(url, header, max(header.n_variants, 1))
    except InputError as error:
        return error.faults
    return []


def _indexed_end(url: str) -> tuple[int, int] | None:
    """Variants of bgenix' index, and the byte at which the last one ends; None where none can be read."""
    if not os.path.exists(url):
        return None
    query = "SELECT COUNT(*), MAX(file_start_position + size_in_bytes) FROM Variant"
    try:
        with closing(sqlite3.connect(f"file:{quote(url)}?mode=ro&immutable=1", uri=True)) as index:
            n_variants, end = index.execute(query).fetchone()
    except sqlite3.Error:
        return None
    return n_variants, end


def read_variant(url: str, stream: IO[bytes], compression: int) -> BgenVariant:
    """The variant at which the stream stands.

    Raises
    ------
    InputError
        If its content is damaged, or its probabilities have other widths than `WIDTHS`.
    """
    (contig, position, alleles), length = _identity(stream)
    place = f"variant {contig}:{position}"
    try:
        content = _unpacked(_read(stream, length), compression)
        return _parse_probabilities(url, content, (contig, position, alleles))
    except (EOFError, OSError, ValueError, zlib.error, struct.error, pa.ArrowException) as error:
        found = f"unreadable content ({error})"
        raise InputError(fault(url, place, found=found, wanted="probabilities as in BGEN 1.2")) from None


def _parse_header(url: str, stream: IO[bytes]) -> BgenHeader:
    offset, length, n_variants, n_people = struct.unpack("<4I", _read(stream, 16))
    magic = _read(stream, 4)
    if magic not in (b"bgen", b"\0\0\0\0") or length < 20:
        found = f"bytes {magic.hex(' ')}"
        raise InputError(fault(url, "magic number", found=found, wanted="'bgen', as in every BGEN file"))
    _read(stream, length - 20)
    flags = struct.unpack("<I", _read(stream, 4))[0]
    layout, compression = flags >> 2 & 15, flags & 3
    if layout != 2:
        wanted = "layout 2 (BGEN 1.2 or later); `plink2 --bgen … --export bgen-1.2` or qctool converts"
        raise InputError(fault(url, "layout", found=layout, wanted=wanted))
    if compression not in (NONE, ZLIB, ZSTD):
        found, wanted = f"compression {compression}", ", ".join(_NAMES)
        raise InputError(fault(url, "compression", found=found, wanted=wanted))
    samples = _parse_ids(url, stream, n_people) if flags >> 31 else None
    return BgenHeader(n_variants, n_people, compression, samples, offset + 4)


def _parse_ids(url: str, stream: IO[bytes], n_people: int) -> tuple[str, ...]:
    _, n_ids = struct.unpack("<2I", _read(stream, 8))
    if n_ids != n_people:
        wanted = f"{n_people}, as the header block says"
        raise InputError(fault(url, "sample ids", found=n_ids, wanted=wanted))
    return tuple(_text(stream, "<H") for _ in range(n_ids))


def _identity(stream: IO[bytes]) -> tuple[tuple[str, int, list[str]], int]:
    """Contig, position and alleles, and how many bytes of probabilities follow."""
    _text(stream, "<H")
    _text(stream, "<H")
    contig = _text(stream, "<H")
    position, n_alleles = struct.unpack("<IH", _read(stream, 6))
    alleles = [_text(stream, "<I") for _ in range(n_alleles)]
    length = struct.unpack("<I", _read(stream, 4))[0]
    return (contig, position, alleles), length


def _text(stream: IO[bytes], width: str) -> str:
    length = struct.unpack(width, _read(stream, struct.calcsize(width)))[0]
    return decode(_read(stream, length))


def _read(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("the file is cut off")
    return content


def _unpacked(content: bytes, compression: int) -> bytes:
    if compression == NONE:
        return content
    size = struct.unpack("<I", content[:4])[0]
    if compression == ZLIB:
        return zlib.decompress(content[4:], bufsize=size)
    plain: bytes = pa.decompress(content[4:], decompressed_size=size, codec="zstd", asbytes=True)
    return plain


def _parse_probabilities(url: str, content: bytes, identity: tuple[str, int, list[str]]) -> BgenVariant:
    n_people, n_alleles = struct.unpack("<IH", content[:6])
    contig, position, alleles = identity
    if n_alleles != len(alleles):
        raise ValueError(f"probabilities of {n_alleles} alleles, where {len(alleles)} are named")
    ploidy_P = np.frombuffer(content, dtype=np.uint8, count=n_people, offset=8)
    phased, n_bits = content[8 + n_people], content[9 + n_people]
    if n_bits not in WIDTHS:
        place, wanted = f"variant {contig}:{position}", f"{', '.join(map(str, WIDTHS))} bits"
        raise InputError(fault(url, place, found=f"probabilities of {n_bits} bits", wanted=wanted))
    return BgenVariant(
        contig=contig,
        position=position,
        alleles=alleles,
        ploidy_P=np.bitwise_and(ploidy_P, np.uint8(63)),
        missing_P=ploidy_P >= 128,
        phased=bool(phased),
        largest=2**n_bits - 1,
        stored=np.frombuffer(content, dtype=WIDTHS[n_bits], offset=10 + n_people),
    )
