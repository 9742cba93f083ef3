"""`python -m train` with a fault in the middle of training: a program for tests of real processes.

FAULT is `kind:rank:step`: that rank meets the fault before that step (counted from 0, over all epochs).
SLOW is the seconds that every step lasts longer. ONCE is a file that is made with the fault: where it is,
there is no fault, as for ranks that do the step again.
"""

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch

from train.__main__ import app
from train.engine import Trainer
from train.scaling import Batch

KINDS: dict[str, Callable[[], object]] = {
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "sleep": lambda: time.sleep(3600),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "full": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    "memory": lambda: torch.zeros(2**46),
    "end": lambda: os.kill(os.getpid(), signal.SIGTERM),
}

untouched = Trainer.train_step
kind, rank, step = os.environ.get("FAULT", "none:0:0").split(":")
slow = float(os.environ.get("SLOW", "0"))
once = Path(os.environ["ONCE"]) if "ONCE" in os.environ else None


def meets_fault(trainer: Trainer) -> bool:
    if kind not in KINDS or (once is not None and once.exists()):
        return False
    return trainer.comm.rank == int(rank) and trainer.progress.total_steps == int(step)


def faulty(trainer: Trainer, batch: Batch) -> tuple[float, float]:
    if meets_fault(trainer):
        if once is not None:
            once.touch()
        KINDS[kind]()
    time.sleep(slow)
    return untouched(trainer, batch)


Trainer.train_step = faulty  # type: ignore[method-assign]
app()
