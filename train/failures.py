"""What fails below the trainer, as sentences: the group of ranks, and memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from train.ending import GOES_ON
from train.errors import LostRankError, TrainingError
from train.pulse import PULSE

LOST = re.compile(r"gloo|Horovod has been shut down|NCCL|Connection (reset|closed)", re.IGNORECASE)
"""In the text of what a collective raises when another rank has ended."""
WORLD_ENDS = ("HorovodInternalError", "HostsUpdatedInterrupt")
"""Names of what Horovod raises where ranks are lost, and where hosts come or go."""
MEMORY = re.compile(r"can't allocate memory|out of memory|std::bad_alloc", re.IGNORECASE)


@contextmanager
def failures_told(*, elastic: bool = False) -> Iterator[None]:
    """Tell the failures of a rank that need no traceback.

    Parameters
    ----------
    elastic
        Whether the others go on when a rank has ended: what the collective raised then is left to Horovod.

    Raises
    ------
    LostRankError
        If a collective failed because another rank has ended.
    TrainingError
        If memory did not suffice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = " ".join(str(error).split())
        if isinstance(error, MemoryError) or MEMORY.search(text):
            found = f"not enough memory ({text})" if text else "not enough memory"
            wanted = "more memory, fewer ranks on a host, or smaller data.cache_mb or data.batch_size"
            raise TrainingError(f"{PULSE.place}: found {found}, wanted {wanted}; {GOES_ON}") from None
        if elastic and type(error).__name__ in WORLD_ENDS:
            raise
        if type(error).__name__ == "HorovodInternalError" or LOST.search(text):
            ended = "another rank has ended: by a fault of its own, or killed, as for want of memory"
            raise LostRankError(f"{PULSE.place}: {ended}; {GOES_ON}") from None
        raise
