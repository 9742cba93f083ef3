import gzip
import struct

import numpy as np

from etl import bgzf


def test_compress__reads_back_and_states_its_block_sizes():
    content = np.random.default_rng(1).integers(0, 256, 200_000, dtype=np.uint8).tobytes()
    packed = bgzf.compress(content)
    assert gzip.decompress(packed + bgzf.END_OF_FILE) == content
    offsets, offset = [], 0
    while offset < len(packed):
        assert packed[offset : offset + 4] == b"\x1f\x8b\x08\x04"
        offsets.append(offset)
        offset += struct.unpack_from("<H", packed, offset + 16)[0] + 1
    assert offset == len(packed)
    assert len(offsets) == 4


def test_compress__nothing():
    assert bgzf.compress(b"") == b""
