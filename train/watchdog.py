"""Ends a launch in which a rank stands still: a collective that one rank does not enter waits for ever.

A thread of every rank writes its main thread's sign of life to the launcher's store, beside the group that
hangs. The leading rank reads them all, the others read the leader's, and whoever finds one to be missing for
`run.stall_seconds` names rank and step and ends. Times are the reader's: clocks of hosts need not agree.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from contract.lock import read_owner
from train.ending import FAILED_STATUS, GOES_ON, say
from train.launch import launch_name, launched_rank, launched_size
from train.launcher_store import Store, StoreError, open_store
from train.pulse import PULSE, Pulse, Standing
from train.run_folder import note_end

SPEAKS_FIRST = 2.0
"""Seconds between whoever tells the verdict and the others, whose ends launchers tell too."""
STORE_PATIENCE = 30.0
"""Seconds without any answer after which the launcher counts as gone."""
ORPHAN_SECONDS = 60.0
"""Seconds in which ranks without a launcher may still save, as after SIGTERM."""
VERDICT = "verdict"


@dataclass(frozen=True)
class Sign:
    """A rank's last sign and the seconds since it came; `standing` is None before the first."""

    silent: float
    host: str
    standing: Standing | None


def judge(signs: dict[int, Sign], size: int, limit: float, here: str) -> str:
    """Who stands still, as a sentence; empty where none does.

    Parameters
    ----------
    signs
        Of the ranks that are watched.
    size
        Number of ranks.
    limit
        Seconds without a sign of life.
    here
        Where the rank that judges is: a rank that gave no sign has come as far.
    """
    found = []
    for rank, sign in sorted(signs.items()):
        name = f"rank {rank} of {size}" + (f" on {sign.host}" if sign.host else "")
        seen = sign.standing
        if sign.silent > limit:
            last = f"last seen in {seen.place}" if seen else "never seen"
            found.append(
                f"{name} has given no sign of life for {sign.silent:.0f} s ({last}), others wait in {here}"
            )
        elif seen and seen.seconds > limit and not seen.waits:
            found.append(f"{name} stands still in {seen.place} ({seen.line}) for {seen.seconds:.0f} s")
    together = [sign.standing for sign in signs.values() if sign.standing is not None]
    if not found and len(together) == size and all(one.seconds > limit for one in together):
        first = min(together, key=lambda one: one.seconds)
        found.append(f"all {size} ranks wait for each other in {first.place} for {first.seconds:.0f} s")
    return "; ".join(found)


class Watchdog:
    """The thread of one rank."""

    def __init__(self, store: Store, rank: int, size: int, limit: float, end: Callable[[str], None]) -> None:
        self._store, self.rank, self.size, self._limit = store, rank, size, limit
        self._end = end
        self.interval = min(5.0, limit / 10)
        self._watched = range(size) if rank == 0 else (0, rank)
        self._pulse: Pulse = PULSE
        self._parent = os.getppid()
        self._beats = 0
        self._signs: dict[int, tuple[str | None, float]] = dict.fromkeys(
            self._watched, (None, time.monotonic())
        )
        self._answered = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more: this rank is about to end well, or to tell its own fault."""
        self._closed.set()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._closed.wait(self.interval):
            if time.monotonic() - before > 3 * self.interval + 1:
                self._forgive()
            try:
                self.look()
            except StoreError:
                if time.monotonic() - self._answered > STORE_PATIENCE:
                    self._leave("it no longer answers")
            if os.getppid() != self._parent:
                self._leave("its process has ended")
            before = time.monotonic()

    def _forgive(self) -> None:
        """Don't count time in which this process, and perhaps all of them, was suspended."""
        self._pulse.renew()
        now = time.monotonic()
        self._answered = now
        self._signs = {rank: (text, now) for rank, (text, _) in self._signs.items()}

    def look(self) -> None:
        """Give a sign and look at the others'.

        Raises
        ------
        StoreError
            If the launcher's store does not answer.
        """
        self._beats += 1
        sign = {"beat": self._beats, "host": socket.gethostname(), **asdict(self._pulse.standing())}
        self._store.put(f"rank-{self.rank}", json.dumps(sign))
        verdict = self._store.get(VERDICT)
        now = self._answered = time.monotonic()
        for rank in self._watched:
            text = self._store.get(f"rank-{rank}")
            if text != self._signs[rank][0]:
                self._signs[rank] = text, now
        if verdict is None:
            signs = {rank: _read(text, now - since) for rank, (text, since) in self._signs.items()}
            verdict = judge(
                signs if self.rank == 0 else {0: signs[0]}, self.size, self._limit, self._pulse.place
            )
            if not verdict or self._closed.is_set():
                return
            # The others find a silent leader at the same time: one of them is to tell it.
            time.sleep(self.interval * max(0, min(self.rank - 1, 5)))
            if self.rank <= 1 or self._store.get(VERDICT) is None:
                self._store.put(VERDICT, verdict)
                self._end(f"{verdict} (run.stall_seconds={self._limit:g}); all ranks end, {GOES_ON}")
                return
        time.sleep(SPEAKS_FIRST)
        self._end("")

    def _leave(self, why: str) -> None:
        """Stop as on SIGTERM, where all ranks agree and save, or after a while without."""
        if self._closed.is_set():
            return
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._closed.wait(ORPHAN_SECONDS):
            self._end(f"the launcher is gone ({why}); {GOES_ON}")


def _read(text: str | None, silent: float) -> Sign:
    if text is None:
        return Sign(silent, "", None)
    content = json.loads(text)
    content.pop("beat")
    return Sign(silent, content.pop("host"), Standing(**content))


def _end_process(out: Path, sentence: str) -> None:
    """End without the main thread, which hangs in a call that nothing but this ends."""
    if sentence:
        owner = read_owner(out)
        if owner is not None and owner.launch == launch_name():
            note_end(out, FAILED_STATUS, [sentence], replace=True)
        say(FAILED_STATUS, [sentence])
    os._exit(FAILED_STATUS)


@contextmanager
def watched(limit: float | None, out: Path, world: int = 0) -> Iterator[None]:
    """Watch over the ranks of this launch while the block runs.

    Parameters
    ----------
    limit
        Seconds without a sign of life after which all ranks end; None: no watch.
    out
        The run's folder, where the reason is left if this launch owns it.
    world
        How many worlds of ranks there were before, where ranks come and go.
    """
    store = open_store(world) if limit is not None else None
    if store is None or limit is None:
        yield
        return
    watchdog = Watchdog(store, launched_rank(), launched_size(), limit, partial(_end_process, out))
    watchdog.start()
    try:
        yield
    finally:
        watchdog.close()
