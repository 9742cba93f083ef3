"""The training loop: epochs, steps, validation, and decisions that all ranks take together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from train.engine import Progress, Scores, Trainer
from train.errors import Stopped
from train.pulse import PULSE
from train.saving import SavePlan
from train.scaling import Batch
from train.stopping import Agreement, StopRequest

Batches = Callable[[int, int], Iterator[Batch]]
"""Batches of an epoch (first argument), without the first so many steps (second)."""
LONG_VALIDATION = 1.0
"""Seconds of a validation above which the steps before it are saved first: no rank asks there whether to
stop, and Horovod ends ranks 5 s after it told them to."""


@dataclass(frozen=True)
class Calls:
    """What the loop asks of the run around it."""

    training: Batches
    """This rank's batches of an epoch, equally many on every rank."""
    validate: Callable[[], tuple[Scores, NDArray[np.int8]]]
    """Scores of the validation people and their labels, the same on every rank."""
    save: Callable[[], None]
    """Writes the trainer's state (on the leader)."""
    tell: Callable[[dict[str, float]], None]
    """Shows a finished epoch (on the leader)."""
    observe: Callable[[dict[str, float]], None]
    """Is given every step's loss (the mean over this rank's people), gradient norm and learning rate."""
    commit: Callable[[], None]
    """Keeps the trainer's state in memory, for ranks that come and go; may leave the loop for them."""


def run_epochs(trainer: Trainer, calls: Calls) -> Progress:
    """Train until the validation loss stops falling; `trainer` is fresh or restored.

    Raises
    ------
    TrainingError
        If a loss or gradient is not finite.
    Stopped
        If the process was asked to end (SIGTERM or SIGINT on any rank), after saving.
    """
    progress = trainer.progress
    with StopRequest() as request:
        if trainer.model.starts_somewhere and not progress.total_steps and not progress.finished:
            trainer.begin(*calls.validate())
        validating = 0.0  # seconds that it took last
        while not progress.finished:
            started = time.perf_counter()
            timing = run_steps(trainer, calls, request)
            PULSE.mark(f"the validation of epoch {progress.epoch + 1}")
            local = np.array([progress.loss_sum, timing.waited, timing.people, validating])
            loss_sum, waited, people, validating = map(float, trainer.comm.sum(local))
            n_steps, n_ranks = max(progress.step, 1), trainer.comm.size
            if validating / n_ranks > LONG_VALIDATION:
                progress.loss_sum = loss_sum
                calls.save()
                progress.loss_sum = loss_sum if trainer.comm.is_leader else 0.0
            began = time.perf_counter()
            scores, is_case_M = calls.validate()
            validating = time.perf_counter() - began
            entry = trainer.finish_epoch(loss_sum / n_steps, scores, is_case_M)
            entry["seconds"] = time.perf_counter() - started
            entry["people_per_second"] = people / timing.seconds
            entry["waiting_share"] = waited / n_ranks / timing.seconds
            calls.save()
            calls.tell(entry)
            calls.commit()
    return progress


@dataclass
class Timing:
    """Seconds of an epoch's steps, of which this rank waited for data; people it saw."""

    seconds: float = 0.0
    waited: float = 0.0
    people: int = 0


def run_steps(trainer: Trainer, calls: Calls, request: StopRequest) -> Timing:
    """All steps that are left of an epoch."""
    progress, comm, timing = trainer.progress, trainer.comm, Timing()
    if not comm.is_leader and progress.step:
        progress.loss_sum = 0.0  # of a resumed epoch, the leader carries the sum over ranks
    trainer.model.train()
    agreement = Agreement(comm, trainer.config.run.agree_seconds)
    run, step = trainer.config.run, progress.total_steps
    plan = SavePlan(comm, step, steps=run.checkpoint_steps, seconds=run.checkpoint_seconds)
    commits = SavePlan(comm, step, steps=None, seconds=run.commit_seconds if comm.is_elastic else None)
    started = mark = time.perf_counter()
    PULSE.mark(f"{progress.place} (reading)")
    for batch in calls.training(progress.epoch, progress.step):
        timing.waited += time.perf_counter() - mark
        PULSE.mark(progress.place, computes=False)
        loss, norm = trainer.train_step(batch)
        progress.loss_sum += loss
        progress.step += 1
        progress.total_steps += 1
        figures = {
            "loss": loss * trainer.batch_size / len(batch.sample_B),
            "gradient_norm": norm,
            "learning_rate": trainer.optimizer.param_groups[0]["lr"],
        }
        # A norm that float16 could not hold is no number that JSON knows.
        calls.observe({name: value for name, value in figures.items() if math.isfinite(value)})
        timing.people += len(batch.sample_B)
        if agreement.stops(request):
            _save_and_stop(trainer, calls.save)
        if plan.due(progress.total_steps):
            _save_within_epoch(trainer, calls.save)
            plan.saved(progress.total_steps)
        if commits.due(progress.total_steps):
            _save_within_epoch(trainer, calls.commit)
            commits.saved(progress.total_steps)
        PULSE.mark(f"{progress.place} (reading)")
        mark = time.perf_counter()
    PULSE.mark(f"the end of epoch {progress.epoch + 1}")
    timing.seconds = time.perf_counter() - started
    if comm.any(request.made):
        _save_and_stop(trainer, calls.save)
    return timing


def _save_within_epoch(trainer: Trainer, save: Callable[[], None]) -> None:
    """Save with the epoch's loss so far, which the leader carries on for all ranks."""
    comm, progress = trainer.comm, trainer.progress
    progress.loss_sum = float(comm.sum(np.array([progress.loss_sum]))[0])
    save()
    if not comm.is_leader:
        progress.loss_sum = 0.0


def _save_and_stop(trainer: Trainer, save: Callable[[], None]) -> NoReturn:
    _save_within_epoch(trainer, save)
    trainer.comm.barrier()  # a rank that ends first makes launchers end the others
    raise Stopped
