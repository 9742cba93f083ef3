"""One job at a time on a folder or URL: a lock file that names its owner and shows that it lives.

An owner on this machine is looked up by its process; of one elsewhere only the lock's file tells, whose time
the owner renews. A lock is therefore never left for good: what a killed job leaves is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from contract.errors import InputError, fault
from contract.storage import StorageError, is_url, open_storage, refused, told, write_new

LOCK_NAME = "lock.json"
BEAT_SECONDS = 10.0
"""How often an owner renews its lock."""
STALE_SECONDS = 60.0
"""How long a lock from elsewhere stays as it is before its owner counts as dead: six beats, since file
systems that hosts share may show a change late."""


@dataclass(frozen=True)
class Owner:
    """A process that holds a folder; `launch` is the same for all of its launch, "" for one alone."""

    token: str
    host: str
    machine: str
    process: int
    started: str
    since: str
    launch: str


class LostLockError(RuntimeError):
    """Another job has taken over."""


class FolderLock:
    """The lock of a folder, for the process that writes there.

    Parameters
    ----------
    out
        The folder.
    """

    field: ClassVar[str] = "out"
    """Setting that names the folder."""
    lost: ClassVar[type[Exception]] = LostLockError
    """Raised where another job has taken over."""

    def __init__(self, out: Path | str) -> None:
        self._out = out
        self._owner: Owner | None = None
        self._released, self._renewing = threading.Event(), threading.Lock()

    @property
    def _path(self) -> Path:
        return Path(self._out) / LOCK_NAME

    def take(self) -> None:
        """Make the folder and become its owner.

        Raises
        ------
        InputError
            If another job owns it, or it can't be made.
        """
        owner = _this_process(self._launch())
        try:
            self._make_folder()
            while not self._create(owner):
                self._take_over()
        except StorageError as error:
            raise InputError(refused(error)) from None
        except OSError as error:
            found = error.strerror or str(error)
            wanted = "a folder that can be made and written to"
            raise InputError(fault(self._out, self.field, found=f"'{found}'", wanted=wanted)) from None
        self._owner = owner
        threading.Thread(target=self._beat, name="run lock", daemon=True).start()

    def check(self) -> None:
        """Refuse to go on where another job has taken over.

        Raises
        ------
        Exception
            Of the class `lost`, if the lock is no longer that of this process.
        """
        if not self._is_ours():
            raise self.lost(
                f"{self._out}/{LOCK_NAME}: found another job's lock, wanted this one's: it was taken "
                f"for dead after {STALE_SECONDS:g} s without a sign; nothing was written"
            )

    def release(self) -> None:
        """Give the folder up, and remove it where it is empty."""
        self._released.set()
        with self._renewing, contextlib.suppress(OSError):
            if self._is_ours():
                self._remove()
        self._owner = None

    def _launch(self) -> str:
        """What this process has in common with others of its launch."""
        return ""

    def _is_replaced(self, owner: Owner | None) -> bool:
        """Whether this process takes the owner's place, dead or alive."""
        return False

    def _is_ours(self) -> bool:
        return self._owner is not None and self._read_owner() == self._owner

    def _take_over(self) -> None:
        """Remove the lock of a dead owner; nothing where it has gone meanwhile."""
        owner = self._read_owner()
        here = owner is not None and owner.machine == _machine()
        dead = self._is_replaced(owner) or (_is_dead(owner) if owner and here else self._stays())
        if not dead:
            raise InputError(
                fault(self._out, self.field, found=_told(owner), wanted="its end, or another folder")
            )
        self._remove_dead(owner)

    def _stays(self) -> bool:
        """Whether the lock stays as it is for so long that its owner must be dead; True where it goes."""
        deadline, before = time.monotonic() + STALE_SECONDS, self._look()
        while time.monotonic() < deadline:
            time.sleep(min(1.0, STALE_SECONDS / 10))
            now = self._look()
            if now is None:
                return True
            if now != before:
                return False
        return True

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            with self._renewing, contextlib.suppress(OSError):
                if not self._released.is_set() and self._is_ours():
                    self._renew()

    def _make_folder(self) -> None:
        folder = Path(self._out)
        if folder.exists() and not folder.is_dir():
            wanted = "a folder, or a name that is free"
            raise InputError(fault(folder, self.field, found="a file", wanted=wanted))
        folder.mkdir(parents=True, exist_ok=True)

    def _create(self, owner: Owner) -> bool:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(owner_text(owner))
        except OSError:
            self._path.unlink()
            raise
        return True

    def _read_owner(self) -> Owner | None:
        return read_owner(Path(self._out))

    def _look(self) -> object:
        """What a renewal changes; None where there is no lock."""
        try:
            # Opened, as a file system over a network then asks its server.
            with self._path.open() as stream:
                return os.fstat(stream.fileno()).st_mtime_ns
        except FileNotFoundError:
            return None

    def _renew(self) -> None:
        os.utime(self._path)

    def _remove(self) -> None:
        self._path.unlink()
        if not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()

    def _remove_dead(self, owner: Owner | None) -> None:
        # Of several that find it dead one renames it; what it then holds is looked at once more.
        taken = self._path.with_name(f"{LOCK_NAME}.{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(taken)
            if _read(taken) != owner:
                taken.rename(self._path)
            else:
                taken.unlink()


class StoredLock(FolderLock):
    """The lock of a URL: an object that is made where there is none, and written anew as a beat."""

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
        try:
            write_new(posixpath.join(str(self._out), LOCK_NAME), owner_text(owner).encode())
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


def lock_of(place: str) -> FolderLock:
    """The lock of a folder or URL."""
    return StoredLock(place) if is_url(place) else FolderLock(open_storage(place)[1])


def read_owner(out: Path) -> Owner | None:
    """Who holds a folder; None where no one does, or the lock can't be read (yet)."""
    return _read(out / LOCK_NAME)


def _read(path: Path) -> Owner | None:
    try:
        return owner_of(path.read_text())
    except OSError:
        return None


def owner_text(owner: Owner) -> str:
    """What a lock holds."""
    return json.dumps(asdict(owner), indent=1)


def owner_of(text: str) -> Owner | None:
    """The owner that a lock's text names; None where it is not (yet) whole."""
    try:
        return Owner(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _told(owner: Owner | None) -> str:
    if owner is None:
        return "a run in progress elsewhere"
    return f"a run in progress (process {owner.process} on {owner.host}, since {owner.since})"


def _this_process(launch: str) -> Owner:
    return Owner(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        machine=_machine(),
        process=os.getpid(),
        started=_started(os.getpid()) or "",
        since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        launch=launch,
    )


def _machine() -> str:
    """Where numbers of processes mean the same: a boot of a host, and there a container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            os.readlink("/proc/self/ns/pid"),
        ]
    return " ".join(parts)


def _started(process: int) -> str | None:
    """When a process started, in the kernel's own count; None where it has ended or no one tells."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _is_dead(owner: Owner) -> bool:
    if owner.started:
        return _started(owner.process) != owner.started
    try:
        os.kill(owner.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
