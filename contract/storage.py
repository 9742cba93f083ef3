"""The file system behind a path or URL."""

from __future__ import annotations

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


def absolute(url: str) -> str:
    """The URL itself, or the absolute path of a local one: executors run in folders of their own."""
    return url if "://" in url else open_storage(url)[1]
