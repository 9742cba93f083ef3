"""What a process knows of its launcher before it joins a group, and before torch is imported."""

from __future__ import annotations

import os
from typing import Literal


def launcher() -> Literal["horovod", "ddp", "none"]:
    """Which launcher started this process."""
    if "HOROVOD_RANK" in os.environ:
        return "horovod"
    if "RANK" in os.environ and "MASTER_ADDR" in os.environ:
        return "ddp"
    return "none"


def launched_rank() -> int:
    """Rank of this process before any group is joined."""
    return int(
        {"horovod": os.environ.get("HOROVOD_RANK"), "ddp": os.environ.get("RANK")}.get(launcher()) or 0
    )
