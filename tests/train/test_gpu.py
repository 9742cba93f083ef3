"""Training on a GPU beside training on a CPU; where torch finds no GPU these tests are skipped.

With Horovod built for GPUs (deploy/horovod/build.sh) it is tested too, on as many ranks as there are GPUs.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from contract.config import dump_config
from tests.train.ranks import PROJECT, launch, require_launcher, torchrun
from tests.train.runs import ConfigMaker, fit_interrupted, fit_quietly, series_of
from train.predict import predict
from train.run_folder import BUNDLE_NAME

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU"),
    pytest.mark.timeout(600),
]
EPOCHS = {"max_epochs": 3, "patience": 100}
MODELS = [{}, {"kind": "paper", "dense": 8}]


def losses(run: Path) -> np.ndarray:
    """Training and validation loss by epoch."""
    return np.array(series_of(run))[:, :2]


@pytest.mark.parametrize("model", MODELS, ids=["gene_cnn", "paper"])
@pytest.mark.parametrize(
    ("run", "apart"),
    [
        ({"precision": "float32"}, 1e-3),
        ({"precision": "auto"}, 5e-3),
        ({"precision": "float16"}, 5e-3),
        ({"precision": "float32", "compile": True}, 1e-3),
        ({"precision": "auto", "compile": True}, 5e-3),
    ],
    ids=["float32", "auto", "float16", "float32 compiled", "auto compiled"],
)
def test_fit__a_gpu_comes_close_to_a_cpu(
    make_config: ConfigMaker, tmp_path: Path, model: dict[str, object], run: dict[str, object], apart: float
):
    settings = {"model": model, "stopping": EPOCHS}
    here = fit_quietly(make_config(**settings, run={"out": str(tmp_path / "cpu")}))
    there = fit_quietly(make_config(**settings, run={"device": "cuda", **run}))
    np.testing.assert_allclose(losses(there), losses(here), rtol=0, atol=apart)


def test_fit__interrupted_on_a_gpu_goes_on_there(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = {"stopping": EPOCHS}
    on_gpu = {"device": "cuda", "precision": "float32"}
    whole = fit_quietly(make_config(**settings, run={"out": str(tmp_path / "whole"), **on_gpu}))
    config = make_config(**settings, run=on_gpu)
    fit_interrupted(config, 7, monkeypatch)
    np.testing.assert_allclose(losses(fit_quietly(config)), losses(whole), rtol=0, atol=1e-4)


def test_predict__a_bundle_from_a_gpu_says_the_same_on_a_cpu(
    make_config: ConfigMaker, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = fit_quietly(make_config(stopping=EPOCHS, run={"device": "cuda"}))
    predict(run / BUNDLE_NAME, dataset, tmp_path / "gpu.parquet")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    predict(run / BUNDLE_NAME, dataset, tmp_path / "cpu.parquet")
    scores = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("gpu", "cpu")]
    numbers = [table.select_dtypes("number").to_numpy(float) for table in scores]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=0, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("launcher", ["horovodrun", "torchrun"])
def test_submit_train__a_rank_on_each_gpu(make_config: ConfigMaker, tmp_path: Path, launcher: str):
    if launcher == "horovodrun":
        require_launcher([str(Path(sys.executable).parent / "horovodrun")])
    alone = fit_quietly(make_config(stopping=EPOCHS, run={"out": str(tmp_path / "alone"), "device": "cuda"}))
    config = make_config(stopping=EPOCHS)
    (tmp_path / "train.yaml").write_text(dump_config(config))
    done = submit(launcher, torch.cuda.device_count(), tmp_path / "train.yaml")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "on cuda" in done.stdout
    np.testing.assert_allclose(losses(Path(config.run.out)), losses(alone), rtol=0, atol=5e-3)


@pytest.mark.parametrize("launcher", ["horovodrun", "torchrun"])
def test_submit_train__more_ranks_than_gpus(make_config: ConfigMaker, tmp_path: Path, launcher: str):
    (tmp_path / "train.yaml").write_text(dump_config(make_config()))
    gpus = torch.cuda.device_count()
    done = submit(launcher, gpus + 1, tmp_path / "train.yaml")
    assert done.returncode == 2
    assert f"found {gpus} GPUs that torch can use, wanted {gpus + 1}; ask for fewer" in done.stderr


def test_fit__more_ranks_than_gpus_is_one_sentence(make_config: ConfigMaker, tmp_path: Path):
    gpus = torch.cuda.device_count()
    done = launch(torchrun(gpus + 1), make_config(run={"device": "cuda"}), tmp_path)
    assert f"found {gpus + 1} ranks on {gpus} usable GPU(s), wanted cpu, auto" in done.stderr


def submit(launcher: str, gpus: int, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(PROJECT / "deploy/submit_train.sh"), "--gpus", str(gpus), str(config)],
        cwd=PROJECT,
        env={**os.environ, "PYTHON": sys.executable, "LAUNCHER": launcher, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
