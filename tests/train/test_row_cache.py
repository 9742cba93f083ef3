import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from contract.manifest import read_manifest
from train.config import DataConfig
from train.data import open_reader
from train.distributed import Comm
from train.order import RowGroup, list_row_groups
from train.row_cache import OWNER, PREFIX, SharedReader, map_rows, shared_folder, write_rows
from train.sparse import SparseRows

ROWS = SparseRows(
    np.array([7, 2, 9], np.int32),
    np.array([0, 2, 2, 3], np.int64),
    np.array([4, 5, 0], np.int32),
    np.array([1, 2, 0.5], np.float32),
)


def assert_same(found: SparseRows, wanted: SparseRows) -> None:
    for name in ("sample_R", "offsets", "indices_N", "values_N"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


class Ranks(Comm):
    """A rank of two on one host, whose collectives need no other."""

    size = local_size = 2

    def __init__(self, rank: int) -> None:
        self.rank = self.local_rank = rank


class Counting:
    """Decodes what `rows_of` gives, and counts."""

    def __init__(self) -> None:
        self.decoded: list[RowGroup] = []

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        for group in groups:
            self.decoded.append(group)
            yield ROWS.slice(0, group.rows)


GROUPS = [RowGroup("samples/fold=1/part-00000.parquet", i, 1 + i % 3) for i in range(4)]


def test_map_rows__what_was_written_and_no_rows(tmp_path: Path):
    for name, rows in (("some", ROWS), ("none", ROWS.slice(1, 1))):
        write_rows(tmp_path / name, rows)
        assert_same(map_rows(tmp_path / name), rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none", "some"]


def test_read__decoded_once_by_two_ranks(tmp_path: Path):
    one, two = Counting(), Counting()
    first, second = SharedReader(one, tmp_path, 1e9), SharedReader(two, tmp_path, 1e9)
    wanted = [ROWS.slice(0, group.rows) for group in GROUPS]
    for reader in (first, second, first):
        for found, rows in zip(reader.read(GROUPS), wanted, strict=True):
            assert_same(found, rows)
    assert (one.decoded, two.decoded) == (GROUPS, [])


def test_read__beyond_the_limit_decoded_anew(tmp_path: Path):
    counting = Counting()
    reader = SharedReader(counting, tmp_path, ROWS.n_bytes + 1)
    for _ in range(2):
        assert [len(rows) for rows in reader.read(GROUPS[2:3] + GROUPS[:1])] == [3, 1]
    assert counting.decoded == [GROUPS[2], GROUPS[0], GROUPS[0]]


def test_read__folder_that_takes_nothing(tmp_path: Path):
    counting = Counting()
    reader = SharedReader(counting, tmp_path / "absent", 1e9)
    for _ in range(2):
        assert [len(rows) for rows in reader.read(GROUPS)] == [1, 2, 3, 1]
    assert counting.decoded == GROUPS  # kept by the rank itself


def test_read__same_rows_as_without(dataset: str, tmp_path: Path):
    manifest = read_manifest(dataset)
    groups = list_row_groups(manifest, [0, 4])
    plain = open_reader(dataset, manifest, DataConfig(dataset=dataset, reader="arrow"))
    for _ in range(2):
        shared = open_reader(dataset, manifest, DataConfig(dataset=dataset, reader="arrow"), tmp_path)
        for found, wanted in zip(shared.read(groups), plain.read(groups), strict=True):
            assert_same(found, wanted)
    assert len(list(tmp_path.iterdir())) == len(groups)


def test_shared_folder__for_several_ranks_of_a_host_and_gone_afterwards(tmp_path: Path):
    with shared_folder(Comm(), tmp_path) as folder:
        assert folder is None
    abandoned, living = tmp_path / f"{PREFIX}old", tmp_path / f"{PREFIX}other"
    for left in (abandoned, living):
        left.mkdir()
        (left / OWNER).touch()
        os.utime(left, (0, 0))
    owner = (living / OWNER).open("w")
    fcntl.flock(owner, fcntl.LOCK_EX)
    with shared_folder(Ranks(0), tmp_path) as folder:
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not abandoned.exists()
        write_rows(folder / "a", ROWS)
        mapped = map_rows(folder / "a")
    assert not folder.exists()
    assert living.exists()
    owner.close()
    assert_same(mapped, ROWS)


def test_shared_folder__where_nothing_can_be_made_each_rank_keeps_its_own(tmp_path: Path):
    with shared_folder(Ranks(0), tmp_path / "absent") as folder:
        assert folder is None


def test_map_rows__keeps_no_file_open(tmp_path: Path):
    write_rows(tmp_path / "a", ROWS)
    before = len(os.listdir("/proc/self/fd"))
    mapped = [map_rows(tmp_path / "a") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ValueError, match="read-only"):
        mapped[0].values_N[0] = 3


def test_shared_folder__removed_after_a_failure(tmp_path: Path):
    with pytest.raises(ValueError, match="broken"), shared_folder(Ranks(0), tmp_path):
        raise ValueError("broken")
    assert not list(tmp_path.iterdir())
