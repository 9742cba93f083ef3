"""Steps of training: one rank beside plain layers, two beside one, Horovod beside DDP; bytes, memory."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from contract.config import load_config
from deploy.bench.commands import measure
from deploy.bench.plain_network import PlainTrainer
from deploy.bench.sizes import TrainSizes
from train.config import TrainConfig
from train.distributed import Comm
from train.fit import build_trainer
from train.prepare import prepare
from train.profile import WARM_UP, endless_batches, timed_steps

CONFIG, PAPER = "conf/train/bench.yaml", "conf/train/paper.yaml"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
RANKS = 2
EPOCHS = 10
"""Over which memory is looked at."""


def launchers(ranks: int) -> dict[str, list[str]]:
    """Return the command that starts this many ranks of a module, by backend."""
    beside = Path(sys.executable).with_name("horovodrun")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return {
        "horovod": [str(beside), "--gloo", "-np", str(ranks), sys.executable, "-m"],
        "ddp": [*torchrun, f"--nproc-per-node={ranks}", "-m"],
    }


def measure_one_rank(dataset: str, sizes: TrainSizes) -> dict[str, float]:
    """Return people per second of one rank on one thread, beside plain torch layers, in turns."""
    threads = torch.get_num_threads()
    config = _config(dataset)
    prepared = prepare(config, world_size=1)
    ours = build_trainer(prepared, Comm(), None)
    torch.set_num_threads(1)
    plain = PlainTrainer(ours.model, config, Comm(), ours.densify, ours.batch_size)
    batches = endless_batches(prepared, Comm())
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(sizes.turns + 1):
        for name, trainer in (("ours", ours), ("plain", plain)):
            timed = timed_steps(trainer, batches, sizes.steps if turn else WARM_UP)
            rates[name].append(timed.people / timed.seconds)
    torch.set_num_threads(threads)
    own, before = (statistics.median(rates[name][1:]) for name in ("ours", "plain"))
    return {
        "one_rank_people_per_second": own,
        "plain_layers_people_per_second": before,
        "one_rank_speedup": own / before,
    }


def measure_ranks(dataset: str, out: Path, sizes: TrainSizes) -> dict[str, float]:
    """Return what two ranks do beside one, Horovod beside DDP, and what travels between them.

    Each rank has one thread. Backends take turns; medians. Bytes are those that this host's network devices
    sent: over loopback, with what Horovod asks its ranks.

    Raises
    ------
    CommandFailed
        If a command fails.
    """
    runs: dict[str, list[dict[str, Any]]] = {"one": [], "horovod": [], "ddp": []}
    for _ in range(sizes.turns):
        runs["one"].append(_profile([sys.executable, "-m"], dataset, out, sizes.steps))
        for backend, launcher in launchers(RANKS).items():
            runs[backend].append(_profile(launcher, dataset, out, sizes.steps))
    rate = {name: statistics.median(run["people_per_second"] for run in of) for name, of in runs.items()}
    horovod = launchers(RANKS)["horovod"]
    half = _profile(horovod, dataset, out, sizes.steps, "run.half_gradients=true")
    paper = _profile(horovod, dataset, out, sizes.paper_steps, config=PAPER)
    return {
        "horovod_people_per_second": RANKS * rate["horovod"],
        "ddp_people_per_second": RANKS * rate["ddp"],
        "horovod_over_ddp": rate["horovod"] / rate["ddp"],
        "scaling_two_ranks": RANKS * max(rate["horovod"], rate["ddp"]) / rate["one"],
        "waiting_share": max(run["waited"] for of in runs.values() for run in of),
        "bytes_per_step": statistics.median(run["bytes_per_step"] for run in runs["horovod"]),
        "ddp_bytes_per_step": statistics.median(run["bytes_per_step"] for run in runs["ddp"]),
        "half_bytes_per_step": half["bytes_per_step"],
        "paper_bytes_per_step": paper["bytes_per_step"],
        "paper_people_per_second": RANKS * paper["people_per_second"],
    }


def measure_memory(dataset: str) -> dict[str, float]:
    """Return by how much the resident memory of a rank grew from its second epoch to the tenth.

    The first fills the cache, and the second lays out what is shuffled from it.
    """
    config = _config(dataset)
    prepared = prepare(config, world_size=1)
    trainer, batches = build_trainer(prepared, Comm(), None), endless_batches(prepared, Comm())
    process, resident = psutil.Process(), []
    for _ in range(EPOCHS):
        timed_steps(trainer, batches, prepared.schedule.steps)
        resident.append(process.memory_info().rss / 1e6)
    return {"rss_mb": resident[-1], "rss_growth_mb": resident[-1] - resident[1]}


def _config(dataset: str, *settings: str, config: str = CONFIG) -> TrainConfig:
    return load_config(TrainConfig, config, [f"data.dataset={dataset}", "run.out=unused", *settings])


def _profile(
    launcher: list[str], dataset: str, out: Path, steps: int, *settings: str, config: str = CONFIG
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    figures = out / "profile.json"
    words = [f"data.dataset={dataset}", f"run.out={out / 'run'}", "run.device=cpu", *settings]
    command = [
        *launcher,
        "train",
        "profile",
        config,
        *words,
        "--steps",
        str(steps),
        "--figures",
        str(figures),
    ]
    measure(command, ONE_THREAD)
    told: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return told | {"bytes_per_step": told["bytes_sent"] / steps}
