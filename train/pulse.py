"""The sign of life that the main thread of a rank gives, and where it is when it gives none."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

PROJECT = Path(__file__).resolve().parents[1]
WAITING_FILE = Path("train/distributed.py")
"""Where a rank waits for the others: a main thread that is nowhere deeper in our code is not to blame."""
COMPUTING_SHARE = 0.1
"""Share of a core from which a process counts as computing. A rank asleep under Horovod was measured to take
0.035, for Horovod's own thread."""
MAIN_THREAD_SHARE = 0.01
"""The same of the main thread, which does its own work alone: a little is enough where cores are short."""


@dataclass(frozen=True)
class Standing:
    """Where a main thread has been, and for how many seconds without a sign of life.

    `waits` says that it is in a call that ends only when the other ranks make it too.
    """

    seconds: float
    place: str
    line: str
    waits: bool


def _clocks() -> tuple[float, float, float]:
    """Seconds that have passed, and those of processor time that this process and its main thread took."""
    of_main = 0.0
    if hasattr(time, "pthread_getcpuclockid"):  # not on macOS
        clock = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
        of_main = time.clock_gettime(clock)
    return time.monotonic(), time.process_time(), of_main


@dataclass
class Pulse:
    """What the main thread last marked.

    Outside of training steps (`computes`) processor time counts as a sign of life too: the fit of gene
    effects, and the first reading, take minutes without a mark. In a step it does not: waiting for other
    ranks may look like work (Horovod's and a GPU's do).
    """

    place: str = "the start"
    computes: bool = True
    waits: bool = False
    _since: float = field(default_factory=time.monotonic)
    _seen: tuple[float, float, float] = field(default_factory=_clocks)

    def mark(self, place: str, *, computes: bool = True, waits: bool = False) -> None:
        """Give a sign of life.

        Parameters
        ----------
        place
            What begins, as a sentence would name it: "epoch 3, step 7".
        computes
            Whether processor time counts as a sign of life until the next mark.
        waits
            Whether the main thread may wait for the other ranks until the next mark.
        """
        self.place, self.computes, self.waits = place, computes, waits
        self.renew()

    def renew(self) -> None:
        """Give a sign of life from the same place."""
        self._since = time.monotonic()

    def standing(self) -> Standing:
        """What another thread sees of the main thread now."""
        before, self._seen = self._seen, _clocks()
        now = self._seen[0]
        passed, used, used_by_main = (new - old for new, old in zip(self._seen, before, strict=True))
        busy = used >= COMPUTING_SHARE * passed or used_by_main >= MAIN_THREAD_SHARE * passed
        if self.computes and busy:
            self._since = now
        line, waiting = _line_of_main_thread()
        return Standing(now - self._since, self.place, line, self.waits or waiting)


PULSE = Pulse()
"""That of this process."""


def _line_of_main_thread() -> tuple[str, bool]:
    """File, line and function of the innermost call in our code; whether it waits for other ranks."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PROJECT):
            path = path.relative_to(PROJECT)
            if path.parts[0] in ("train", "contract"):
                return f"{path}:{frame.f_lineno}, {frame.f_code.co_name}", path == WAITING_FILE
        frame = frame.f_back
    return "outside of the trainer", False
