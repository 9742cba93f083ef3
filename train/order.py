"""Which rank reads which row groups, in which order, for how many steps: arithmetic on the manifest alone.

Row groups are dealt anew each epoch to a fixed number of streams, and every step takes the same number of
rows from every stream. Ranks share these rows as equally as whole people allow, each taking a stretch of
neighbouring streams; two ranks may share a stream, whose row groups both then read. The people of a step
therefore depend on seed, epoch and the number of streams, not on the number of ranks, and all ranks take
equally many steps.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.errors import InputError, fault
from contract.manifest import MANIFEST_NAME, Manifest
from train.config import DataConfig


@dataclass(frozen=True)
class RowGroup:
    """A row group of a part file; `path` is relative to the dataset's root."""

    path: str
    index: int
    rows: int


@dataclass(frozen=True)
class Schedule:
    """Steps of an epoch, the same on every rank."""

    groups: tuple[RowGroup, ...]
    n_streams: int
    rows_per_stream: int
    steps: int
    window: int
    seed: int

    @property
    def batch_size(self) -> int:
        """Rows of a step over all ranks."""
        return self.n_streams * self.rows_per_stream


def list_row_groups(manifest: Manifest, folds: Sequence[int]) -> tuple[RowGroup, ...]:
    """Row groups of some folds, in the order of folds, files and rows.

    Raises
    ------
    InputError
        If a fold is absent or a file's row groups are not of the size that the manifest names.
    """
    size = manifest.row_group_size
    groups: list[RowGroup] = []
    for index in folds:
        for file in manifest.fold(index).files:
            wanted = -(-file.rows // size)
            if file.row_groups != wanted:
                raise InputError(
                    fault(MANIFEST_NAME, f"{file.path} row_groups", found=file.row_groups, wanted=str(wanted))
                )
            groups += [RowGroup(file.path, i, min(size, file.rows - i * size)) for i in range(wanted)]
    return tuple(groups)


def plan_schedule(groups: Sequence[RowGroup], world_size: int, data: DataConfig, seed: int) -> Schedule:
    """Fit streams, ranks and steps to the row groups at hand.

    Parameters
    ----------
    groups
        Row groups of the training folds.
    world_size
        Number of ranks.
    data
        `batch_size`, `shuffle_window` and `streams` are looked at. There are fewer streams where there are
        fewer row groups, and the batch is the nearest multiple of them that gives every rank someone.
    seed
        Of the order.

    Raises
    ------
    InputError
        If there is no row group, or an epoch has no step of that size.
    """
    n_streams = min(data.streams, len(groups))
    if not n_streams:
        raise InputError(fault(MANIFEST_NAME, "row groups", found=0, wanted="some in the training folds"))
    loads = [sum(group.rows for group in stream) for stream in deal(groups, n_streams, seed, 0)]
    least = -(-world_size // n_streams)
    if max(data.batch_size, least * n_streams) > min(loads) * n_streams:
        found = f"{data.batch_size} on {world_size} rank(s)" if least > min(loads) else data.batch_size
        wanted = (
            f"at most {min(loads) * n_streams} (the smallest of {n_streams} streams has {min(loads)} rows)"
        )
        raise InputError(fault("configuration", "data.batch_size", found=found, wanted=wanted))
    per_stream = max(least, (data.batch_size + n_streams // 2) // n_streams)
    per_stream = min(per_stream, min(loads))
    return Schedule(tuple(groups), n_streams, per_stream, min(loads) // per_stream, data.shuffle_window, seed)


def deal(groups: Sequence[RowGroup], n_streams: int, seed: int, epoch: int) -> list[list[RowGroup]]:
    """Row groups of each stream, in reading order; loads differ by at most one row group.

    Each group goes to the stream with the fewest rows so far, large groups first, equal ones in an order of
    the epoch's own. The loads are the same in every epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    shuffled = sorted((groups[i] for i in rng.permutation(len(groups))), key=lambda group: -group.rows)
    streams: list[list[RowGroup]] = [[] for _ in range(n_streams)]
    filled = [(0, stream) for stream in range(n_streams)]
    for group in shuffled:
        rows, stream = heapq.heappop(filled)
        streams[stream].append(group)
        heapq.heappush(filled, (rows + group.rows, stream))
    return [[stream[i] for i in rng.permutation(len(stream))] for stream in streams]


def share_of(rank: int, world_size: int, schedule: Schedule) -> dict[int, slice]:
    """Streams that a rank reads, and which of a stream's rows of each step are the rank's."""
    size = schedule.rows_per_stream
    first, last = (end * schedule.batch_size // world_size for end in (rank, rank + 1))
    return {
        stream: slice(max(first - stream * size, 0), min(last - stream * size, size))
        for stream in range(first // size, -(-last // size))
    }


def groups_to_score(groups: Sequence[RowGroup], rank: int, world_size: int) -> list[RowGroup]:
    """Row groups that a rank scores, possibly none: over all ranks each one exactly once."""
    return list(groups[rank::world_size])
