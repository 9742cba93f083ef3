"""The lock of a run, for the rank that writes there: `contract.lock`'s, which knows of launches."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from contract import lock
from contract.lock import Owner
from contract.storage import is_url
from train.errors import TrainingError
from train.launch import is_elastic, launch_name


class _OfRanks(lock.FolderLock):
    field: ClassVar[str] = "run.out"
    lost: ClassVar[type[Exception]] = TrainingError

    @override
    def _launch(self) -> str:
        return launch_name()

    @override
    def _is_replaced(self, owner: Owner | None) -> bool:
        # Elastic ranks of this launch may have chosen another leader than the owner.
        return is_elastic() and owner is not None and owner.launch == launch_name()


class RunLock(_OfRanks):
    """The lock of a run's folder."""


class StoredLock(_OfRanks, lock.StoredLock):
    """The lock of a run at a URL."""


def lock_of(place: str) -> lock.FolderLock:
    """The lock of a run's folder or URL."""
    from train.mirror import local_folder

    return StoredLock(place) if is_url(place) else RunLock(local_folder(place))
