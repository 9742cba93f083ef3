"""Rows of sparse features as three flat arrays: cheap to cut, join, shuffle and send to a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SparseRows:
    """Features of R people, N of them not zero.

    `sample_R` holds each row's sample_index; row r owns entries offsets[r]:offsets[r + 1] of `indices_N`
    (flat index = channel × n_genes + gene) and `values_N`.
    """

    sample_R: NDArray[np.int32]
    offsets: NDArray[np.int64]
    indices_N: NDArray[np.int32]
    values_N: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.sample_R)

    @property
    def n_bytes(self) -> int:
        """Memory held by the arrays."""
        return self.sample_R.nbytes + self.offsets.nbytes + self.indices_N.nbytes + self.values_N.nbytes

    @property
    def row_N(self) -> NDArray[np.int64]:
        """Row of each entry, counted from 0."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, order: NDArray[np.int64]) -> SparseRows:
        """The rows at these positions, in this order."""
        lengths = np.diff(self.offsets)[order]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        position_N = np.repeat(self.offsets[order] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return SparseRows(
            self.sample_R[order], offsets, self.indices_N[position_N], self.values_N[position_N]
        )

    def slice(self, start: int, stop: int) -> SparseRows:
        """Rows start:stop, without copying entries."""
        first, last = self.offsets[start], self.offsets[stop]
        return SparseRows(
            self.sample_R[start:stop],
            self.offsets[start : stop + 1] - first,
            self.indices_N[first:last],
            self.values_N[first:last],
        )


def empty_rows() -> SparseRows:
    """No rows."""
    return SparseRows(
        np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    )


def join_rows(parts: Sequence[SparseRows]) -> SparseRows:
    """Rows of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return empty_rows()
    starts = np.cumsum([0] + [len(part.indices_N) for part in parts])
    offsets = [part.offsets[1:] + start for part, start in zip(parts, starts, strict=False)]
    return SparseRows(
        np.concatenate([part.sample_R for part in parts]),
        np.concatenate([np.zeros(1, np.int64), *offsets]),
        np.concatenate([part.indices_N for part in parts]),
        np.concatenate([part.values_N for part in parts]),
    )
