"""The file system behind a path or URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec

from contract.errors import InputError, fault


def open_storage(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL that fsspec knows, and the path inside it.

    Raises
    ------
    InputError
        If the scheme is unknown or its file system is not installed.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(str(url))
    except (ImportError, ValueError) as error:
        wanted = "a folder, or a URL whose file system fsspec has (s3: package s3fs, gs: package gcsfs)"
        raise InputError(fault(url, "URL", found=f"no usable file system ({error})", wanted=wanted)) from None
    return filesystem, str(path)


class StorageError(OSError):
    """A store, or a folder, could not be read or written; the words of what refused are in `strerror`."""


@contextmanager
def told(url: str) -> Iterator[None]:
    """Tell whatever a store raises as one kind of error.

    Absent files, and text that is none, are told by whoever asked for them.

    Raises
    ------
    StorageError
        With the URL and the store's words.
    """
    try:
        yield
    except (FileExistsError, FileNotFoundError, NotADirectoryError, UnicodeDecodeError, StorageError):
        raise
    except OSError as error:
        words = error.strerror or str(error) or type(error).__name__
        raise StorageError(error.errno, f"{url}: {words}") from None
    except Exception as error:  # noqa: BLE001 - of a store's client, any kind
        words = " ".join(str(error).split()) or type(error).__name__
        raise StorageError(None, f"{url}: {words}") from None


def is_url(place: str) -> bool:
    """Whether a place is no path of the local file system."""
    return "://" in place and not place.startswith("file://")


def exists(place: str) -> bool:
    """Whether something is there.

    Raises
    ------
    StorageError
        If the store does not say.
    """
    filesystem, path = open_storage(place)
    with told(place):
        return bool(filesystem.exists(path))


def write_whole(place: str, content: bytes) -> None:
    """Write a file that is there whole or not at all, and the folders above it.

    Raises
    ------
    StorageError
        If it can't be written.
    """
    filesystem, path = open_storage(place)
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    with told(place):
        if is_url(place):
            filesystem.pipe_file(path, content)  # a store shows an object once it is complete
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(target)
        except OSError:
            partial.unlink(missing_ok=True)  # on a full disk it only stands in the way
            raise


def absolute(url: str) -> str:
    """The URL itself, or the absolute path of a local one: executors run in folders of their own."""
    return url if "://" in url else open_storage(url)[1]
