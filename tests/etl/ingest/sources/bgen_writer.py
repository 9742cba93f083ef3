"""BGEN files written by hand."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

PACK = {0: bytes, 1: zlib.compress, 2: lambda text: pa.compress(text, codec="zstd", asbytes=True)}


def text(word: str, width: str = "<H") -> bytes:
    return struct.pack(width, len(word)) + word.encode()


def probabilities(people: str, *, bits: int = 8, phased: bool = False) -> bytes:
    """People as '0.9,0.1 - 1:0.5': what is stored of each; '-' for a missing one, '1:' for a haploid one."""
    kind = {8: "<u1", 16: "<u2", 32: "<u4"}.get(bits, "<u1")
    cells = people.split()
    ploidies = [1 if ":" in cell else 2 for cell in cells]
    width = len(next(cell for cell in cells if "-" not in cell and ":" not in cell).split(","))
    stored = [
        [0.0] * (width if ploidy == 2 else 1) if "-" in cell else map(float, cell.split(":")[-1].split(","))
        for cell, ploidy in zip(cells, ploidies, strict=True)
    ]
    values = np.array([value for values in stored for value in values]) * (2**bits - 1)
    marks = bytes(ploidy | (128 if "-" in cell else 0) for cell, ploidy in zip(cells, ploidies, strict=True))
    head = struct.pack("<IHBB", len(cells), 2 if width == 2 else 3, min(ploidies), max(ploidies))
    return head + marks + bytes([phased, bits]) + np.round(values).astype(kind).tobytes()


def write_bgen(
    path: Path,
    *variants: tuple[str, bytes],
    n_people: int = 3,
    compression: int = 1,
    layout: int = 2,
    ids: tuple[str, ...] | None = ("A", "B", "C"),
) -> Path:
    """A file from variants as ('1 100 A,G', probabilities)."""
    block = b"" if ids is None else b"".join(map(text, ids))
    block = b"" if ids is None else struct.pack("<II", len(block) + 8, len(ids)) + block
    flags = compression | layout << 2 | (ids is not None) << 31
    content = struct.pack("<IIII4sI", 20 + len(block), 20, len(variants), n_people, b"bgen", flags) + block
    for site, plain in variants:
        contig, position, alleles = site.split()
        names = alleles.split(",")
        packed = PACK[compression](plain)
        rest = packed if compression == 0 else struct.pack("<I", len(plain)) + packed
        content += text("") + text("rs") + text(contig) + struct.pack("<IH", int(position), len(names))
        content += b"".join(text(name, "<I") for name in names) + struct.pack("<I", len(rest)) + rest
    path.write_bytes(content)
    return path


SURE = probabilities("1,0 0,1 0,0")
"""0/0, 0/1 and 1/1."""
