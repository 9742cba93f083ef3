"""VCF and BCF headers: what a file holds, read before any cluster time is spent and without htslib."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import IO, Literal

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.ingest.record import RecordSettings
from etl.ingest.source import CallsHeader

FileKind = Literal["text", "gzip", "bgzip", "bcf"]

BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every complete bgzip file (SAM specification, section 4.1.2)."""

_BCF_MAGIC = b"BCF\x02"
_READ_SIZE = 2**16


@dataclass(frozen=True, kw_only=True)
class VcfHeader(CallsHeader):
    """What the head of one VCF or BCF file says."""

    kind: FileKind
    samples: tuple[str, ...]


def read_header(url: str) -> VcfHeader:
    """Read the header and the first record of a VCF or BCF file at any path or URL.

    Letters beyond ASCII may be UTF-8 or Latin-1.

    Raises
    ------
    InputError
        If the file is absent, truncated, damaged, no VCF, or has no column line.
    """
    filesystem, path = open_storage(url)
    try:
        with filesystem.open(path, "rb") as stored:
            packing = _packing(stored.read(18))
            if packing == "bgzip":
                _require_bgzip_end(url, stored, int(filesystem.size(path)))
            stored.seek(0)
            text = _unpacked(stored) if packing != "text" else iter(lambda: stored.read(_READ_SIZE), b"")
            return _parse(url, packing, _Lines(text))
    except FileNotFoundError:
        raise InputError(fault(url, "input.vcf", found="no such file", wanted="a VCF file")) from None
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(
            fault(url, "input.vcf", found=error.strerror, wanted="a readable VCF file")
        ) from None
    except (EOFError, OSError, zlib.error, struct.error) as error:
        raise InputError(
            fault(url, "compression", found=f"unreadable content ({error})", wanted="a complete VCF file")
        ) from None


class _Lines:
    """Lines of a text that arrives in pieces; bytes can be taken off its front first."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def _more(self) -> bool:
        piece = next(self._pieces, b"")
        self._held += piece
        return bool(piece)

    def peek(self, size: int) -> bytes:
        while len(self._held) < size and self._more():
            pass
        return self._held[:size]

    def take(self, size: int) -> bytes:
        taken = self.peek(size)
        self._held = self._held[size:]
        return taken

    def line(self) -> str | None:
        """The next line without its end; None at the end of the text."""
        end, searched = self._held.find(b"\n"), 0
        while end < 0:
            searched = len(self._held)
            if not self._more():
                break
            end = self._held.find(b"\n", searched)
        if end < 0 and not self._held:
            return None
        raw = self.take(len(self._held) if end < 0 else end + 1)
        return decode(raw).rstrip("\r\n")


def people_digest(samples: Sequence[str]) -> str:
    """Stands for the samples of a file and their order, where their names would be too many to send about."""
    return blake2b("\t".join(samples).encode(), digest_size=16).hexdigest()


def decode(raw: bytes) -> str:
    """Text in UTF-8, else in Latin-1, in which any bytes are letters."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def upper_bases(allele: str) -> str:
    """Bases in capitals; symbolic alleles such as <DEL:me> and breakends as they are."""
    return allele.upper() if allele.isalpha() else allele


def info_value(parts: Sequence[bytes], field: str) -> str | None:
    """Value of a field among the parts of an INFO column; None where it is absent."""
    start = f"{field}=".encode()
    return next((decode(part[len(start) :]) for part in parts if part.startswith(start)), None)


def info_annotation(info: bytes, settings: RecordSettings) -> list[str] | None:
    """Entries of the annotation and of further fields in an INFO column; None without an annotation."""
    if settings.annotation_field is None:
        return None
    parts = info.split(b";")
    further = [(name, info_value(parts, name)) for name in settings.further_fields]
    return annotation_entries(info_value(parts, settings.annotation_field), further)


def annotation_entries(told: object, further: Sequence[tuple[str, object]]) -> list[str] | None:
    """Entries of an annotation and of further INFO fields; None where the record has no annotation."""
    if not isinstance(told, str) or told in ("", "."):
        return None
    others = [f"{name}={one}" for name, text in further if isinstance(text, str) for one in text.split(",")]
    return told.split(",") + others


def shown(text: str, length: int = 40) -> str:
    """The beginning of a text for a message; letters that would act on a terminal by their codes."""
    start = text[:length].strip()
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in start)


def _packing(head: bytes) -> FileKind:
    if head[:2] != b"\x1f\x8b":
        return "text"
    return "bgzip" if len(head) >= 14 and head[3] & 4 and head[12:14] == b"BC" else "gzip"


def _unpacked(stored: IO[bytes]) -> Iterator[bytes]:
    """Content of a gzip or bgzip file of one or several members."""
    unpacker, begun = zlib.decompressobj(31), False
    while packed := stored.read(_READ_SIZE):
        while packed:
            yield unpacker.decompress(packed)
            packed, begun = unpacker.unused_data, not unpacker.eof
            if unpacker.eof:
                packed, unpacker = packed.lstrip(b"\0"), zlib.decompressobj(31)
    if begun:
        raise EOFError("the file ends within its compressed content")


def _require_bgzip_end(url: str, stored: IO[bytes], size: int) -> None:
    stored.seek(max(0, size - len(BGZIP_END)))
    if stored.read() != BGZIP_END:
        found = "no end-of-file block: the file is cut off"
        raise InputError(fault(url, "bgzip", found=found, wanted="a complete file"))


def _parse(url: str, packing: FileKind, lines: _Lines) -> VcfHeader:
    if lines.peek(4) == _BCF_MAGIC:
        return _parse_bcf(url, lines)
    header = HeaderLines(url)
    while not header.add(lines.line()):
        pass
    record = _first_record(lines).split("\t", 9)
    formats = record[8].split(":") if len(record) > 8 else []
    told = header.finish(packing, record[0].strip() or None, formats)
    return replace(told, first_info=record[7] if len(record) > 7 else "")


def _first_record(lines: _Lines) -> str:
    """The first line that is neither blank nor a comment; empty at the end of the file."""
    while (line := lines.line()) is not None:
        if line.strip() and not line.startswith("#"):
            return line
    return ""


def _parse_bcf(url: str, lines: _Lines) -> VcfHeader:
    """A BCF's header is VCF text behind nine bytes; a record's first number is its contig's place."""
    size = struct.unpack("<I", lines.take(9)[5:])[0]
    text = _Lines(iter([lines.take(size).rstrip(b"\0")]))
    header = HeaderLines(url)
    while not header.add(text.line()):
        pass
    record = lines.take(12)
    place = struct.unpack("<i", record[8:])[0] if len(record) == 12 else None
    contigs = list(header.contigs)
    first = contigs[place] if place is not None and 0 <= place < len(contigs) else None
    return header.finish("bcf", first, [])


class HeaderLines:
    """The lines of one header, put together."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.contigs: dict[str, int | None] = {}
        self._formats: list[str] = []
        self._infos: dict[str, str] = {}
        self._references: list[str] = []
        self._samples: tuple[str, ...] = ()
        self._n_lines = 0

    def add(self, line: str | None) -> bool:
        """Take a line; True for the column line, with which the header ends."""
        self._n_lines += 1
        if self._n_lines == 1 and not (line or "").startswith("##fileformat=VCF"):
            found = shown(line or "").replace("\\ufeff", "a byte order mark and ") or "nothing"
            raise InputError(fault(self.url, "first line", found=found, wanted="##fileformat=VCF…"))
        if line is not None and not line.strip():
            return False
        if line is None or not line.startswith("#"):
            raise InputError(
                fault(self.url, "header", found="no #CHROM line", wanted="the column line of a VCF")
            )
        if not line.startswith("##"):
            self._samples = _samples(self.url, line)
            return True
        self.define(line)
        return False

    def define(self, line: str) -> None:
        """Take a line that begins with ##."""
        kind, _, content = line[2:].partition("=")
        name = re.search(r"[<,]ID=([^,>]*)", content)
        if kind == "reference":
            self._references.append(content)
        elif name is None:
            return
        elif kind == "FORMAT":
            self._formats.append(name.group(1))
        elif kind == "INFO":
            described = re.search(r'Description="([^"]*)"', content)
            self._infos[name.group(1)] = described.group(1) if described else ""
        elif kind == "contig":
            length = re.search(r"length=(\d+)", content)
            self.contigs[name.group(1)] = int(length.group(1)) if length else None
            self._references += re.findall(r"assembly=([^,>]+)", content)

    def finish(self, kind: FileKind, first_contig: str | None, formats: list[str]) -> VcfHeader:
        """The header with what the first record adds."""
        return VcfHeader(
            path=self.url,
            kind=kind,
            samples=self._samples,
            format_fields=tuple(dict.fromkeys(self._formats + formats)),
            info_descriptions=self._infos,
            contig_lengths=self.contigs,
            first_contig=first_contig,
            references=tuple(dict.fromkeys(self._references)),
        )


COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")


def _samples(url: str, line: str) -> tuple[str, ...]:
    """Sample names of the column line."""
    names = line.split("\t")
    if tuple(names[:8]) != COLUMNS or (len(names) > 8 and names[8] != "FORMAT"):
        # Anything else may be somebody's name.
        words = line.split(maxsplit=9)[:9]
        found = " ".join(word if word in (*COLUMNS, "FORMAT") else "…" for word in words)
        wanted = f"{' '.join(COLUMNS)} FORMAT and samples, separated by tabs"
        raise InputError(fault(url, "#CHROM line", found=found, wanted=wanted))
    return tuple(names[9:])
