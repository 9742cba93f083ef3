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
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from contract.errors import InputError, fault
from contract.lock import LOCK_NAME
from contract.storage import StorageError, is_url, local_path, open_storage, told
from train.bundle import FACTS_NAME
from train.errors import TrainingError
from train.pulse import PULSE

Look = tuple[int, int]
FIRST, LAST = ("run.json", "config.yaml"), ("effects.safetensors", "checkpoint.pt", FACTS_NAME)
"""Files that say whose the folder is, and those that make others count."""
PREFIX = "exoshard-copy-"
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
        self.may_send: Callable[[], object] = lambda: None
        """Raises where another job owns the folder now."""
        self._filesystem, self._base = open_storage(url)
        self._sent: dict[str, Look] = {}

    def pull(self) -> None:
        """Make the copy what the URL holds.

        Raises
        ------
        StorageError
            If the store can't be read, or names a file that would lie outside of the copy.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)  # scores of single people are inside
        with told(self.url):
            self._filesystem.invalidate_cache()
            base = self._base.rstrip("/") + "/"
            found = {
                path.removeprefix(base) for path in self._filesystem.find(self._base) if path.startswith(base)
            }
            for name in sorted(name for name in found if self._counts(name, found)):
                PULSE.renew()
                if not {"", ".", ".."}.isdisjoint(name.split("/")):
                    raise StorageError(None, f"{self.url}: a name that leads elsewhere: {name}")
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
        TrainingError
            If another job owns the folder.
        """
        self.may_send()
        looks = self._looks()
        changed = [name for name, look in looks.items() if self._sent.get(name) != look]
        with told(self.url):
            for name in sorted(changed, key=_turn):
                PULSE.renew()
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
        parts = name.split("/")
        bundles = ["/".join(parts[: at + 1]) for at, part in enumerate(parts[:-1]) if part == "bundle"]
        return parts[-1] != LOCK_NAME and all(f"{bundle}/{FACTS_NAME}" in found for bundle in bundles)


def _turn(name: str) -> tuple[float, str]:
    """When a file is sent: what says whose the folder is first, what makes others count last."""
    file = name.rpartition("/")[2]
    for turn, names in ((0, FIRST), (2, LAST)):
        if file in names:
            return turn + names.index(file) / len(names), name
    return 1, name


def local_folder(place: str) -> Path:
    """Where this process works on a run's folder: there, or in the copy of what is at a URL."""
    if not is_url(place):
        return Path(local_path(place))
    return Path(tempfile.gettempdir()) / f"{PREFIX}{os.getpid()}-{_digest(place)}"


@contextmanager
def mirrored(place: str) -> Iterator[Mirror | None]:
    """A copy of what is at a URL, for as long as the block runs; None for a folder, which needs none.

    What changed goes back at the end, after a failure too. Within the block the same URL is the same copy.

    Raises
    ------
    InputError
        If the store can't be read.
    TrainingError
        If it can't be written to at the end: the copy then stays, and is named.
    """
    folder = local_folder(place)
    if not is_url(place) or folder in COPIES:
        yield None
        return
    _remove_abandoned()
    mirror = Mirror(place, folder)
    COPIES[folder] = place
    try:
        _pull(mirror)
        try:
            yield mirror
        except BaseException:
            with suppress(OSError, TrainingError):  # what went wrong first is told
                mirror.push()
            raise
        send(mirror)
    finally:
        del COPIES[folder]
        shutil.rmtree(folder, ignore_errors=True)


def send(mirror: Mirror) -> None:
    """Send what changed.

    Raises
    ------
    TrainingError
        If the store can't be written to: the copy then stays, under a name of its own.
    """
    try:
        mirror.push()
    except OSError as error:
        kept = mirror.folder.with_name(f"exoshard-unsent-{uuid.uuid4().hex[:8]}")
        shutil.copytree(mirror.folder, kept)
        wanted = f"a URL that can be written to; what was not sent is in {kept}"
        raise TrainingError(fault(mirror.url, "folder", found=f"'{error.strerror}'", wanted=wanted)) from None


def place_of(folder: Path) -> str:
    """Where a folder, or a file in it, is for the user: at the URL of a copy, or there."""
    for copy, url in COPIES.items():
        if folder == copy or copy in folder.parents:
            return posixpath.join(url, *folder.relative_to(copy).parts)
    return str(folder)


def _pull(mirror: Mirror) -> None:
    try:
        mirror.pull()
    except OSError as error:
        wanted = "a folder's URL that can be read"
        raise InputError(fault(mirror.url, "folder", found=f"'{error.strerror}'", wanted=wanted)) from None


def _remove_abandoned() -> None:
    """Remove copies of this user's processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).split("-")[0]
        with suppress(OSError, ValueError):
            if folder.stat().st_uid == os.getuid() and not psutil.pid_exists(int(process)):
                shutil.rmtree(folder, ignore_errors=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
