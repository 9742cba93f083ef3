"""Which rank reads which row groups, in which order, for how many steps: arithmetic on the manifest alone.

Row groups are dealt anew each epoch to a fixed number of streams, and every step takes the same number of
rows from every stream. A rank serves whole streams. The people of a step therefore depend on seed, epoch and
the number of streams, not on the number of ranks, and all ranks take equally many steps.
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
        `batch_size`, `shuffle_window` and `streams` are looked at; there are fewer streams where there are
        fewer row groups, always a multiple of the ranks.
    seed
        Of the order.

    Raises
    ------
    InputError
        If there are fewer row groups than ranks, the batch cannot be shared equally, or an epoch has no step.
    """
    if len(groups) < world_size:
        found = f"{len(groups)} row groups in the training folds for {world_size} ranks"
        raise InputError(fault(MANIFEST_NAME, "row groups", found=found, wanted="at least one for each rank"))
    n_streams = world_size * max(1, min(data.streams, len(groups)) // world_size)
    if data.batch_size % n_streams:
        nearest = -(-data.batch_size // n_streams) * n_streams
        wanted = f"a multiple of {n_streams} ({n_streams} streams on {world_size} ranks), such as {nearest}"
        raise InputError(fault("configuration", "data.batch_size", found=data.batch_size, wanted=wanted))
    loads = [sum(group.rows for group in stream) for stream in deal(groups, n_streams, seed, 0)]
    per_stream = data.batch_size // n_streams
    if min(loads) < per_stream:
        wanted = (
            f"at most {min(loads) * n_streams} (the smallest of {n_streams} streams has {min(loads)} rows)"
        )
        raise InputError(fault("configuration", "data.batch_size", found=data.batch_size, wanted=wanted))
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


def streams_of(rank: int, world_size: int, n_streams: int) -> range:
    """Streams that a rank serves."""
    return range(rank, n_streams, world_size)


def groups_to_score(groups: Sequence[RowGroup], rank: int, world_size: int) -> list[RowGroup]:
    """Row groups that a rank scores, possibly none: over all ranks each one exactly once."""
    return list(groups[rank::world_size])
