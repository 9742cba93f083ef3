"""Where the last variant of a .pgen ends, from the index that it begins with.

Format: github.com/chrchang/plink-ng, pgen_spec, "The PGEN format". Behind magic number, mode, numbers of
variants and people and a control byte stand, where variants have lengths of their own, the byte at which each
block of 2^16 variants begins; then for each block its types of records, their lengths, and what the control
byte adds.
"""

from __future__ import annotations

import struct
from typing import IO

import numpy as np

HEAD = 12
FIXED, INDEXED = 0x02, (0x10, 0x11)
"""Storage modes that are read: two bits for each person; records with an index before them."""
BLOCK = 2**16


def variants_end(stream: IO[bytes]) -> int | None:
    """Bytes that the file has at least, if its variants are whole.

    Parameters
    ----------
    stream
        At the file's begin.

    Returns
    -------
    int | None
        None: of a mode that is rarer than `FIXED` and `INDEXED`, which pgenlib alone can tell.

    Raises
    ------
    EOFError
        If the file ends within the index.
    """
    head = _read(stream, HEAD)
    mode, control = head[2], head[11]
    n_variants, n_people = struct.unpack("<2I", head[3:11])
    if mode == FIXED:
        return HEAD + n_variants * ((n_people + 3) // 4)
    layout = control & 15
    if mode not in INDEXED or layout > 7 or not n_variants:
        return None
    n_blocks = -(-n_variants // BLOCK)
    starts = struct.unpack(f"<{n_blocks}Q", _read(stream, 8 * n_blocks))
    type_bits, length_bytes, allele_bytes = (4 if layout < 4 else 8), 1 + (layout & 3), control >> 4 & 3
    has_flags = control >> 6 == 3  # of provisional references: a bit each
    of_block = BLOCK // 8 * type_bits + BLOCK * (length_bytes + allele_bytes) + has_flags * BLOCK // 8
    n_last = n_variants - (n_blocks - 1) * BLOCK
    stream.seek((n_blocks - 1) * of_block + (n_last * type_bits + 7) // 8, 1)
    lengths = np.frombuffer(_read(stream, n_last * length_bytes), dtype=np.uint8).reshape(n_last, -1)
    return int(starts[-1]) + int((lengths.astype(np.int64) << 8 * np.arange(length_bytes)).sum())


def _read(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("the file is cut off")
    return content
