"""Files of a store as files of this machine, for libraries that read no URLs."""

from __future__ import annotations

import hashlib
import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contract.storage import CHANGES, StorageError, is_url, open_storage, told


@contextmanager
def local_copy(place: str) -> Iterator[str]:
    """A path of this machine with a file's content: its own, or that of a copy until the block ends.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StorageError
        If it can't be read.
    """
    filesystem, path = open_storage(place)
    if not is_url(place):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="exoshard-copy-") as folder:
        copy = os.path.join(folder, posixpath.basename(path))
        with told(place):
            filesystem.get_file(path, copy)
        yield copy


def shared_copy(place: str, *beside: str) -> str:
    """A path of this machine with a file's content, which libraries need that read no URLs.

    A file elsewhere is copied once for all processes of this user and machine, into the folder for temporary
    files; nobody removes it before the machine does.

    Parameters
    ----------
    place
        The file.
    beside
        Suffixes of files beside it, such as an index, that are copied where they are.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StorageError
        If it can't be read.
    """
    filesystem, path = open_storage(place)
    if not is_url(place):
        return path
    with told(place):
        state = filesystem.info(path)
        seen = "|".join([place, *(str(state.get(name)) for name in CHANGES)])
        folder = Path(tempfile.gettempdir(), f"exoshard-shared-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():  # its name is known to others of a shared machine
            raise StorageError(None, f"{folder}: a folder of somebody else")
        final = folder / hashlib.sha256(seen.encode()).hexdigest()[:16]
        if not final.exists():
            with tempfile.TemporaryDirectory(dir=folder) as partial:
                inside = Path(partial, "whole")
                inside.mkdir()
                for suffix in ("", *beside):
                    if suffix == "" or filesystem.exists(path + suffix):
                        filesystem.get_file(path + suffix, str(inside / posixpath.basename(path + suffix)))
                with suppress(OSError):  # another process was faster
                    inside.rename(final)
    return str(final / posixpath.basename(path))
