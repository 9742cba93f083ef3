"""Where the time of a training step goes: some steps under torch's profiler, of which nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.table import Table
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from train.config import GeneCNNConfig, TrainConfig
from train.data import open_reader
from train.direct import load_path
from train.distributed import Comm, on_leader
from train.effects.crossfit import DirectPath
from train.engine import PARTS, Trainer
from train.fit import build_trainer, training_batches
from train.mirror import local_folder, mirrored
from train.prepare import Prepared, prepare
from train.row_cache import shared_folder
from train.scaling import Batch

WARM_UP = 5
"""Steps before those that are measured: memory is laid out, and the reader's queue fills."""
OPERATORS = 10
"""Operators that are shown."""
READING, OTHER = "waiting for data", "the rest: scheduling, clipping, bookkeeping"


@dataclass(frozen=True)
class StepProfile:
    """Steps of this rank: `plain_seconds` without the profiler, `seconds` of as many under it, slower ones.

    `people` are those of either; `waited` is the share of `plain_seconds` in which no data was there, and
    `bytes_sent` what the network devices of this host sent in that time, loopback included. `parts` are
    times of this process, which starts a GPU's kernels and waits for them later, and add up to `seconds`;
    `operators` are torch's own, by the time that they took without what they called, on
    the device that did the work.
    """

    backend: str
    ranks: int
    steps: int
    people: int
    plain_seconds: float
    waited: float
    bytes_sent: int
    seconds: float
    parts: dict[str, float]
    operators: dict[str, float]

    @property
    def people_per_second(self) -> float:
        """People of this rank in a second, without the profiler."""
        return self.people / self.plain_seconds


@dataclass(frozen=True)
class Timed:
    """What some steps took, and for how long they waited for data; seconds."""

    people: int
    seconds: float
    waited: float


def profile_steps(config: TrainConfig, comm: Comm, steps: int, trace: Path | None = None) -> StepProfile:
    """Train for some steps on the run's data, from fresh weights, and say where the time went.

    Parameters
    ----------
    config
        The run. Gene effects that it has fitted are used; none are fitted: a step takes as long without.
    comm
        The ranks, each of which makes the same steps.
    steps
        Steps to measure.
    trace
        JSON file for chrome://tracing, of the leading rank; None: none.

    Raises
    ------
    InputError, TrainingError
        As `train.fit.fit`.
    """
    prepared = prepare(config, comm.size)
    effects = None
    if isinstance(config.model, GeneCNNConfig):
        effects = on_leader(comm, lambda: _effects_of(config.run.out))
    with shared_folder(comm) as shared:
        trainer = build_trainer(prepared, comm, effects)
        return _profiled(trainer, endless_batches(prepared, comm, shared), steps, trace)


def _profiled(trainer: Trainer, batches: Iterator[Batch], steps: int, trace: Path | None) -> StepProfile:
    comm = trainer.comm
    timed_steps(trainer, batches, WARM_UP)
    sent = psutil.net_io_counters().bytes_sent
    plain = timed_steps(trainer, batches, steps)
    comm.barrier()  # what the other ranks send belongs to the same steps
    sent = psutil.net_io_counters().bytes_sent - sent
    on_gpu = trainer.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiled:
        slowed = timed_steps(trainer, batches, steps)
    if trace is not None and comm.is_leader:
        profiled.export_chrome_trace(str(trace))
    parts, operators = _parts(profiled, slowed), _operators(profiled, on_gpu=on_gpu)
    waited = plain.waited / plain.seconds
    whole = (steps, plain.people, plain.seconds, waited, sent, slowed.seconds)
    return StepProfile(comm.backend, comm.size, *whole, parts, operators)


def timed_steps(trainer: Trainer, batches: Iterator[Batch], steps: int) -> Timed:
    """Train for some steps."""
    trainer.model.train()
    waited, people, started = 0.0, 0, time.perf_counter()
    for _ in range(steps):
        mark = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - mark
        trainer.train_step(batch)
        trainer.progress.total_steps += 1
        people += len(batch.sample_B)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()
    return Timed(people, time.perf_counter() - started, waited)


def _effects_of(place: str) -> DirectPath | None:
    with mirrored(place):
        return load_path(local_folder(place))


def endless_batches(prepared: Prepared, comm: Comm, shared: Path | None = None) -> Iterator[Batch]:
    """Batches of this rank, epoch after epoch."""
    data = prepared.config.data
    reader = open_reader(data.dataset, prepared.manifest, data, shared)
    for epoch in count():
        yield from training_batches(prepared, reader, epoch, comm)


def _host_events(profiled: profile) -> list[Any]:
    """What this process did. A GPU's events lie beside them: kernels, and each part again without a time."""
    return [event for event in profiled.key_averages() if event.device_type == DeviceType.CPU]


def _parts(profiled: profile, steps: Timed) -> dict[str, float]:
    found = {event.key: event.cpu_time_total / 1e6 for event in _host_events(profiled)}
    parts = {READING: steps.waited, **{name: found.get(name, 0.0) for name in PARTS}}
    return {**parts, OTHER: max(0.0, steps.seconds - sum(parts.values()))}


def _operators(profiled: profile, *, on_gpu: bool) -> dict[str, float]:
    own = {
        event.key: (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6
        for event in _host_events(profiled)
        if event.key not in PARTS
    }
    return dict(sorted(own.items(), key=lambda item: -item[1])[:OPERATORS])


def profile_table(found: StepProfile) -> Table:
    """Milliseconds a step and shares, parts first, then the busiest operators."""
    title = (
        f"{found.steps} steps, {found.people_per_second:.0f} people/s on this rank, {found.waited:.1%} "
        f"waiting, {found.bytes_sent / found.steps / 1e6:.2f} MB sent a step "
        f"({found.people / found.seconds:.0f} people/s under the profiler, below)"
    )
    table = Table("", "ms a step", "share", title=title)

    def row(name: str, seconds: float) -> None:
        table.add_row(name, f"{1000 * seconds / found.steps:.2f}", f"{seconds / found.seconds:.0%}")

    for name, seconds in found.parts.items():
        row(name, seconds)
    table.add_section()
    for name, seconds in found.operators.items():
        row(name, seconds)
    return table
