import json
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from contract.config import load_config
from contract.example import write_example
from deploy.bench.bench_train import bench
from deploy.bench.loaders import measure_loaders
from deploy.bench.plain_network import PlainTrainer
from deploy.bench.sizes import TrainSizes
from deploy.bench.table import BYTES, RATES, RATIOS, train_table
from deploy.bench.training import launchers
from train.config import TrainConfig
from train.distributed import Comm
from train.fit import build_trainer
from train.prepare import prepare
from train.profile import endless_batches

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(PROJECT)
    root = str(tmp_path / "dataset")
    write_example(root, n_samples=1_000, n_genes=80, density=0.1, causal=(3, 4), effect=2.0)
    return root


@pytest.mark.parametrize("settings", [[], ["model.layers=2", "model.effects.neighbours=0"]])
def test_plain_logits__same_losses_over_twenty_steps(dataset: str, settings: list[str]):
    words = [f"data.dataset={dataset}", "run.out=unused", "optimizer.learning_rate=0.05", *settings]
    config = load_config(TrainConfig, "conf/train/bench.yaml", words)
    prepared, losses = prepare(config, 1), []
    for kind in (None, PlainTrainer):
        trainer = build_trainer(prepared, Comm(), None)
        direct, rng = trainer.model.direct, torch.Generator().manual_seed(3)
        for effect_CG in (direct.scout_CG, direct.reader_CG):
            effect_CG.copy_(0.1 * torch.randn(effect_CG.shape, generator=rng))
        if kind is not None:
            trainer = kind(trainer.model, config, Comm(), trainer.densify, trainer.batch_size)
        trainer.model.train()
        batches = endless_batches(prepared, Comm())
        losses.append([])
        for _ in range(20):
            losses[-1].append(trainer.train_step(next(batches))[0])
            trainer.progress.total_steps += 1
    assert statistics.pstdev(losses[0]) > 1e-3
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-5)


def test_measure_loaders__rates_are_positive_and_ratios_follow(dataset: str, tmp_path: Path):
    figures = measure_loaders(dataset, tmp_path, TrainSizes(repeats=1, turn_seconds=0, plain_people=128))
    assert all(value > 0 for value in figures.values())
    rate = {name: figures[f"{name}_people_per_second"] for name in ("gather", "plain_petastorm")}
    cached = max(figures[f"{reader}_cached_people_per_second"] for reader in ("arrow", "petastorm"))
    assert figures["cached_over_gather"] == pytest.approx(cached / rate["gather"])
    streaming = figures["petastorm_streaming_people_per_second"]
    assert figures["over_plain_petastorm"] == pytest.approx(streaming / rate["plain_petastorm"])


@pytest.mark.parametrize(("backend", "option"), [("horovod", "-np 2"), ("ddp", "--nproc-per-node=2")])
def test_launchers__start_the_ranks_asked_for(backend: str, option: str):
    command = launchers(2)[backend]
    assert option in " ".join(command)
    assert command[-1] == "-m"


def test_train_table__has_a_row_for_each_figure():
    loaders = ("gather", "plain_petastorm", "arrow_cached", "petastorm_cached")
    more = ("arrow_streaming", "petastorm_streaming")
    rates = {f"{name}_people_per_second": 1234.0 for name in (*loaders, *more)}
    figures = {name: 0.871 for name in RATIOS} | {name: 4321.0 for name in RATES} | rates
    figures |= {name: 7.25e6 for name in BYTES} | {"waiting_share": 0.012, "rss_mb": 900.0}
    table = train_table(figures | {"rss_growth_mb": -3.0, "sizes": TrainSizes().model_dump()})
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    text = captured.get()
    assert (text.count("1,234 people/s"), text.count("4,321 people/s")) == (6, len(RATES))
    assert (text.count("0.87"), text.count("7.25 MB")) == (len(RATIOS), len(BYTES))
    assert "1.2%" in text
    assert "-3 MB, to 900" in text


@pytest.mark.slow
def test_bench__a_small_one_fills_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("conf", "train", "contract", "deploy"):
        (tmp_path / name).symlink_to(PROJECT / name)
    sizes = ["people=1200", "genes=50", "repeats=1", "turn_seconds=0", "steps=10", "paper_steps=2"]
    bench([*sizes, "plain_people=128", "turns=1"])
    figures = json.loads((tmp_path / "build/figures/bench-train.json").read_text())
    assert {*RATIOS, *RATES, *BYTES, "waiting_share", "rss_growth_mb"} <= set(figures)
    assert figures["paper_bytes_per_step"] > figures["bytes_per_step"] > 10_000
