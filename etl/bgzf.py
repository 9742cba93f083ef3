"""Blocked gzip (BGZF, SAM specification section 4.1): gzip that Hail, Spark and htslib can split."""

from __future__ import annotations

import struct
import zlib

BLOCK_BYTES = 65_280  # uncompressed, as htslib uses: even incompressible content stays below 64 KiB
COMPRESSION_LEVEL = 4
END_OF_FILE = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def compress(content: bytes) -> bytes:
    """Whole BGZF blocks for `content`, without the end-of-file mark; concatenations are valid BGZF."""
    starts = range(0, len(content), BLOCK_BYTES)
    return b"".join(_block(content[start : start + BLOCK_BYTES]) for start in starts)


def _block(content: bytes) -> bytes:
    deflater = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflater.compress(content) + deflater.flush()
    header = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(packed) + 25)
    return header + packed + struct.pack("<2I", zlib.crc32(content), len(content))
