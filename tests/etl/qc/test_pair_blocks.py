from functools import partial

import numpy as np
import pandas as pd
import pytest

from etl.qc import pair_blocks
from etl.qc.pair_blocks import close_pairs

KINSHIP = np.array(
    [
        [0.5, 0.25, 0.1, np.nan, 0.05],
        [0.25, 0.5, np.inf, 0.049, 0.1],
        [0.1, np.inf, 0.5, 0.051234567, 0.0],
        [np.nan, 0.049, 0.051234567, 0.5, 0.3],
        [0.05, 0.1, 0.0, 0.3, 0.5],
    ],
    dtype=np.float32,
)


def part(kinship: np.ndarray, mine: slice, theirs: slice) -> np.ndarray:
    return kinship[mine, theirs]


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("block", [4, 1024])
def test_close_pairs__each_pair_once_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch, block: int):
    monkeypatch.setattr(pair_blocks, "BLOCK", block)
    found = close_pairs(partial(part, KINSHIP), 5, 0.05)
    rows = [(0, 1, 0.25), (0, 2, 0.1), (0, 4, 0.05), (1, 4, 0.1), (2, 3, 0.05123), (3, 4, 0.3)]
    wanted = pd.DataFrame(rows, columns=["first", "second", "kinship"])
    pd.testing.assert_frame_equal(found, wanted, atol=1e-9, rtol=0)
