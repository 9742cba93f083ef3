"""When a run saves its state between the ends of epochs: after so many steps, after so much time."""

from __future__ import annotations

import time

import numpy as np

from train.distributed import Comm


class SavePlan:
    """Decides after which steps to save, the same on every rank.

    Clocks of ranks differ: the leader's counts, and is asked for after as many steps as are expected to fill
    the time that is left, at most twice as many as since it was last asked.

    Parameters
    ----------
    comm
        The ranks.
    step
        Steps done before.
    steps
        Save after so many; None: after any number.
    seconds
        Save after so many; None: after any time.
    """

    def __init__(self, comm: Comm, step: int, *, steps: int | None, seconds: float | None) -> None:
        self._comm, self._steps, self._seconds = comm, steps, seconds
        self.saved(step)

    def saved(self, step: int) -> None:
        """Note that the state after this step is saved."""
        self._saved_at, self._asked, self._since = step, step, time.monotonic()
        self._next = step + 1

    def due(self, step: int) -> bool:
        """Whether to save after this step; to be called by all ranks after every step."""
        if self._steps is not None and step - self._saved_at >= self._steps:
            return True
        if self._seconds is None or step < self._next:
            return False
        elapsed = time.monotonic() - self._since if self._comm.is_leader else 0.0
        elapsed = float(self._comm.sum(np.array([elapsed]))[0])
        left = (self._seconds - elapsed) * (step - self._saved_at) / max(elapsed, 1e-6)
        self._next = step + max(1, min(int(left), 2 * (step - self._asked)))
        self._asked = step
        return elapsed >= self._seconds
