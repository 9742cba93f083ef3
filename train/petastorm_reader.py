"""Row groups decoded by Petastorm in its own worker thread: the only module that knows it.

Its `make_batch_reader` deals row groups by index modulo ranks, which leaves ranks with unequal rows wherever
folds end in a short row group, and refuses ragged lists. `_OrderedReader` therefore hands Petastorm's
`Reader` the row groups that train.order chose, in that order, and takes its Arrow tables as they are.
"""

from __future__ import annotations

import posixpath
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.fs_utils import get_filesystem_and_path_or_paths
from petastorm.reader import Reader
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.thread_pool import ThreadPool

from contract.manifest import Manifest
from contract.storage import absolute, is_url, open_storage
from train.data import AHEAD, COLUMNS, told_as_fault, unpack
from train.order import RowGroup
from train.sparse import SparseRows

RESULTS_QUEUE = 32
"""Decoded row groups that may wait for the consumer."""
VENTILATED = 64
"""Row groups asked for ahead: at Petastorm's default of 3 it sleeps 10 ms whenever they are served."""


class PetastormReader:
    """Reads with Petastorm: its file systems and row groups, one worker thread (more lose the order)."""

    def __init__(self, root: str, manifest: Manifest) -> None:
        self._root = root if is_url(root) else Path(absolute(root)).as_uri()
        self._n_features = manifest.n_features

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        if not groups:
            return
        # Petastorm reads through pyarrow's older interface, which announces its end at each call.
        warnings.filterwarnings(
            "ignore", category=FutureWarning, module="petastorm|pyarrow|train.petastorm_reader"
        )
        # One worker keeps the order: where answers come late, several readers with one each take turns.
        n = min(AHEAD, len(groups)) if is_url(self._root) else 1
        with ExitStack() as stack:
            readers = []
            for turn in range(n):
                with told_as_fault(self._root, groups[turn]):
                    readers.append(stack.enter_context(self._open(groups[turn::n])))
            for number, group in enumerate(groups):
                with told_as_fault(self._root, group):
                    table = readers[number % n].next_table()
                yield unpack(table, group, self._n_features)

    def _open(self, groups: Sequence[RowGroup]) -> _OrderedReader:
        names = list(dict.fromkeys(group.path for group in groups))
        if is_url(self._root):
            # Petastorm would look for Hadoop's command line, and knows no name of S3 but its own.
            filesystem, base = open_storage(self._root)
            paths = [posixpath.join(base, name) for name in names]
            _use_older_parquet_interface()
        else:
            filesystem, paths = get_filesystem_and_path_or_paths([f"{self._root}/{name}" for name in names])
        place = dict(zip(names, paths, strict=True))
        return _OrderedReader(filesystem, paths, [(place[group.path], group.index) for group in groups])


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
