"""Asked to end: a signal is noted instead of dying in a step, and all ranks stop after the same step."""

from __future__ import annotations

import signal
import time
from types import FrameType

import numpy as np

from train.distributed import Comm

MOST_STEPS = 16
"""Steps between two questions at most. A question took 0.3 ms (torch's gloo) and 10 ms (Horovod), two ranks
on two busy cores."""


class StopRequest:
    """Notes SIGTERM and SIGINT while it is entered, instead of dying in the middle of a step."""

    def __init__(self) -> None:
        self.made = False

    def __enter__(self) -> StopRequest:
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.made = True


class Agreement:
    """Asks all ranks from time to time whether one of them is to stop.

    How many steps lie between two questions follows from how long steps take on average over ranks, which all
    ranks know from the last question, so that all ask after the same step. From one question to the next the
    number grows at most twofold, and never above `MOST_STEPS`: steps may become slow at once.

    Parameters
    ----------
    comm
        The ranks.
    seconds
        Time between two questions; 0: ask after every step.
    """

    def __init__(self, comm: Comm, seconds: float) -> None:
        self._comm, self._seconds = comm, seconds
        self.steps = self._left = 1
        self._since = time.monotonic()

    def stops(self, request: StopRequest) -> bool:
        """Whether to stop after this step, the same on every rank; to be called once a step."""
        self._left -= 1
        if self._left:
            return False
        elapsed = time.monotonic() - self._since
        asked, seconds = self._comm.sum(np.array([float(request.made), elapsed]))
        step = float(seconds) / self._comm.size / self.steps
        self.steps = self._left = max(
            1, min(2 * self.steps, MOST_STEPS, int(self._seconds / max(step, 1e-6)))
        )
        self._since = time.monotonic()
        return bool(asked > 0)
