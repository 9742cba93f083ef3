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
    return _number("RANK", 0)


def launched_size() -> int:
    """Number of ranks that the launcher started, before any group is joined."""
    return _number("SIZE", 1)


def launch_name() -> str:
    """What all ranks of this launch have in common, and no other launch has; empty without a launcher."""
    names = {
        "horovod": ("HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT"),
        "ddp": ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"),
        "none": (),
    }
    return ":".join(os.environ.get(name, "") for name in names[launcher()])


def _number(what: Literal["RANK", "SIZE"], alone: int) -> int:
    names = {"horovod": f"HOROVOD_{what}", "ddp": {"RANK": "RANK", "SIZE": "WORLD_SIZE"}[what], "none": ""}
    return int(os.environ.get(names[launcher()]) or alone)
