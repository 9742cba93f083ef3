"""The file system behind a path or URL: the only module that knows schemes.

Python reads and writes through fsspec, Spark and Hail through Hadoop; both have names of their own for one
store. A path without a scheme is one of the local file system, or of one that machines share.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import fsspec

from contract.errors import InputError, fault
from contract.refusals import refusal, without_secrets

HADOOP_SCHEMES = {"s3": "s3a", "s3n": "s3a", "gcs": "gs", "abfs": "abfss"}
"""A scheme that may be written -> Hadoop's for the same store; others are Hadoop's own."""
FSSPEC_SCHEMES = {"s3a": "s3", "s3n": "s3"}
"""The same for fsspec."""
WITH_FOLDERS = ("file", "hdfs", "webhdfs", "dbfs")
"""Schemes whose folders can be renamed, which then happens at once; object stores have no folders."""
PACKAGES = "s3: package s3fs, gs: package gcsfs, abfss: package adlfs, hdfs: package requests"
ONE_SLASH = ("file", "hdfs", "dbfs")
"""Schemes that may stand before a path without a host."""
LOCAL = ("", "file", "dbfs")
"""Schemes of what Python sees as paths: Databricks shows its file system, and volumes, under those."""
CHANGES = ("size", "mtime", "modificationTime", "ETag", "etag", "LastModified", "last_modified", "updated")
"""What file systems tell of a file that shows that it changed; each has some of them."""
_SCHEME = re.compile(r"(?:[a-z0-9]+::)*([A-Za-z][A-Za-z0-9+.-]+):/")


class StorageError(OSError):
    """A store, or a folder, could not be read or written; `strerror` has the place and the store's words."""


def refused(error: StorageError) -> str:
    """A sentence for the user on what a store refused."""
    place, _, words = str(error.strerror).partition(": ")
    return refusal(place, words)


def open_storage(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a path or URL, and the path inside it.

    Raises
    ------
    InputError
        If the scheme is unknown or its file system is not installed.
    """
    place, scheme = str(url), _scheme(str(url))
    if scheme and scheme not in ONE_SLASH and "://" not in place:
        raise InputError(fault(url, "URL", found=f"{scheme}:/ with one slash", wanted=f"{scheme}://"))
    try:
        if scheme == "hdfs":
            from contract.hdfs import hdfs_filesystem

            return hdfs_filesystem(place)
        filesystem, path = fsspec.core.url_to_fs(_for_python(place))
    except (ImportError, ValueError) as error:
        wanted = f"a folder, or a URL whose file system fsspec has ({PACKAGES})"
        raise InputError(fault(url, "URL", found=f"no usable file system ({error})", wanted=wanted)) from None
    return filesystem, str(path)


def hadoop_name(place: str) -> str:
    """What Spark and Hail call a place: a path gets file://, for where theirs begin in HDFS."""
    scheme = _scheme(place)
    if scheme == "dbfs":
        return place
    if scheme in LOCAL:
        return _on_databricks(absolute(place)) or f"file://{absolute(place)}"
    return HADOOP_SCHEMES.get(scheme, scheme) + place[len(scheme) :]


def spark_settings_of_stores() -> dict[str, str]:
    """Settings of Spark that follow from the environment, which Python's clients read by themselves.

    Keys are not among them: Hadoop's clients look for those in the same environment, files and roles.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    return {
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https:")).lower(),
    }


def is_url(place: str) -> bool:
    """Whether a place is no path of the local file system."""
    return _scheme(str(place)) not in LOCAL


def store_of(place: str) -> str:
    """Scheme and bucket, cluster or host of a URL: what answers for it."""
    scheme, _, rest = place.partition("://")
    return f"{HADOOP_SCHEMES.get(scheme, scheme)}://{rest.partition('/')[0]}"


def has_folders(place: str) -> bool:
    """Whether a folder there can be given another name at once; False in object stores."""
    return (_scheme(place) or "file") in WITH_FOLDERS


def join(place: str, *names: str) -> str:
    """A place inside a folder."""
    return posixpath.join(place, *names)


def absolute(url: str) -> str:
    """The URL itself, or the absolute path of a local one: executors run in folders of their own."""
    return url if is_url(url) else open_storage(url)[1]


def local_path(place: str) -> str:
    """Path of a place that is no URL: as it is written, or what file:// or dbfs:/ stand for."""
    return open_storage(place)[1] if _scheme(place) else place


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
    except (
        FileExistsError,
        FileNotFoundError,
        NotADirectoryError,
        UnicodeDecodeError,
        InputError,
        StorageError,
    ):
        raise
    except OSError as error:
        words = error.strerror or str(error) or type(error).__name__
        raise StorageError(error.errno, f"{url}: {without_secrets(words)}") from None
    except Exception as error:  # noqa: BLE001 - of a store's client, any kind
        words = " ".join(str(error).split()) or type(error).__name__
        raise StorageError(None, f"{url}: {without_secrets(words)}") from None


def exists(place: str) -> bool:
    """Whether something is there.

    Raises
    ------
    StorageError
        If the store does not say.
    """
    filesystem, path = open_storage(place)
    if not is_url(place):
        return os.path.exists(path)
    with told(place):
        filesystem.invalidate_cache()
        try:
            # fsspec's `exists` takes any refusal for a no.
            filesystem.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def read_whole(place: str) -> bytes:
    """Content of a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    StorageError
        If it can't be read.
    """
    filesystem, path = open_storage(place)
    with told(place):
        content: bytes = filesystem.cat_file(path)
        return content


def write_whole(place: str, content: bytes) -> None:
    """Write a file that is there whole or not at all, and the folders above it.

    Raises
    ------
    StorageError
        If it can't be written.
    """
    with replaced_whole(place) as partial, told(place):
        partial.write_bytes(content)


def write_new(place: str, content: bytes) -> None:
    """Write a file at a URL where there is none: of several who try at once, one does.

    Raises
    ------
    FileExistsError
        If there is one.
    StorageError
        If it can't be written.
    """
    filesystem, path = open_storage(place)
    with told(place):
        try:
            filesystem.pipe_file(path, content, mode="create")
        except FileExistsError:
            raise
        except Exception:
            # Stores name a refused condition in ways of their own; that there is a file says it too.
            if exists(place):
                raise FileExistsError(errno.EEXIST, "a file is there", place) from None
            raise


@contextmanager
def replaced_whole(place: str) -> Iterator[Path]:
    """A local file to write; it takes the place of another as a whole when the block ends without error.

    A task that is killed or repeated leaves no half of a file and no rows twice. A block that writes nothing
    leaves what was there.

    Raises
    ------
    StorageError
        If it can't be written.
    """
    if is_url(place):
        yield from _sent_whole(place)
        return
    target = Path(open_storage(place)[1])
    # Hidden, so that readers of the folder pass over it.
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with told(place):
            target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if partial.exists():
            with told(place):
                partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)  # on a full disk it only stands in the way


def _sent_whole(place: str) -> Iterator[Path]:
    filesystem, path = open_storage(place)
    with tempfile.TemporaryDirectory(prefix="exoshard-part-") as folder:
        partial = Path(folder, posixpath.basename(path))
        yield partial
        if partial.exists():
            with told(place):
                filesystem.put_file(str(partial), path)


def make_folder(place: str) -> None:
    """Make a folder and those above it; in a store that has none, nothing.

    Raises
    ------
    StorageError
        If it can't be made.
    """
    filesystem, path = open_storage(place)
    with told(place):
        if has_folders(place):
            filesystem.makedirs(path, exist_ok=True)


def remove(place: str) -> None:
    """Remove a file, or a folder with all in it; nothing where there is none.

    Raises
    ------
    StorageError
        If it can't be removed.
    """
    filesystem, path = open_storage(place)
    if not is_url(place) and not Path(path).is_dir():
        Path(path).unlink(missing_ok=True)
        return
    with told(place), suppress(FileNotFoundError):
        filesystem.invalidate_cache()
        filesystem.rm(path, recursive=True)


def rename_folder(place: str, target: str) -> None:
    """Give a folder another name, where `has_folders` says so; nothing may have that name."""
    filesystem, path = open_storage(place)
    with told(place):
        if is_url(place):
            filesystem.mv(path, open_storage(target)[1], recursive=True)
        else:
            Path(path).rename(open_storage(target)[1])


def copy_folder(place: str, target: str) -> None:
    """Copy every file of a folder within a store, which does it by itself."""
    filesystem, path = open_storage(place)
    inside = open_storage(target)[1]
    with told(place):
        filesystem.invalidate_cache()
        for name in filesystem.find(path):
            filesystem.cp_file(name, posixpath.join(inside, posixpath.relpath(name, path)))


def list_entries(folder: str) -> list[str]:
    """Names of files and folders in a folder, sorted; of none that is not there."""
    filesystem, path = open_storage(folder)
    with told(folder):
        filesystem.invalidate_cache()
        try:
            return sorted(
                {posixpath.basename(name.rstrip("/")) for name in filesystem.ls(path, detail=False)}
            )
        except FileNotFoundError:
            return []


def list_files(folder: str, pattern: str = "*") -> list[str]:
    """Files of a folder whose name fits a pattern, sorted, by whole names; hidden ones are left out."""
    filesystem, path = open_storage(folder)
    with told(folder):
        filesystem.invalidate_cache()
        names = sorted(
            posixpath.basename(str(name)) for name in filesystem.glob(posixpath.join(path, pattern))
        )
    return [join(folder.rstrip("/"), name) for name in names if not name.startswith(".")]


@contextmanager
def open_text(place: str, *, compression: str | None = "infer", encoding: str = "utf-8") -> Iterator[TextIO]:
    """A text file's lines, unpacked where its name or `compression` says so."""
    filesystem, path = open_storage(place)
    packing = fsspec.utils.infer_compression(path) if compression == "infer" else compression
    with fsspec.core.OpenFile(filesystem, path, "rt", compression=packing, encoding=encoding) as lines:
        yield lines


def _scheme(place: str) -> str:
    """Scheme of a URL, in small letters; empty for a path."""
    found = _SCHEME.match(place)
    return found.group(1).lower() if found else ""


def _for_python(place: str) -> str:
    scheme = _scheme(place)
    if scheme == "dbfs":
        path = "/" + place.removeprefix("dbfs:").lstrip("/")
        return path if path.startswith("/Volumes/") else f"/dbfs{path}"
    return FSSPEC_SCHEMES[scheme] + place[len(scheme) :] if scheme in FSSPEC_SCHEMES else place


def _on_databricks(path: str) -> str | None:
    """Name that Spark there has for a path of DBFS or of a volume; None elsewhere."""
    if "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        return None
    if path.startswith("/dbfs/"):
        return f"dbfs:{path.removeprefix('/dbfs')}"
    return f"dbfs:{path}" if path.startswith("/Volumes/") else None
