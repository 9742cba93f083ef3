import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from contract.config import load_config
from tests.train.optional import READER
from train import __main__ as command
from train.config import TrainConfig
from train.errors import Stopped, TrainingError
from train.evaluate import METRICS_NAME

PROJECT = Path(__file__).resolve().parents[2]


def invoke(*arguments: str):
    return CliRunner().invoke(command.app, list(arguments))


def test_cli__fit_evaluate_predict_report(dataset: str, tmp_path: Path):
    run = tmp_path / "run"
    settings = [
        "stopping.max_epochs=3",
        "evaluation.bootstrap_draws=20",
        f"run.out={run}",
        f"data.dataset={dataset}",
        f"data.reader={READER}",
    ]
    conf = str(PROJECT / "conf" / "train" / "demo.yaml")
    fitted = invoke("fit", conf, *settings)
    assert fitted.exit_code == 0, fitted.output
    assert "800 people to train on, 100 to validate, 4 channels × 60 genes" in fitted.stdout
    judged = invoke("evaluate", conf, *settings, "--again")
    assert judged.exit_code == 0, judged.output
    assert judged.stdout.startswith("VERDICT: ")
    assert "AUROC" in judged.stdout
    assert (run / METRICS_NAME).exists()
    (run / "report.html").unlink()
    assert invoke("report", str(run)).exit_code == 0
    assert (run / "report.html").exists()
    scored = invoke("predict", str(run / "bundle"), dataset, str(tmp_path / "scores.parquet"))
    assert "900 people scored" in scored.stdout


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.layerz=3", "model.gene_cnn.layerz: found an unknown key"),
        ("data.batch_size=0", "data.batch_size: found 0"),
        ("data.dataset=/nowhere", "/nowhere: manifest.json: found no such file"),
        ("run.out=nowhere://run", "nowhere://run: URL: found no usable file system"),
        ("run.device=cuda", "run.device: found no usable GPU"),
    ],
)
def test_cli__faults_are_sentences_with_status_2(dataset: str, tmp_path: Path, override: str, message: str):
    import torch

    if "cuda" in override and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    conf = tmp_path / "conf.yaml"
    data = {"dataset": dataset, "reader": READER}
    conf.write_text(yaml.safe_dump({"data": data, "run": {"out": str(tmp_path / "run")}}))
    result = invoke("fit", str(conf), override)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("error", "status"), [(TrainingError("loss nan"), 1), (Stopped(), 143)])
def test_cli__status_of_other_ends(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dataset: str
):
    import train.fit

    def fail(*unused: object) -> None:
        raise error

    monkeypatch.setattr(train.fit, "fit", fail)
    conf = tmp_path / "conf.yaml"
    data = {"dataset": dataset, "reader": READER}
    conf.write_text(yaml.safe_dump({"data": data, "run": {"out": str(tmp_path / "run")}}))
    assert invoke("fit", str(conf)).exit_code == status


def test_cli__places_that_are_not_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for words in (
        ["predict", "nowhere://b/bundle", "d", "o"],
        ["predict", "b", "d", "nowhere://o"],
        ["audit", "nowhere://b"],
        ["profile", "c.yaml", "--trace", "nowhere://t"],
    ):
        refused = invoke(*words)
        assert refused.exit_code == 2
        told = " ".join(refused.stderr.replace("│", "").split())
        assert "found no usable file system" in told or "wanted a path in a mounted" in told
    assert not list(tmp_path.iterdir())


def test_conf__default_names_every_key_with_its_default():
    written = load_config(TrainConfig, PROJECT / "conf" / "train" / "default.yaml").model_dump()
    text = yaml.safe_load((PROJECT / "conf" / "train" / "default.yaml").read_text())
    defaults = TrainConfig(data={"dataset": "build/dataset"}, run={"out": "build/run"}).model_dump()
    assert written == defaults
    assert json.loads(json.dumps(text)) == json.loads(json.dumps(defaults))


def test_conf__gpu_is_the_default_with_larger_steps_and_rates_in_proportion():
    large = load_config(TrainConfig, PROJECT / "conf" / "train" / "gpu.yaml")
    default = load_config(TrainConfig, PROJECT / "conf" / "train" / "default.yaml")
    factor = large.data.batch_size / default.data.batch_size
    assert large.optimizer.learning_rate == pytest.approx(factor * default.optimizer.learning_rate)
    assert large.data.reader == "arrow"
    assert large.model == default.model


@pytest.mark.parametrize("name", ["demo.yaml", "real.yaml"])
def test_conf__loads(name: str):
    assert load_config(TrainConfig, PROJECT / "conf" / "train" / name).data.reader == "petastorm"


def test_cli__evaluate_twice_is_refused(evaluated_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(evaluated_run, tmp_path / "copy"))
    result = invoke("evaluate", str(run))
    assert result.exit_code == 2
    assert "the test fold was read before" in result.stderr


def test_cli__evaluate_takes_settings_of_the_evaluation_alone(evaluated_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(evaluated_run, tmp_path / "copy"))
    refused = invoke("evaluate", str(run), "seed=9", "--again")
    assert refused.exit_code == 2
    assert (
        "config.yaml: found another configuration, wanted the one the run was trained with" in refused.stderr
    )
    invoke("evaluate", str(run), "evaluation.prevalence=0.1", "evaluation.bootstrap_draws=10", "--again")
    metrics = json.loads((run / METRICS_NAME).read_text())
    assert metrics["bootstrap_draws"] == metrics["draws_used"] == 10
    assert metrics["liability_r2"]["estimate"] > 0


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["fit", "absent.yaml"]])
def test_cli__help_and_faults_of_the_configuration_need_no_torch(words: list[str]):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "train", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (2 if "absent.yaml" in words else 0), done.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "train.config" in imported
    assert not imported & {"torch", "horovod", "petastorm", "sklearn"}
