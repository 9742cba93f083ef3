"""A run's folder at a URL: worked on in a local copy, whose changes go back.

An object store has no folders, renames or appends. The copy has them, and what is sent is whole: files in one
piece each, the one that makes a folder count last.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from typing_extensions import override

from contract.errors import InputError, fault
from contract.storage import is_url, open_storage, told
from train.bundle import FACTS_NAME
from train.ending import GOES_ON
from train.errors import TrainingError
from train.run_lock import LOCK_NAME, Owner, RunLock, owner_of, owner_text

Look = tuple[int, int]
COPIES: dict[Path, str] = {}
"""URLs of the copies that this process has now."""


class Mirror:
    """A folder at a URL and its copy here.

    Parameters
    ----------
    url
        Of a folder, which need not exist.
    folder
        Where the copy is made.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self._filesystem, self._base = open_storage(url)
        self._sent: dict[str, Look] = {}

    def pull(self) -> None:
        """Make the copy what the URL holds.

        Raises
        ------
        StorageError
            If the store can't be read.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)  # scores of single people are inside
        with told(self.url):
            self._filesystem.invalidate_cache()
            found = {posixpath.relpath(path, self._base) for path in self._filesystem.find(self._base)}
            for name in sorted(name for name in found if self._counts(name, found)):
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self._filesystem.get_file(posixpath.join(self._base, name), str(target))
        self._sent = self._looks()

    def push(self) -> None:
        """Send what changed since it was last sent or fetched, and remove what is gone.

        Raises
        ------
        StorageError
            If the store can't be written to; what was sent before is whole.
        """
        looks = self._looks()
        changed = [name for name, look in looks.items() if self._sent.get(name) != look]
        with told(self.url):
            for name in sorted(changed, key=lambda name: (Path(name).name == FACTS_NAME, name)):
                self._filesystem.put_file(str(self.folder / name), posixpath.join(self._base, name))
                self._sent[name] = looks[name]
            for name in self._sent.keys() - looks.keys():
                self._filesystem.rm_file(posixpath.join(self._base, name))
                del self._sent[name]

    def _looks(self) -> dict[str, Look]:
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {
            str(path.relative_to(self.folder)): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in paths
            if path.name != LOCK_NAME and ".partial" not in str(path.relative_to(self.folder))
        }

    @staticmethod
    def _counts(name: str, found: set[str]) -> bool:
        """Whether a file is to be fetched: not of a bundle that was not sent to its end, nor the lock."""
        folder, _, file = name.rpartition("/")
        return file != LOCK_NAME and (Path(folder).name != "bundle" or f"{folder}/{FACTS_NAME}" in found)


class StoredLock(RunLock):
    """The lock of a run at a URL: an object that is made where there is none, and written anew as a beat."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._filesystem, base = open_storage(url)
        self._name = posixpath.join(base, LOCK_NAME)
        self._beats = 0

    @override
    def _make_folder(self) -> None:
        pass

    @override
    def _create(self, owner: Owner) -> bool:
        with told(str(self._out)):
            try:
                self._filesystem.pipe_file(self._name, owner_text(owner).encode(), mode="create")
            except FileExistsError:
                return False
        return True

    @override
    def _read_owner(self) -> Owner | None:
        text = self._look()
        return None if text is None else owner_of(text)

    @override
    def _look(self) -> str | None:
        with told(str(self._out)):
            try:
                return str(self._filesystem.cat_file(self._name).decode())
            except FileNotFoundError:
                return None

    @override
    def _renew(self) -> None:
        self._beats += 1
        if self._owner is not None:
            text = owner_text(self._owner) + " " * self._beats  # other content, the same owner
            with told(str(self._out)):
                self._filesystem.pipe_file(self._name, text.encode())

    @override
    def _remove(self) -> None:
        with told(str(self._out)):
            self._filesystem.rm_file(self._name)

    @override
    def _remove_dead(self, owner: Owner | None) -> None:
        # Two that find it dead at once may both come this far: the later one is found out by `check`.
        if self._read_owner() == owner:
            self._remove()


def local_folder(place: str) -> Path:
    """Where this process works on a run's folder: there, or in the copy of what is at a URL."""
    if not is_url(place):
        return Path(place)
    name = hashlib.sha256(place.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"exoshard-{os.getpid()}-{name}"


def lock_of(place: str) -> RunLock:
    """The lock of a run's folder or URL."""
    return StoredLock(place) if is_url(place) else RunLock(Path(place))


@contextmanager
def mirrored(place: str) -> Iterator[Mirror | None]:
    """A copy of what is at a URL, for as long as the block runs; None for a folder, which needs none.

    What changed goes back at the end, after a failure too.

    Raises
    ------
    InputError
        If the store can't be read.
    TrainingError
        If it can't be written to at the end.
    """
    if not is_url(place):
        yield None
        return
    mirror = Mirror(place, local_folder(place))
    COPIES[mirror.folder] = place
    try:
        _pull(mirror)
        try:
            yield mirror
        except BaseException:
            with suppress(OSError):  # what went wrong first is told
                mirror.push()
            raise
        _push(mirror)
    finally:
        del COPIES[mirror.folder]
        shutil.rmtree(mirror.folder, ignore_errors=True)


def place_of(folder: Path) -> str:
    """Where a folder is for the user: the URL of a copy, or its absolute path."""
    for copy, url in COPIES.items():
        if folder == copy or copy in folder.parents:
            return posixpath.join(url, *folder.relative_to(copy).parts)
    return str(folder.absolute())


def _pull(mirror: Mirror) -> None:
    try:
        mirror.pull()
    except OSError as error:
        wanted = "a folder's URL that can be read"
        raise InputError(fault(mirror.url, "folder", found=f"'{error.strerror}'", wanted=wanted)) from None


def _push(mirror: Mirror) -> None:
    try:
        mirror.push()
    except OSError as error:
        wanted = f"a URL that can be written to; what was sent before is whole, {GOES_ON}"
        raise TrainingError(fault(mirror.url, "folder", found=f"'{error.strerror}'", wanted=wanted)) from None
