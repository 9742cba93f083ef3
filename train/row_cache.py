"""Decoded row groups, kept: by a rank alone, or by all ranks of a host as files in memory that each maps.

A file is written under another name and renamed, so that it is there whole or not at all; a rank that finds
it does not decode the row group again. What a rank can't write (a container's /dev/shm may be small) it keeps
for itself, as it would alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from typing_extensions import override

from train.distributed import Comm
from train.order import RowGroup
from train.sparse import SparseRows

if TYPE_CHECKING:
    from train.data import RowGroupReader

PREFIX, OWNER = "exoshard-rows-", "owner"
MEMORY = Path("/dev/shm")
JUST_MADE = 60.0
"""Seconds in which a folder may still be without its lock."""
DTYPES = {"offsets": np.int64, "sample_R": np.int32, "indices_N": np.int32, "values_N": np.float32}
"""Arrays of `SparseRows` in the order of a file, which begins with their lengths (int64). Longer numbers come
first, so that each begins at a multiple of its own size."""


@contextmanager
def shared_folder(comm: Comm, place: Path | None = None) -> Iterator[Path | None]:
    """A folder of the host for the ranks of this launch, gone at the end of the block; None for a rank alone.

    Parameters
    ----------
    comm
        All ranks enter.
    place
        Where it is made; None: in memory, or else where temporary files go.
    """
    place = place or (MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
    if comm.local_rank == 0:
        _remove_abandoned(place)
    if comm.size == 1:
        yield None
        return
    # By host and launcher: containers may share one place for files in memory, and hosts one name.
    own = f"{socket.gethostname()}-{os.environ.get('GROUP_RANK', '0')}"
    folder = place / f"{PREFIX}{comm.share(uuid.uuid4().hex)}-{own}"
    owner = _make(folder) if comm.local_rank == 0 else None
    failed = comm.any(comm.local_rank == 0 and owner is None)
    try:
        yield None if failed else folder
    finally:
        # Others may still map files: their memory is freed when the last lets go.
        if comm.local_rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
        if owner is not None:
            owner.close()


def _make(folder: Path) -> IO[str] | None:
    """The folder, locked for as long as its owner lives; None where there is no room for it."""
    try:
        folder.mkdir(mode=0o700)  # genotypes of single people are inside
        owner = (folder / OWNER).open("w")
        fcntl.flock(owner, fcntl.LOCK_EX)
    except OSError:
        return None
    return owner


def _remove_abandoned(place: Path) -> None:
    """Remove what launches left that were killed: nobody holds their locks any more."""
    for folder in place.glob(f"{PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < JUST_MADE:
                continue
            with (folder / OWNER).open("a") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # held by its owner, or of another user


class CachedReader:
    """Keeps what another reader decoded, up to a limit; a kept row group is decoded once by a rank."""

    def __init__(self, reader: RowGroupReader, limit_bytes: float) -> None:
        self._reader, self._room = reader, limit_bytes
        self._kept: dict[RowGroup, SparseRows] = {}

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        known = {group for group in groups if self._knows(group)}
        fresh = self._reader.read([group for group in groups if group not in known])
        for group in groups:
            if group not in known:
                rows = next(fresh)
                if group not in self._kept and rows.n_bytes <= self._room:
                    self._room -= rows.n_bytes
                    self._kept[group] = self._put(group, rows)
                yield rows
            else:
                yield self._kept[group]

    def _knows(self, group: RowGroup) -> bool:
        return group in self._kept

    def _put(self, group: RowGroup, rows: SparseRows) -> SparseRows:
        """What is kept of rows."""
        return rows


class SharedReader(CachedReader):
    """Keeps them in files of the host, where other ranks find them; the limit is that of each rank."""

    def __init__(self, reader: RowGroupReader, folder: Path, limit_bytes: float) -> None:
        super().__init__(reader, limit_bytes)
        self._folder = folder

    @override
    def _knows(self, group: RowGroup) -> bool:
        if group not in self._kept and (path := self._path(group)).exists():
            with suppress(OSError):
                self._kept[group] = map_rows(path)
        return group in self._kept

    @override
    def _put(self, group: RowGroup, rows: SparseRows) -> SparseRows:
        path = self._path(group)
        try:
            if not path.exists():
                write_rows(path, rows)
            return map_rows(path)
        except OSError:
            return rows

    def _path(self, group: RowGroup) -> Path:
        return self._folder / f"{group.path.replace('/', '_')}.{group.index}"


def write_rows(path: Path, rows: SparseRows) -> None:
    """Write rows for `map_rows`."""
    arrays = [np.ascontiguousarray(getattr(rows, name), dtype) for name, dtype in DTYPES.items()]
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(np.array([len(array) for array in arrays], np.int64).tobytes())
            for array in arrays:
                stream.write(array.data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def map_rows(path: Path) -> SparseRows:
    """Rows of a file, of which memory holds one copy for all that map it."""
    # torch closes the file that it maps: numpy would keep one open for each of thousands of row groups.
    size = path.stat().st_size
    content = torch.from_file(str(path), shared=True, size=size, dtype=torch.uint8).numpy()
    content.flags.writeable = False
    start = 8 * len(DTYPES)
    lengths = content[:start].view(np.int64).tolist()
    arrays = {}
    for (name, dtype), length in zip(DTYPES.items(), lengths, strict=True):
        stop = start + length * np.dtype(dtype).itemsize
        arrays[name] = content[start:stop].view(dtype)
        start = stop
    return SparseRows(**arrays)
