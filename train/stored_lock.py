"""The lock of a run at a URL, beside `train.run_lock`'s of a folder."""

from __future__ import annotations

import posixpath

from typing_extensions import override

from contract.storage import is_url, open_storage, told
from train.mirror import local_folder
from train.run_lock import LOCK_NAME, Owner, RunLock, owner_of, owner_text


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
                return self._read_owner() == owner  # as where the answer to a first try was lost
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


def lock_of(place: str) -> RunLock:
    """The lock of a run's folder or URL."""
    return StoredLock(place) if is_url(place) else RunLock(local_folder(place))
