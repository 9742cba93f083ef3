"""People per second that reach a training step's door, by reader, beside dense rows gathered from memory."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contract.config import load_config
from deploy.bench.sizes import Sizes
from train.config import TrainConfig
from train.data import RowGroupReader, open_reader, prefetch
from train.distributed import Comm
from train.fit import training_batches
from train.prepare import Prepared, prepare
from train.scaling import Densifier

CONFIG = "conf/train/bench.yaml"
READERS = ("petastorm", "arrow")

Epoch = Callable[[int], int]
"""Goes through one epoch, whose number it is given, and returns the people seen."""


@dataclass(frozen=True)
class Loader:
    """A reader with what the run it serves was prepared with."""

    prepared: Prepared
    reader: RowGroupReader


def measure_loaders(dataset: str, sizes: Sizes) -> dict[str, float]:
    """Return people per second of each reader and of dense rows gathered from memory.

    A reader is measured decoding Parquet in each epoch, and keeping what it decoded in the first, which is
    not counted (`cached`). `dense` is the cached Petastorm reader with rows made dense and scaled on the CPU.
    The ways take turns of `turn_seconds`, so that a busy moment of the machine meets all of them; medians
    over the repeats.
    """
    ways = {"memory": _memory_epoch(_open(dataset, "arrow", "none"))}
    for reader in READERS:
        ways[reader] = _sparse_epoch(_open(dataset, reader, "none"))
        ways[f"{reader}_cached"] = _sparse_epoch(_open(dataset, reader, "memory"))
    ways["dense"] = _dense_epoch(_open(dataset, "petastorm", "memory"))
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for epoch in range(sizes.repeats + 1):
        for name, way in ways.items():
            rates[name].append(_rate(way, epoch, sizes.turn_seconds))
    medians = {name: statistics.median(measured[1:]) for name, measured in rates.items()}
    figures = {f"{name}_people_per_second": rate for name, rate in medians.items()}
    shares = {f"{name}_share_of_memory": rate / medians["memory"] for name, rate in medians.items()}
    return figures | {name: share for name, share in shares.items() if name != "memory_share_of_memory"}


def _rate(way: Epoch, epoch: int, seconds: float) -> float:
    """People per second over whole epochs, until at least so many seconds have passed."""
    people, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds or not people:
        people += way(epoch)
    return people / passed


def _open(dataset: str, reader: str, cache: str) -> Loader:
    settings = [f"data.dataset={dataset}", f"data.reader={reader}", f"data.cache={cache}", "run.out=unused"]
    config = load_config(TrainConfig, CONFIG, settings)
    prepared = prepare(config, world_size=1)
    return Loader(prepared, open_reader(dataset, prepared.manifest, config.data))


def _sparse_epoch(loader: Loader) -> Epoch:
    def epoch(number: int) -> int:
        batches = training_batches(loader.prepared, loader.reader, number, Comm())
        return sum(len(batch.sample_B) for batch in batches)

    return epoch


def _dense_epoch(loader: Loader) -> Epoch:
    densify = Densifier(loader.prepared.scaler, len(loader.prepared.manifest.channels), torch.device("cpu"))

    def epoch(number: int) -> int:
        batches = training_batches(loader.prepared, loader.reader, number, Comm())
        return sum(len(densify(batch)) for batch in batches)

    return epoch


def _memory_epoch(loader: Loader) -> Epoch:
    """Gather shuffled rows by the batch, made ahead by a thread as the readers' batches are."""
    x_RF, size = _dense_rows(loader), loader.prepared.schedule.batch_size

    def epoch(number: int) -> int:
        order = np.random.default_rng(number).permutation(len(x_RF))
        batches = (order[start : start + size] for start in range(0, len(order), size))
        gathered = (torch.from_numpy(x_RF[batch]) for batch in batches)
        return sum(len(x_BF) for x_BF in prefetch(gathered, loader.prepared.config.data.prefetch))

    return epoch


def _dense_rows(loader: Loader) -> NDArray[np.int8]:
    groups = loader.prepared.schedule.groups
    x_RF = np.zeros((sum(group.rows for group in groups), loader.prepared.manifest.n_features), np.int8)
    first = 0
    for rows in loader.reader.read(groups):
        x_RF[first + rows.row_N, rows.indices_N] = rows.values_N
        first += len(rows)
    return x_RF
