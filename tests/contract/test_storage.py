from pathlib import Path

import fsspec
import pytest

from contract.errors import InputError
from contract.storage import StorageError, exists, is_url, local_path, open_storage, told, write_whole


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError("Access Denied"), "s3://b: Access Denied"),
        (OSError(28, "No space left on device"), "s3://b: No space left on device"),
        (RuntimeError("Could not\nconnect"), "s3://b: Could not connect"),
        (TimeoutError(), "s3://b: TimeoutError"),
        (KeyError(), "s3://b: KeyError"),
    ],
)
def test_told__whatever_a_store_raises_is_one_kind_of_error(error: Exception, words: str):
    with pytest.raises(StorageError) as caught, told("s3://b"):
        raise error
    assert caught.value.strerror == words


@pytest.mark.parametrize("kind", [FileNotFoundError, FileExistsError, NotADirectoryError])
def test_told__what_is_not_there_is_for_the_caller(kind: type[OSError]):
    with pytest.raises(kind), told("s3://b"):
        raise kind("here")


@pytest.mark.parametrize("place", ["memory://whole/deep/file", "{folder}/deep/file"])
def test_write_whole__file_and_folders(tmp_path: Path, place: str):
    place = place.format(folder=tmp_path)
    assert not exists(place)
    write_whole(place, b"content")
    assert exists(place)
    assert fsspec.open(place).open().read() == b"content"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] in ([], ["file"])


def test_write_whole__refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises((StorageError, NotADirectoryError, FileExistsError)):
        write_whole(str(tmp_path / "file" / "inside"), b"")


def test_write_whole__a_failure_leaves_nothing_half_written(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        write_whole(str(tmp_path / "taken"), b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_is_url__a_file_s_is_a_path():
    assert [is_url(place) for place in ("s3://b/r", "file:///r", "/r", "r")] == [True, False, False, False]


@pytest.mark.parametrize("url", ["s3:/bucket/x", "gs:/bucket", "foo:/x"])
def test_open_storage__one_slash_is_told(url: str):
    scheme = url.partition(":")[0]
    with pytest.raises(InputError, match=f"^{url}: URL: found {scheme}:/ with one slash, wanted {scheme}://"):
        open_storage(url)


@pytest.mark.parametrize(
    ("place", "path"),
    [("a/b", "a/b"), ("file:///a/b", "/a/b"), ("dbfs:/Volumes/c/s/v/x", "/Volumes/c/s/v/x")],
)
def test_local_path__as_written_or_what_a_scheme_stands_for(place: str, path: str):
    assert local_path(place) == path
