"""`python -m train` with a fault in the middle of training: a program for tests of real processes.

FAULT is `kind:rank:step`: that rank meets the fault before that step (counted from 0, over all epochs).
SLOW is the seconds that every step lasts longer.
"""

import os
import resource
import signal
import time
from collections.abc import Callable

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


def faulty(trainer: Trainer, batch: Batch) -> tuple[float, float]:
    if kind in KINDS and trainer.comm.rank == int(rank) and trainer.progress.total_steps == int(step):
        KINDS[kind]()
    time.sleep(slow)
    return untouched(trainer, batch)


Trainer.train_step = faulty  # type: ignore[method-assign]
app()
