"""Rows of a dataset on their way to a rank: the only module that knows Petastorm.

Two readers decode row groups behind one interface. Petastorm does it in its own worker thread. Its
`make_batch_reader` deals row groups by index modulo ranks, which leaves ranks with unequal rows wherever
folds end in a short row group, and refuses ragged lists. `_OrderedReader` therefore hands Petastorm's
`Reader` the row groups that train.order chose, in that order, and takes its Arrow tables as they are.
"""

from __future__ import annotations

import posixpath
import queue
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.fs_utils import get_filesystem_and_path_or_paths
from petastorm.reader import Reader
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.thread_pool import ThreadPool

from contract.errors import InputError, fault
from contract.manifest import Manifest
from contract.storage import open_storage
from train.config import DataConfig
from train.order import RowGroup, Schedule, deal, groups_to_score, share_of
from train.sparse import SparseRows, empty_rows, join_rows

COLUMNS = ("sample_index", "indices", "values")
RESULTS_QUEUE = 32
"""Decoded row groups that may wait for the consumer."""
VENTILATED = 64
"""Row groups asked for ahead: at Petastorm's default of 3 it sleeps 10 ms whenever they are served."""

Item = TypeVar("Item")


class RowGroupReader(Protocol):
    """Decodes row groups."""

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        ...


def open_reader(root: str, manifest: Manifest, config: DataConfig) -> RowGroupReader:
    """The reader that the configuration names, with its cache.

    Parameters
    ----------
    root
        The dataset's folder or URL.
    manifest
        Its manifest.
    config
        `reader`, `cache` and `cache_mb` are looked at.
    """
    kind = PetastormReader if config.reader == "petastorm" else ArrowReader
    reader: RowGroupReader = kind(root, manifest)
    return CachedReader(reader, config.cache_mb * 2**20) if config.cache == "memory" else reader


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
        self._n_features = manifest.n_features
        self._footers: dict[str, pq.FileMetaData] = {}

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        for group in groups:
            with _told_as_fault(self._base, group):
                path = posixpath.join(self._base, group.path)
                with self._filesystem.open(path, "rb") as stream:
                    file = pq.ParquetFile(stream, metadata=self._footers.get(group.path))
                    self._footers[group.path] = file.metadata
                    table = file.read_row_group(group.index, columns=list(COLUMNS))
            yield unpack(table, group, self._n_features)


class PetastormReader:
    """Reads with Petastorm: its file systems and row groups, one worker thread (more lose the order)."""

    def __init__(self, root: str, manifest: Manifest) -> None:
        self._root = root if "://" in root else Path(root).absolute().as_uri()
        self._n_features = manifest.n_features

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        if not groups:
            return
        # Petastorm reads through pyarrow's older interface, which announces its end at each call.
        warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm|pyarrow")
        with _told_as_fault(self._root, groups[0]):
            reader = self._open(groups)
        with reader:
            for group in groups:
                with _told_as_fault(self._root, group):
                    table = reader.next_table()
                yield unpack(table, group, self._n_features)

    def _open(self, groups: Sequence[RowGroup]) -> _OrderedReader:
        names = list(dict.fromkeys(group.path for group in groups))
        urls = [f"{self._root.rstrip('/')}/{name}" for name in names]
        filesystem, paths = get_filesystem_and_path_or_paths(urls)
        place = dict(zip(names, paths, strict=True))
        if not self._root.startswith("file:"):
            _use_older_parquet_interface()
        return _OrderedReader(filesystem, paths, [(place[group.path], group.index) for group in groups])


class CachedReader:
    """Keeps what another reader decoded, up to a limit; a kept row group is decoded once by a rank."""

    def __init__(self, reader: RowGroupReader, limit_bytes: float) -> None:
        self._reader = reader
        self._room = limit_bytes
        self._kept: dict[RowGroup, SparseRows] = {}

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        known = set(self._kept)
        fresh = self._reader.read([group for group in groups if group not in known])
        for group in groups:
            if group in known:
                yield self._kept[group]
                continue
            rows = next(fresh)
            if group not in self._kept and rows.n_bytes <= self._room:
                self._kept[group] = rows
                self._room -= rows.n_bytes
            yield rows


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
def _told_as_fault(root: str, group: RowGroup) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, LookupError) as error:
        wanted = f"a row group of the manifest ({group.path}, row group {group.index})"
        raise InputError(fault(root, "samples", found=f"'{error}'", wanted=wanted)) from None


def _use_older_parquet_interface() -> None:
    # Petastorm 0.12.1 with pyarrow 14 needs ParquetDataset's older form for file systems of fsspec.
    if isinstance(pq.ParquetDataset, type):
        newer = pq.ParquetDataset
        pq.ParquetDataset = lambda *args, **named: newer(*args, **{"use_legacy_dataset": True, **named})


class _TableQueueReader:
    """Hands over a worker's Arrow table as it is."""

    batched_output = True

    def read_next(self, pool: ThreadPool, schema: object, ngram: object) -> pa.Table:
        try:
            return pool.get_results()
        except EmptyResultError:
            raise StopIteration from None


class _TableWorker(ArrowReaderWorker):  # type: ignore[misc]
    @staticmethod
    def new_results_queue_reader() -> _TableQueueReader:
        return _TableQueueReader()


class _OrderedReader(Reader):  # type: ignore[misc]
    """A Petastorm reader of chosen row groups (file path, index in the file), in the order given."""

    def __init__(self, filesystem: Any, paths: list[str], order: Sequence[tuple[str, int]]) -> None:
        self._order = order
        super().__init__(
            filesystem,
            paths,
            schema_fields=[f"^{name}$" for name in COLUMNS],
            reader_pool=ThreadPool(1, RESULTS_QUEUE),
            worker_class=_TableWorker,
            shuffle_row_groups=False,
            num_epochs=1,
            is_batched_reader=True,
        )

    def next_table(self) -> pa.Table:
        """The next row group's columns."""
        for _ in range(100):
            try:
                return next(self)
            except StopIteration:
                # The pool can look idle before its first request is queued; all requests will be served.
                continue
        raise RuntimeError("Petastorm ended before it had served every row group")

    def _filter_row_groups(self, dataset: Any, row_groups: list[Any], *unused: Any) -> tuple[list[int], None]:
        position = {(piece.path, piece.row_group): i for i, piece in enumerate(row_groups)}
        return [position[wanted] for wanted in self._order], None

    def _create_ventilator(self, indexes: list[int], *settings: Any) -> Any:
        shuffle, drop, epochs, predicate, _, seed = settings
        return super()._create_ventilator(indexes, shuffle, drop, epochs, predicate, VENTILATED, seed)
