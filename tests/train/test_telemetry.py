import json
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from contract.config import digest
from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.runs import ConfigMaker, fit_interrupted, fit_quietly, history_of
from train.telemetry import LOG_NAME, MLFLOW_NAME, TENSORBOARD_NAME, JsonLines, Telemetry, flat

# 12 steps an epoch.
SHORT = {"max_epochs": 2, "patience": 9}


def lines_of(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / LOG_NAME).read_text().splitlines()]


def scalars_of(run: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run / TENSORBOARD_NAME))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_fit__figures_of_steps_and_epochs_as_lines_and_for_tensorboard(make_config: ConfigMaker):
    run = fit_quietly(make_config(stopping=SHORT, run={"log_steps": 5}))
    lines = lines_of(run)
    assert [(line["of"], line["step"]) for line in lines] == [
        *[("step", 5), ("step", 10), ("epoch", 12), ("step", 15), ("step", 20), ("epoch", 24)]
    ]
    epochs = [line for line in lines if line["of"] == "epoch"]
    for line, entry in zip(epochs, history_of(run), strict=True):
        assert {name: line[name] for name in entry} == entry
    losses = [(line["step"], line["loss"]) for line in lines if line["of"] == "step"]
    assert scalars_of(run, "step/loss") == [(step, pytest.approx(loss)) for step, loss in losses]
    assert [step for step, _ in scalars_of(run, "epoch/validation_auroc")] == [12, 24]
    assert not (run / MLFLOW_NAME).exists()


def test_fit__steps_done_twice_are_once_in_tensorboard(
    make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch
):
    config = make_config(stopping=SHORT, run={"log_steps": 1})
    fit_interrupted(config, 17, monkeypatch)
    run = fit_quietly(config)
    assert [step for step, _ in scalars_of(run, "step/loss")] == list(range(1, 25))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An MLflow store in a folder, as its variables would name it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "cohort")
    return tmp_path / "store"


def test_fit__told_to_mlflow(
    make_config: ConfigMaker, dataset: str, store: Path, monkeypatch: pytest.MonkeyPatch
):
    mlflow = pytest.importorskip("mlflow")
    config = make_config(stopping=SHORT, seed=7)
    fit_interrupted(config, 15, monkeypatch)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("cohort")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "KILLED"
    run = fit_quietly(config)
    (found,) = client.search_runs([experiment.experiment_id])  # the same run went on
    assert found.info.status == "FINISHED"
    assert found.data.params["seed"] == "7"
    assert found.data.params["model.kind"] == "gene_cnn"
    assert found.inputs.dataset_inputs[0].dataset.digest == digest(read_manifest(dataset))
    losses = client.get_metric_history(found.info.run_id, "epoch_validation_loss")
    assert [point.step for point in losses] == [12, 24]
    assert losses[-1].value == pytest.approx(history_of(run)[-1]["validation_loss"])
    given = {item.path for item in client.list_artifacts(found.info.run_id)}
    assert given == {"bundle", "config.yaml", "history.json", "run.json"}


def test_fit__mlflow_that_cannot_be_reached(make_config: ConfigMaker, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://here")
    with pytest.raises(InputError, match=r"environment: MLFLOW_TRACKING_URI: found '.+', wanted a store or"):
        fit_quietly(make_config(stopping=SHORT))


def test_telemetry__a_sink_that_fails_is_given_up_and_told_once(tmp_path: Path):
    class Full(JsonLines):
        def write(self, of: str, step: int, figures: object) -> None:
            raise OSError(28, "No space left on device")

    console = Console(record=True, file=(tmp_path / "printed").open("w"), width=200)
    told = Telemetry([Full(tmp_path / "full"), JsonLines(tmp_path / LOG_NAME)], 1, console)
    for step in (1, 2):
        told.step(step, {"loss": 0.5})
    told.close("finished")
    assert [line["step"] for line in lines_of(tmp_path)] == [1, 2]
    assert console.export_text().count("Full takes no more figures of this run") == 1


def test_flat__keys_as_the_command_line_has_them():
    assert dict(flat({"a": {"b": 1, "c": {"d": None}}, "e": [2]})) == {"a.b": 1, "a.c.d": None, "e": [2]}
