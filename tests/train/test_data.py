import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contract.dataset import read_samples
from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.optional import needs_petastorm
from train.config import DataConfig
from train.data import (
    RowGroupReader,
    open_reader,
    prefetch,
    scoring_rows,
    training_rows,
    unpack,
)
from train.order import RowGroup, Schedule, list_row_groups, plan_schedule
from train.row_cache import CachedReader
from train.sparse import SparseRows, join_rows

READERS = [pytest.param("petastorm", marks=needs_petastorm), "arrow"]
TRAINING = range(8)


def reader_of(root: str, kind: str, cache: str = "none") -> RowGroupReader:
    return open_reader(root, read_manifest(root), DataConfig(dataset=root, reader=kind, cache=cache))


def schedule_of(root: str, world_size: int = 1, seed: int = 1, window: int = 2) -> Schedule:
    groups = list_row_groups(read_manifest(root), TRAINING)
    return plan_schedule(groups, world_size, DataConfig(dataset=root, shuffle_window=window), seed)


def epoch_samples(reader: RowGroupReader, schedule: Schedule, epoch: int, rank: int = 0, size: int = 1):
    return [rows.sample_R for rows in training_rows(reader, schedule, epoch, rank=rank, world_size=size)]


@pytest.mark.parametrize("kind", READERS)
def test_read__same_rows_as_the_contract(dataset: str, kind: str):
    manifest = read_manifest(dataset)
    rows = join_rows(list(reader_of(dataset, kind).read(list_row_groups(manifest, [0, 3]))))
    expected = read_samples(dataset, manifest, [0, 3])
    np.testing.assert_array_equal(rows.sample_R, expected["sample_index"])
    np.testing.assert_array_equal(rows.indices_N, np.concatenate(expected["indices"]))
    np.testing.assert_array_equal(rows.values_N, np.concatenate(expected["values"]))
    np.testing.assert_array_equal(np.diff(rows.offsets), expected["indices"].str.len())


@pytest.mark.parametrize("kind", READERS)
def test_read__in_the_order_asked_for(dataset: str, kind: str):
    groups = list(list_row_groups(read_manifest(dataset), TRAINING))
    asked = [groups[i] for i in (9, 2, 15, 0, 2)]
    rows = [len(block) for block in reader_of(dataset, kind).read(asked)]
    assert rows == [group.rows for group in asked]


@needs_petastorm
def test_petastorm__no_row_is_lost_in_50_reads(dataset: str):
    groups = list_row_groups(read_manifest(dataset), range(10))
    reader = reader_of(dataset, "petastorm")
    for _ in range(50):
        samples = np.concatenate([block.sample_R for block in reader.read(groups)])
        assert len(samples) == 1000
        assert len(np.unique(samples)) == 1000


@needs_petastorm
def test_petastorm__stopped_early_leaves_no_thread(dataset: str):
    reader, schedule = reader_of(dataset, "petastorm"), schedule_of(dataset)
    before = threading.active_count()
    batches = prefetch(training_rows(reader, schedule, 0, rank=0, world_size=1), 2)
    next(batches)
    batches.close()
    assert threading.active_count() == before


@needs_petastorm
def test_training_rows__readers_and_caches_agree(dataset: str):
    schedule = schedule_of(dataset)
    expected = epoch_samples(reader_of(dataset, "arrow"), schedule, 1)
    for kind, cache in (("petastorm", "none"), ("petastorm", "memory"), ("arrow", "memory")):
        reader = reader_of(dataset, kind, cache)
        epoch_samples(reader, schedule, 0)
        np.testing.assert_array_equal(epoch_samples(reader, schedule, 1), expected)


def test_training_rows__order_by_seed_and_epoch(dataset: str):
    reader = reader_of(dataset, "arrow")
    first = epoch_samples(reader, schedule_of(dataset), 0)
    np.testing.assert_array_equal(first, epoch_samples(reader, schedule_of(dataset), 0))
    assert not np.array_equal(first, epoch_samples(reader, schedule_of(dataset), 1))
    assert not np.array_equal(first, epoch_samples(reader, schedule_of(dataset, seed=2), 0))


@pytest.mark.parametrize("window", [1, 2, 32])
def test_training_rows__equal_steps_without_repeats(dataset: str, window: int):
    schedule = schedule_of(dataset, window=window)
    batches = epoch_samples(reader_of(dataset, "arrow"), schedule, 0)
    assert [len(batch) for batch in batches] == [64] * schedule.steps
    samples = np.concatenate(batches)
    assert len(np.unique(samples)) == len(samples)


@pytest.mark.parametrize("world_size", [2, 3, 4, 7, 20])
def test_training_rows__ranks_share_the_batches_of_one_process(dataset: str, world_size: int):
    reader = reader_of(dataset, "arrow")
    alone = epoch_samples(reader, schedule_of(dataset), 3)
    schedule = schedule_of(dataset, world_size)
    shares = [epoch_samples(reader, schedule, 3, rank, world_size) for rank in range(world_size)]
    for together, parts in zip(alone, zip(*shares, strict=True), strict=True):
        assert {len(part) for part in parts} <= {64 // world_size, -(-64 // world_size)}
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_training_rows__people_left_out_take_part_later(dataset: str):
    reader, schedule = reader_of(dataset, "arrow", "memory"), schedule_of(dataset)
    seen = [set(np.concatenate(epoch_samples(reader, schedule, epoch))) for epoch in range(6)]
    assert len(seen[0]) == 768
    assert len(set.union(*seen)) == 800


@pytest.mark.parametrize("world_size", [1, 2, 30])
def test_scoring_rows__every_person_once(dataset: str, world_size: int):
    groups = list_row_groups(read_manifest(dataset), [8, 9])
    reader = reader_of(dataset, "arrow")
    samples = [
        rows.sample_R
        for rank in range(world_size)
        for rows in scoring_rows(reader, groups, batch_size=10, rank=rank, world_size=world_size)
    ]
    assert max(map(len, samples)) == 10
    expected = read_samples(dataset, read_manifest(dataset), [8, 9])["sample_index"]
    np.testing.assert_array_equal(np.sort(np.concatenate(samples)), np.sort(expected))


def test_cached_reader__decodes_a_group_once():
    class Counting:
        n = 0

        def read(self, groups: list[RowGroup]) -> Iterator[SparseRows]:
            for group in groups:
                self.n += 1
                yield SparseRows(
                    np.array([group.index], np.int32),
                    np.zeros(2, np.int64),
                    np.empty(0, np.int32),
                    np.empty(0),
                )

    counting = Counting()
    reader = CachedReader(counting, 1e6)
    groups = [RowGroup("part", index, 1) for index in range(3)]
    list(reader.read(groups[:2]))
    blocks = list(reader.read([groups[2], groups[0], groups[2], groups[1]]))
    assert [int(block.sample_R[0]) for block in blocks] == [2, 0, 2, 1]
    assert counting.n == 4, "asked twice for a group that was not kept yet"
    list(reader.read(groups))
    assert counting.n == 4


def test_cached_reader__keeps_no_more_than_its_limit(dataset: str):
    groups = list_row_groups(read_manifest(dataset), [0, 1])
    plain = reader_of(dataset, "arrow")
    blocks = list(plain.read(groups))
    reader = CachedReader(plain, blocks[0].n_bytes + blocks[1].n_bytes)
    for _ in range(2):
        found = list(reader.read(groups))
        for block, expected in zip(found, blocks, strict=True):
            np.testing.assert_array_equal(block.sample_R, expected.sample_R)
    assert len(reader._kept) == 2


def table_of(indices: list[list[int]], values: list[list[float]]) -> pa.Table:
    return pa.table(
        {
            "sample_index": pa.array(range(len(indices)), pa.int32()),
            "indices": pa.array(indices, pa.list_(pa.int32())),
            "values": pa.array(values, pa.list_(pa.float32())),
        }
    )


def test_unpack__ragged_and_sliced_rows():
    table = table_of([[9], [1, 4], [], [2]], [[9.0], [1.0, 2.0], [], [3.0]]).slice(1)
    rows = unpack(table, RowGroup("part", 0, 3), 10)
    assert rows.offsets.tolist() == [0, 2, 2, 3]
    assert rows.indices_N.tolist() == [1, 4, 2]
    assert rows.values_N.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (table_of([[0]], [[1.0]]), r"row group 0: found 1, wanted 2 rows"),
        (table_of([[0], [10]], [[1.0], [1.0]]), r"part: indices: found 0 to 10, wanted 0 to 9"),
        (table_of([[0], [1]], [[1.0], []]), r"found 2 indices and 1 values"),
        (
            table_of([[0, 3], [4]], [[1.0, 2.0], [float("nan")]]),
            r"part: row group 0, values: found nan for sample_index 1, feature 4, wanted finite numbers",
        ),
        (
            table_of([[0, 3], [4]], [[1.0, float("inf")], [float("nan")]]),
            r"found inf for sample_index 0, feature 3, 2 such values, wanted finite",
        ),
    ],
)
def test_unpack__refuses(table: pa.Table, message: str):
    with pytest.raises(InputError, match=message):
        unpack(table, RowGroup("part", 0, 2), 10)


@pytest.mark.parametrize("kind", READERS)
def test_read__file_absent(dataset: str, kind: str):
    with pytest.raises(
        InputError, match=r"samples: found '.*part-99999.parquet.*wanted a row group of the manifest"
    ):
        list(reader_of(dataset, kind).read([RowGroup("samples/fold=0/part-99999.parquet", 0, 64)]))


@pytest.mark.parametrize("kind", READERS)
def test_read__row_group_absent(dataset: str, kind: str):
    path = list_row_groups(read_manifest(dataset), [0])[0].path
    with pytest.raises(InputError, match=r"wanted a row group of the manifest .*row group 7"):
        list(reader_of(dataset, kind).read([RowGroup(path, 7, 64)]))


def test_prefetch__raises_what_the_producer_raised():
    def produce() -> Iterator[int]:
        yield 1
        raise ValueError("broken after one")

    items = prefetch(produce(), 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken after one"):
        next(items)


@pytest.mark.parametrize("kind", READERS)
def test_open_reader__url_of_a_local_folder(dataset: str, kind: str):
    root = Path(dataset).as_uri()
    groups = list_row_groups(read_manifest(root), [0])
    assert sum(len(block) for block in reader_of(root, kind).read(groups)) == 100


def test_open_reader__petastorm_that_is_not_installed(dataset: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "train.petastorm_reader", None)
    with pytest.raises(InputError, match=r"data.reader: found petastorm \(.*, wanted arrow, which gives the"):
        reader_of(dataset, "petastorm")
