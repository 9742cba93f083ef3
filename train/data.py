"""Rows of a dataset on their way to a rank.

Two readers decode row groups behind one interface: pyarrow alone, and Petastorm (`train.petastorm_reader`).
"""

from __future__ import annotations

import posixpath
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract.errors import InputError, fault
from contract.manifest import Manifest
from contract.storage import is_url, open_storage, told
from train.config import DataConfig
from train.order import RowGroup, Schedule, deal, groups_to_score, share_of
from train.row_cache import CachedReader, SharedReader
from train.sparse import SparseRows, empty_rows, join_rows

AHEAD = 4
"""Row groups that are fetched from a store at a time: each costs answers that come late, not work."""
COLUMNS = ("sample_index", "indices", "values")

Item = TypeVar("Item")
Result = TypeVar("Result")


class RowGroupReader(Protocol):
    """Decodes row groups."""

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        ...


def open_reader(
    root: str, manifest: Manifest, config: DataConfig, shared: Path | None = None
) -> RowGroupReader:
    """The reader that the configuration names, with its cache.

    Parameters
    ----------
    root
        The dataset's folder or URL.
    manifest
        Its manifest.
    config
        `reader`, `cache` and `cache_mb` are looked at.
    shared
        Folder in which ranks of this host share what they decoded, see `train.row_cache`; None: this
        process keeps its own.

    Raises
    ------
    InputError
        If Petastorm is asked for and not installed.
    """
    reader = _petastorm(root, manifest) if config.reader == "petastorm" else ArrowReader(root, manifest)
    if config.cache == "none":
        return reader
    limit = config.cache_mb * 2**20
    return CachedReader(reader, limit) if shared is None else SharedReader(reader, shared, limit)


def _petastorm(root: str, manifest: Manifest) -> RowGroupReader:
    # Petastorm wants a pyarrow below 15: where that can't be, the other reader gives the same rows.
    try:
        from train.petastorm_reader import PetastormReader
    except ImportError as error:
        wanted = "arrow, which gives the same rows, or the package"
        raise InputError(
            fault("configuration", "data.reader", found=f"petastorm ({error})", wanted=wanted)
        ) from None
    return PetastormReader(root, manifest)


def training_rows(
    reader: RowGroupReader, schedule: Schedule, epoch: int, *, rank: int, world_size: int
) -> Iterator[SparseRows]:
    """Rows of each step of an epoch for this rank: `schedule.steps` items, all of one length.

    Lengths differ by at most one between ranks, see `train.order.share_of`. Every row is taken at most once;
    what is left at the end of a stream waits for another epoch.
    """
    streams = deal(schedule.groups, schedule.n_streams, schedule.seed, epoch)
    share = share_of(rank, world_size, schedule)
    mine = {stream: streams[stream] for stream in share}
    windows = [
        {stream: groups[start : start + schedule.window] for stream, groups in mine.items()}
        for start in range(0, max(map(len, mine.values())), schedule.window)
    ]
    blocks = reader.read([group for window in windows for groups in window.values() for group in groups])
    rows, orders = empty_rows(), dict.fromkeys(mine, np.empty(0, np.int64))
    steps_left, size = schedule.steps, schedule.rows_per_stream
    for number, window in enumerate(windows):
        parts, n_rows = [rows.take(np.concatenate(list(orders.values())))], 0
        for stream, order in orders.items():
            orders[stream] = np.arange(n_rows, n_rows + len(order))
            n_rows += len(order)
        for stream, groups in window.items():
            parts += [next(blocks) for _ in groups]
            n_fresh = sum(group.rows for group in groups)
            shuffled = np.random.default_rng([schedule.seed, epoch, stream, number]).permutation(n_fresh)
            orders[stream] = np.concatenate([orders[stream], n_rows + shuffled])
            n_rows += n_fresh
        rows = join_rows(parts)
        n_ready = min(min(map(len, orders.values())) // size, steps_left)
        for start in range(0, n_ready * size, size):
            steps = [order[start : start + size][share[stream]] for stream, order in orders.items()]
            yield rows.take(np.concatenate(steps))
        steps_left -= n_ready
        orders = {stream: order[n_ready * size :] for stream, order in orders.items()}


def scoring_rows(
    reader: RowGroupReader, groups: Sequence[RowGroup], *, batch_size: int, rank: int = 0, world_size: int = 1
) -> Iterator[SparseRows]:
    """Share of this rank in one exact pass: over all ranks every row once, at most `batch_size` at a time."""
    for block in reader.read(groups_to_score(groups, rank, world_size)):
        for start in range(0, len(block), batch_size):
            yield block.slice(start, min(start + batch_size, len(block)))


class ArrowReader:
    """Reads with pyarrow alone: the yardstick, and for machines without Petastorm's pyarrow."""

    def __init__(self, root: str, manifest: Manifest) -> None:
        self._filesystem, self._base = open_storage(root)
        self._root, self._n_features = root, manifest.n_features
        self._footers: dict[str, pq.FileMetaData] = {}

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        tables = ahead(self._table, groups, AHEAD) if is_url(self._root) else map(self._table, groups)
        for table, group in zip(tables, groups, strict=True):
            yield unpack(table, group, self._n_features)

    def _table(self, group: RowGroup) -> pa.Table:
        with told_as_fault(self._root, group):
            path = posixpath.join(self._base, group.path)
            with self._filesystem.open(path, "rb", cache_type="none") as stream:
                # Its columns lie side by side: one request brings them all.
                file = pq.ParquetFile(stream, metadata=self._footers.get(group.path), pre_buffer=True)
                self._footers[group.path] = file.metadata
                return file.read_row_group(group.index, columns=list(COLUMNS))


def ahead(work: Callable[[Item], Result], items: Sequence[Item], n: int) -> Iterator[Result]:
    """Results in the order of the items, up to `n` of them in the making at a time."""
    with ThreadPoolExecutor(n) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) == n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def unpack(table: pa.Table, group: RowGroup, n_features: int) -> SparseRows:
    """Arrow columns of a row group as flat arrays.

    Raises
    ------
    InputError
        If the group has other rows than the manifest says, an index outside the feature axis, or a value that
        is not finite.
    """
    if table.num_rows != group.rows:
        wanted = f"{group.rows} rows (manifest)"
        raise InputError(fault(group.path, f"row group {group.index}", found=table.num_rows, wanted=wanted))
    lists = _one_chunk(table.column("indices"))
    offsets = lists.offsets.to_numpy().astype(np.int64)
    indices_N = lists.flatten().to_numpy()
    values_N = _one_chunk(table.column("values")).flatten().to_numpy()
    if len(indices_N) != len(values_N) or len(indices_N) != offsets[-1] - offsets[0]:
        found = f"{len(indices_N)} indices and {len(values_N)} values"
        raise InputError(fault(group.path, "indices, values", found=found, wanted="equally many, none null"))
    if len(indices_N) and (indices_N.min() < 0 or indices_N.max() >= n_features):
        found = f"{indices_N.min()} to {indices_N.max()}"
        raise InputError(fault(group.path, "indices", found=found, wanted=f"0 to {n_features - 1}"))
    rows = SparseRows(table.column("sample_index").to_numpy(), offsets - offsets[0], indices_N, values_N)
    if not np.isfinite(values_N).all():
        raise InputError(_not_finite(rows, group))
    return rows


def _not_finite(rows: SparseRows, group: RowGroup) -> str:
    wrong = np.flatnonzero(~np.isfinite(rows.values_N))
    person = rows.sample_R[np.searchsorted(rows.offsets, wrong[0], side="right") - 1]
    found = f"{rows.values_N[wrong[0]]} for sample_index {person}, feature {rows.indices_N[wrong[0]]}"
    found += f", {len(wrong)} such values" if len(wrong) > 1 else ""
    return fault(group.path, f"row group {group.index}, values", found=found, wanted="finite numbers")


def prefetch(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The same items, up to `depth` of them made ahead by a thread; its failure is raised here."""
    ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_fill, args=(items, ready, stopped), daemon=True)
    worker.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        worker.join()


def _fill(
    items: Iterator[Item],
    ready: queue.Queue[tuple[Item | None, BaseException | None]],
    stopped: threading.Event,
) -> None:
    end: BaseException = StopIteration()
    try:
        for item in items:
            if not _put(ready, (item, None), stopped):
                break
    except Exception as error:  # noqa: BLE001 - handed to the consumer, which raises it
        end = error
    finally:
        if hasattr(items, "close"):
            items.close()
    _put(ready, (None, end), stopped)


def _put(ready: queue.Queue[Any], item: tuple[Any, Any], stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _one_chunk(column: pa.ChunkedArray) -> pa.ListArray:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


@contextmanager
def told_as_fault(root: str, group: RowGroup) -> Iterator[None]:
    """Tell what a reader raises while it reads a row group as a fault of the dataset.

    Raises
    ------
    InputError
        With the row group, and the reader's words.
    """
    try:
        with told(root) if is_url(root) else nullcontext():
            yield
    except (OSError, pa.ArrowException, LookupError) as error:
        wanted = f"a row group of the manifest ({group.path}, row group {group.index})"
        raise InputError(fault(root, "samples", found=f"'{error}'", wanted=wanted)) from None
