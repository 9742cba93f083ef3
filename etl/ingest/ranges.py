"""Byte ranges of VCF files and their text, so that every core reads its part of any file.

A line belongs to the range in which the block that holds its first byte begins; a reader skips to the first
line end and reads on to the first line end behind its range. No index is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from isal import isal_zlib
from isal.igzip_lib import IsalError

from contract.errors import InputError, fault
from contract.storage import absolute, open_storage
from etl.ingest.header import FileKind, VcfHeader
from etl.ingest.record import Record, RecordSettings
from etl.ingest.source import file_size

TEXT_PER_CHUNK = 16 * 2**20
"""Bytes of text that are handed to htslib at a time."""

SMALLEST_RANGE = 2**20
LARGEST_RANGE = 64 * 2**20
"""Bytes of a range as stored: enough to be worth a task, few enough to spread and to repeat."""

CAN_BE_CUT = ("text", "bgzip")
"""Kinds of files that several tasks can read; of the others one task reads each."""

_BGZF_MAGIC = b"\x1f\x8b\x08\x04"
_LARGEST_BLOCK = 2**16
_READ_SIZE = 4 * 2**20


@dataclass(frozen=True)
class FileRange:
    """Part of a VCF file that one task reads."""

    number: int
    """Of all ranges of a run, in the order of files and positions."""
    path: str
    kind: FileKind
    start: int
    stop: int
    """Bytes of the file as it is stored."""

    def records(self, settings: RecordSettings) -> Iterator[Record]:
        """All its records, whatever the kind of file.

        Raises
        ------
        InputError
            If the file is damaged or a record can't be read.
        """
        # Plans are made without htslib: importing it takes a while.
        from etl.ingest.htslib import TextReader, bcf_records

        if self.kind == "bcf":
            yield from bcf_records(self.path, settings)
            return
        reader = TextReader(self.path, settings)
        for text in read_text(self):
            yield from reader.records(text)


def plan_ranges(headers: list[VcfHeader], n_ranges: int) -> list[FileRange]:
    """Cut files into ranges, about `n_ranges` in all; plain gzip and BCF can't be cut.

    Parameters
    ----------
    headers
        Of all files, in their order.
    n_ranges
        Wanted; ranges keep between `SMALLEST_RANGE` and `LARGEST_RANGE`.
    """
    sizes = [file_size(header.path) for header in headers]
    wanted = sum(sizes) // max(n_ranges, 1) + 1
    step = min(max(wanted, SMALLEST_RANGE), LARGEST_RANGE)
    ranges: list[FileRange] = []
    for header, size in zip(headers, sizes, strict=True):
        width = step if header.kind in CAN_BE_CUT else max(size, 1)
        for start in range(0, max(size, 1), width):
            stop = min(start + width, size)
            ranges.append(FileRange(len(ranges), absolute(header.path), header.kind, start, stop))
    return ranges


def read_text(part: FileRange) -> Iterator[bytes]:
    """Records of a range as text: whole lines, in pieces of about `TEXT_PER_CHUNK`.

    Raises
    ------
    InputError
        If the file is damaged or can't be read.
    """
    filesystem, path = open_storage(part.path)
    try:
        with filesystem.open(path, "rb") as stream:
            if part.kind == "gzip":
                yield from _chunks(_gzip_text(stream))
            elif part.kind == "bgzip":
                yield from _chunks(_own_lines(_bgzf_blocks(stream, part.start), part))
            else:
                yield from _chunks(_own_lines(_plain_blocks(stream, part), part))
    except (EOFError, OSError, IsalError, struct.error) as error:
        place = f"bytes {part.start} to {part.stop}"
        wanted = "a complete VCF file"
        raise InputError(
            fault(part.path, place, found=f"unreadable content ({error})", wanted=wanted)
        ) from None


def _own_lines(blocks: Iterator[tuple[int, bytes]], part: FileRange) -> Iterator[bytes]:
    """Text of the lines that belong to a range; the first range leaves the header's lines in."""
    skipping = part.start > 0
    for position, text in blocks:
        if skipping:
            if position >= part.stop:
                return
            line_end = text.find(b"\n")
            if line_end < 0:
                continue
            text = text[line_end + 1 :]
            skipping = False
        elif position >= part.stop:
            line_end = text.find(b"\n")
            if line_end >= 0:
                yield text[: line_end + 1]
                return
        yield text


def _chunks(texts: Iterator[bytes]) -> Iterator[bytes]:
    """Join pieces of text and cut them at line ends; header lines are left out."""
    held: list[bytes] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= TEXT_PER_CHUNK and b"\n" in text:
            whole = b"".join(held)
            end = whole.rfind(b"\n") + 1
            held, size = [whole[end:]], len(whole) - end
            yield from _records(whole[:end])
    rest = b"".join(held)
    yield from _records(rest if rest.endswith(b"\n") or not rest else rest + b"\n")


def _records(text: bytes) -> Iterator[bytes]:
    start = 0
    while text.startswith(b"#", start):
        start = text.find(b"\n", start) + 1
    if start < len(text):
        yield text[start:] if start else text


def _plain_blocks(stream: IO[bytes], part: FileRange) -> Iterator[tuple[int, bytes]]:
    position = part.start
    stream.seek(position)
    while True:
        # A block ends where the range does: what is behind it belongs to the next range.
        inside = part.stop - position
        text = stream.read(min(_READ_SIZE, inside) if inside > 0 else _READ_SIZE)
        if not text:
            return
        yield position, text
        position += len(text)


def _gzip_text(stream: IO[bytes]) -> Iterator[bytes]:
    """Text of a gzip file of one or several members."""
    unpacker = isal_zlib.decompressobj(31)
    packed = stream.read(_READ_SIZE)
    while packed:
        yield unpacker.decompress(packed)
        if unpacker.eof:
            packed = unpacker.unused_data.lstrip(b"\0") or stream.read(_READ_SIZE)
            unpacker = isal_zlib.decompressobj(31)
        else:
            packed = stream.read(_READ_SIZE)
            if not packed:
                raise EOFError("the file ends within its gzip content")


def _bgzf_blocks(stream: IO[bytes], start: int) -> Iterator[tuple[int, bytes]]:
    """Position and text of every block that begins at `start` or behind it."""
    position, held = _first_block(stream, start)
    ended = False
    while not ended:
        more = stream.read(_READ_SIZE)
        ended = not more
        # A view: cutting blocks off the front of bytes would copy what is left each time.
        view, offset = memoryview(held + more), 0
        while offset < len(view) and (ended or len(view) - offset >= _LARGEST_BLOCK):
            size = _block_size(view, offset, position)
            yield position, isal_zlib.decompress(view[offset : offset + size], 31)
            offset, position = offset + size, position + size
        held = bytes(view[offset:])


def _block_size(view: memoryview, offset: int, position: int) -> int:
    """Bytes of the block at `offset`, from its BC field (SAM specification, section 4.1)."""
    if bytes(view[offset : offset + 4]) != _BGZF_MAGIC or bytes(view[offset + 12 : offset + 14]) != b"BC":
        raise OSError(f"no bgzip block at byte {position}")
    size = int(struct.unpack_from("<H", view, offset + 16)[0]) + 1
    if offset + size > len(view):
        raise EOFError(f"the bgzip block at byte {position} is cut off")
    return size


def _first_block(stream: IO[bytes], start: int) -> tuple[int, bytes]:
    """Position of the first block at or behind `start`, and what was read from there on."""
    stream.seek(start)
    held = stream.read(2 * _LARGEST_BLOCK)
    if start == 0:
        return 0, held
    place = 0
    while (place := held.find(_BGZF_MAGIC, place)) >= 0:
        if _is_block(held, place):
            return start + place, held[place:]
        place += 1
    return start + len(held), b""


def _is_block(held: bytes, place: int) -> bool:
    """Whether a block begins here: its first bytes may occur within another one."""
    if held[place + 12 : place + 14] != b"BC" or len(held) < place + 18:
        return False
    following = place + struct.unpack_from("<H", held, place + 16)[0] + 1
    if following == len(held) or held[following : following + 4] == _BGZF_MAGIC:
        return True
    try:
        # A damaged neighbour must not hide a block: what was hidden would be missing without a word.
        isal_zlib.decompress(held[place:following], 31)
    except IsalError:
        return False
    return True
