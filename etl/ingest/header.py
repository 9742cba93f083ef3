"""VCF headers read without Hail: what a file holds, before any cluster time is spent."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Literal

from contract.errors import InputError, fault

Compression = Literal["none", "gzip", "bgzip"]

BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every complete bgzip file (SAM specification, section 4.1.2)."""

CHROMOSOME_1_LENGTH = {"GRCh37": 249_250_621, "GRCh38": 248_956_422}
"""Base pairs; enough to tell the builds apart."""


@dataclass(frozen=True)
class VcfHeader:
    """What the head of one VCF file says."""

    path: str
    compression: Compression
    samples: tuple[str, ...]
    format_fields: dict[str, str]
    """FORMAT field -> its Number and Type, such as 'Number=1,Type=Integer'."""
    info_descriptions: dict[str, str]
    contig_lengths: dict[str, int | None]
    first_contig: str | None
    """Contig of the first record; None for a file without records."""
    text: str
    """All header lines, the column line last."""


def read_header(path: Path) -> VcfHeader:
    """Read the header and the first record of a VCF file.

    Raises
    ------
    InputError
        If the file is absent, truncated, damaged, no VCF, or has no column line.
    """
    compression = _compression(path)
    if compression == "bgzip":
        _require_bgzip_end(path)
    try:
        with path.open("rb") as stored, _unpacked(stored, compression) as stream:
            return _parse(path, compression, stream)
    except (EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(
            fault(path, "compression", found=f"unreadable content ({error})", wanted="a complete VCF file")
        ) from None


def check_build(header: VcfHeader, reference: str) -> list[str]:
    """Faults of a file whose contig names or lengths belong to another genome build."""
    faults = []
    names = [header.first_contig] if header.first_contig else list(header.contig_lengths)[:1]
    for name in names:
        prefixed = name.startswith("chr")
        if prefixed != (reference == "GRCh38"):
            style = "'chr1'" if reference == "GRCh38" else "'1'"
            faults.append(
                fault(
                    header.path, "CHROM", found=f"'{name}'", wanted=f"names of {reference}, such as {style}"
                )
            )
    length = header.contig_lengths.get("1", header.contig_lengths.get("chr1"))
    if length is not None and length != CHROMOSOME_1_LENGTH[reference]:
        wanted = f"{CHROMOSOME_1_LENGTH[reference]} ({reference})"
        faults.append(fault(header.path, "##contig length of chromosome 1", found=length, wanted=wanted))
    return faults


def with_decimal_quality(text: str) -> str:
    """A header in which GQ may hold decimals: some callers declare it Integer and write 45.15."""
    return re.sub(r"(##FORMAT=<ID=GQ,[^\n]*?Type=)Integer", r"\1Float", text)


def _compression(path: Path) -> Compression:
    try:
        with path.open("rb") as stream:
            head = stream.read(18)
    except FileNotFoundError:
        raise InputError(fault(path, "input.vcf", found="no such file", wanted="a VCF file")) from None
    except OSError as error:
        raise InputError(
            fault(path, "input.vcf", found=error.strerror, wanted="a readable VCF file")
        ) from None
    if head[:2] != b"\x1f\x8b":
        return "none"
    return "bgzip" if len(head) >= 14 and head[3] & 4 and head[12:14] == b"BC" else "gzip"


def _unpacked(stored: BufferedIOBase, compression: Compression) -> BufferedIOBase:
    return stored if compression == "none" else gzip.GzipFile(fileobj=stored)


def _require_bgzip_end(path: Path) -> None:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - len(BGZIP_END)))
        if stream.read() != BGZIP_END:
            raise InputError(
                fault(
                    path, "bgzip", found="no end-of-file block: the file is cut off", wanted="a complete file"
                )
            )


def _parse(path: Path, compression: Compression, stream: BufferedIOBase) -> VcfHeader:
    formats: dict[str, str] = {}
    infos: dict[str, str] = {}
    contigs: dict[str, int | None] = {}
    first = stream.readline()
    if not first.startswith(b"##fileformat=VCF"):
        raise InputError(
            fault(
                path,
                "first line",
                found=first[:40].decode("latin-1").strip() or "nothing",
                wanted="##fileformat=VCF…",
            )
        )
    lines = [first.decode("utf-8").rstrip("\r\n")]
    for raw in stream:
        line = raw.decode("utf-8").rstrip("\r\n")
        lines.append(line)
        if line.startswith("##FORMAT=<ID="):
            name, *about = line[13:].rstrip(">").split(",")
            formats[name] = ",".join(part for part in about if part.startswith(("Number=", "Type=")))
        elif line.startswith("##INFO=<ID="):
            described = re.search(r'Description="([^"]*)"', line)
            infos[line[11:].split(",")[0]] = described.group(1) if described else ""
        elif line.startswith("##contig=<ID="):
            length = re.search(r"length=(\d+)", line)
            contigs[re.split("[,>]", line[13:])[0]] = int(length.group(1)) if length else None
        elif line.startswith("#CHROM"):
            record = stream.readline().decode("utf-8").split("\t", 1)[0].strip() or None
            samples = tuple(line.split("\t")[9:])
            return VcfHeader(
                str(path),
                compression,
                samples,
                formats,
                infos,
                contigs,
                record,
                "\n".join(lines) + "\n",
            )
        elif not line.startswith("##"):
            break
    raise InputError(fault(path, "header", found="no #CHROM line", wanted="the column line of a VCF"))
