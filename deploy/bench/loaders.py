"""People per second that reach a training step, by reader, beside dense rows gathered from memory.

However they come, all end as float32 features of a batch, scaled, on the device: that is what is timed.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from contract.config import load_config
from deploy.bench.sizes import TrainSizes
from train.config import TrainConfig
from train.data import RowGroupReader, open_reader, prefetch
from train.distributed import Comm
from train.fit import training_batches
from train.prepare import Prepared, prepare
from train.scaling import Densifier

CONFIG = "conf/train/bench.yaml"
READERS = ("petastorm", "arrow")
GATHER, PLAIN = "gather", "plain_petastorm"

Epoch = Callable[[int], int]
"""Goes through one epoch, whose number it is given, and returns the people seen."""


@dataclass(frozen=True)
class Loader:
    """A reader with what the run it serves was prepared with."""

    prepared: Prepared
    reader: RowGroupReader


def measure_loaders(dataset: str, folder: Path, sizes: TrainSizes) -> dict[str, float]:
    """Return people per second of each way, and their ratios.

    A reader is measured decoding Parquet in each epoch (streaming), and keeping what it decoded in the first,
    which is not counted (cached). `gather` takes rows of int8 from memory; `plain_petastorm` is
    `petastorm.pytorch.DataLoader` on a file with a dense list of int8 for each person, of fewer people. The
    ways take turns of `turn_seconds`, so that a busy moment of the machine meets all of them; medians over
    the repeats.

    Returns
    -------
    The rates as `WAY_people_per_second`, and cached_over_gather, streaming_over_gather (of the better
    reader), over_plain_petastorm (of Petastorm, streaming).
    """
    gathered = _open(dataset, "arrow", "none")
    x_RF = _dense_rows(gathered)
    ways = {GATHER: _gather_epoch(gathered, x_RF), PLAIN: _plain_epoch(x_RF[: sizes.plain_people], folder)}
    for reader in READERS:
        ways[f"{reader}_streaming"] = _reader_epoch(_open(dataset, reader, "none"))
        ways[f"{reader}_cached"] = _reader_epoch(_open(dataset, reader, "memory"))
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for epoch in range(sizes.repeats + 1):
        for name, way in ways.items():
            rates[name].append(_rate(way, epoch, sizes.turn_seconds))
    medians = {name: statistics.median(measured[1:]) for name, measured in rates.items()}
    best = {kind: max(medians[f"{reader}_{kind}"] for reader in READERS) for kind in ("cached", "streaming")}
    return {
        **{f"{name}_people_per_second": rate for name, rate in medians.items()},
        "cached_over_gather": best["cached"] / medians[GATHER],
        "streaming_over_gather": best["streaming"] / medians[GATHER],
        "over_plain_petastorm": medians["petastorm_streaming"] / medians[PLAIN],
    }


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


def _densifier(prepared: Prepared) -> Densifier:
    return Densifier(prepared.scaler, len(prepared.manifest.channels), torch.device("cpu"))


def _reader_epoch(loader: Loader) -> Epoch:
    densify = _densifier(loader.prepared)

    def epoch(number: int) -> int:
        batches = training_batches(loader.prepared, loader.reader, number, Comm())
        return sum(len(densify(batch)) for batch in batches)

    return epoch


def _gather_epoch(loader: Loader, x_RF: NDArray[np.int8]) -> Epoch:
    """Gather shuffled rows by the batch, made ahead by a thread as the readers' batches are."""
    prepared = loader.prepared
    size, ahead = prepared.schedule.batch_size, prepared.config.data.prefetch
    scale = _scaling(prepared)

    def epoch(number: int) -> int:
        order = np.random.default_rng(number).permutation(len(x_RF))
        parts = (order[start : start + size] for start in range(0, len(order), size))
        gathered = (torch.from_numpy(x_RF[part]) for part in parts)
        return sum(len(scale(x_BF)) for x_BF in prefetch(gathered, ahead))

    return epoch


def _plain_epoch(x_RF: NDArray[np.int8], folder: Path) -> Epoch:
    """Petastorm as its documentation has it, rows as dense lists of one length."""
    from petastorm import make_batch_reader
    from petastorm.pytorch import DataLoader

    place = folder / "dense"
    place.mkdir(parents=True, exist_ok=True)
    offsets = pa.array(np.arange(len(x_RF) + 1, dtype=np.int32) * x_RF.shape[1])
    features = pa.ListArray.from_arrays(offsets, pa.array(x_RF.reshape(-1)))
    pq.write_table(pa.table({"features": features}), place / "part.parquet", row_group_size=64)
    warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm|pyarrow")

    def batches() -> Iterator[torch.Tensor]:
        reader = make_batch_reader(place.absolute().as_uri(), reader_pool_type="thread", workers_count=2)
        with DataLoader(reader, batch_size=64) as loader:
            for batch in loader:
                yield batch["features"]

    def epoch(number: int) -> int:
        return sum(len(x_BF.float()) for x_BF in batches())

    return epoch


def _scaling(prepared: Prepared) -> Callable[[torch.Tensor], torch.Tensor]:
    mean_F, factor_F = map(torch.from_numpy, (prepared.scaler.mean_F, prepared.scaler.factor_F))
    return lambda x_BF: x_BF.float().sub_(mean_F).mul_(factor_F)


def _dense_rows(loader: Loader) -> NDArray[np.int8]:
    groups = loader.prepared.schedule.groups
    x_RF = np.zeros((sum(group.rows for group in groups), loader.prepared.manifest.n_features), np.int8)
    first = 0
    for rows in loader.reader.read(groups):
        x_RF[first + rows.row_N, rows.indices_N] = rows.values_N
        first += len(rows)
    return x_RF
