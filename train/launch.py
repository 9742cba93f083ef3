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


def is_elastic() -> bool:
    """Whether the launcher adds and removes ranks while others train."""
    return launcher() == "horovod" and os.environ.get("HOROVOD_ELASTIC") == "1"


def note_place(rank: int, size: int) -> None:
    """Note another place among horovodrun's ranks than the one that this process was started with."""
    os.environ["HOROVOD_RANK"], os.environ["HOROVOD_SIZE"] = str(rank), str(size)


def launched_rank() -> int:
    """Rank of this process before any group is joined, or in an elastic group."""
    return _number("RANK", 0)


def launched_size() -> int:
    """Number of ranks that the launcher started; in an elastic group, of those that are left."""
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
