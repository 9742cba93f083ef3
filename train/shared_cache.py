"""Decoded row groups that all ranks of a host hold once: files in memory, which each rank maps.

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
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch

from train.distributed import Comm
from train.order import RowGroup
from train.sparse import SparseRows

if TYPE_CHECKING:
    from train.data import RowGroupReader

PREFIX, OWNER = "exoshard-rows-", "owner"
MEMORY = Path("/dev/shm")
JUST_MADE = 60.0
"""Seconds in which a folder may still be without its lock."""
DTYPES = {"sample_R": np.int32, "offsets": np.int64, "indices_N": np.int32, "values_N": np.float32}
"""Arrays of `SparseRows`; a file holds the lengths of each (int64), then one after another."""


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


class SharedReader:
    """Keeps what another reader decoded in files of the host, up to a limit for each rank."""

    def __init__(self, reader: RowGroupReader, folder: Path, limit_bytes: float) -> None:
        self._reader, self._folder, self._room = reader, folder, limit_bytes
        self._mapped: dict[RowGroup, SparseRows] = {}

    def read(self, groups: Sequence[RowGroup]) -> Iterator[SparseRows]:
        """Rows of each group, in the order asked for."""
        for group in groups:
            if group not in self._mapped and (path := self._path(group)).exists():
                with suppress(OSError):
                    self._mapped[group] = map_rows(path)
        known = set(self._mapped)
        fresh = self._reader.read([group for group in groups if group not in known])
        for group in groups:
            if group not in known:
                rows = next(fresh)
                yield self._kept(group, rows)
            else:
                yield self._mapped[group]

    def _kept(self, group: RowGroup, rows: SparseRows) -> SparseRows:
        if group in self._mapped or rows.n_bytes > self._room:
            return self._mapped.get(group, rows)
        self._room -= rows.n_bytes
        path = self._path(group)
        try:
            if not path.exists():
                write_rows(path, rows)
            self._mapped[group] = map_rows(path)
        except OSError:
            self._mapped[group] = rows
        return self._mapped[group]

    def _path(self, group: RowGroup) -> Path:
        return self._folder / f"{group.path.replace('/', '_')}.{group.index}"


def write_rows(path: Path, rows: SparseRows) -> None:
    """Write rows for `map_rows`."""
    arrays = [np.ascontiguousarray(getattr(rows, name), dtype) for name, dtype in DTYPES.items()]
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(np.array([len(array) for array in arrays], np.int64).tobytes())
            for array in sorted(arrays, key=lambda array: -array.itemsize):  # each begins at its own multiple
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
    lengths = content[: 8 * len(DTYPES)].view(np.int64)
    sized = dict(zip(DTYPES, lengths.tolist(), strict=True))
    arrays, start = {}, 8 * len(DTYPES)
    for name, dtype in sorted(DTYPES.items(), key=lambda item: -np.dtype(item[1]).itemsize):
        stop = start + sized[name] * np.dtype(dtype).itemsize
        arrays[name] = content[start:stop].view(dtype)
        start = stop
    return SparseRows(**{field.name: arrays[field.name] for field in fields(SparseRows)})
