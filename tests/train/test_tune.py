import json
import shutil
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from typer.testing import CliRunner

from contract.config import load_config
from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.runs import config_maker
from train import __main__ as command
from train import tune as tuning
from train.config import TrainConfig
from train.errors import Stopped, TrainingError
from train.search_space import SearchSpace, read_space
from train.tune import BEST_NAME, RESULT_NAME, STUDY_NAME, inner_folds, tune

ENTRIES = {
    "optimizer.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
    "model.hidden": {"choices": [4, 8]},
}


def space_of(dataset: str, folder: Path, entries: dict | None = None, **sections: object) -> SearchSpace:
    folder.mkdir(exist_ok=True)
    (folder / "space.yaml").write_text(yaml.safe_dump(entries or ENTRIES))
    sections = {"stopping": {"max_epochs": 1}, **sections}
    return read_space(folder / "space.yaml", config_maker(dataset, folder)(**sections))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """Fits replaced by a loss that is best at a rate of 0.02; what was asked for."""
    asked: list[tuple[float, int]] = []

    def loss(space: SearchSpace, settings: dict, fold: int) -> float:
        asked.append((settings["optimizer.learning_rate"], fold))
        return 0.5 + abs(settings["optimizer.learning_rate"] - 0.02) + fold / 100

    monkeypatch.setattr(tuning, "fold_loss", loss)
    return asked


def test_tune__resumes_without_repeating_and_without_the_sealed_fold(dataset: str, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    shutil.copytree(dataset, root)
    shutil.rmtree(root / "samples" / f"fold={read_manifest(dataset).test_fold}")
    shutil.rmtree(root / "samples" / "fold=3")
    entries = {**ENTRIES, "folds": [0, 5]}
    space = space_of(str(root), tmp_path / "a", entries, data={"held_out_folds": [3]})
    first = tune(space, trials=3)
    second = tune(space, trials=5)
    assert second["trials"][:3] == first["trials"]
    assert len(second["trials"]) == 5
    settings = [json.dumps(trial["settings"]) for trial in second["trials"]]
    assert len(set(settings)) == 5
    assert first["trials"][0]["settings"] == {"optimizer.learning_rate": 0.01, "model.hidden": 8}
    assert second["as_configured"] == first["trials"][0]
    best = load_config(TrainConfig, tmp_path / "a" / "run" / "tune" / BEST_NAME)
    assert best.optimizer.learning_rate == second["best"]["settings"]["optimizer.learning_rate"]
    assert best.data.held_out_folds == (3,)
    assert best.run.out == str(tmp_path / "a" / "run" / "best")
    assert sorted(path.name for path in (tmp_path / "a" / "run" / "tune").iterdir()) == sorted(
        (STUDY_NAME, RESULT_NAME, BEST_NAME)
    )


def test_tune__same_seed_same_trials_however_interrupted(dataset: str, tmp_path: Path, quick: list) -> None:
    entries = {**ENTRIES, "folds": [0, 1]}
    whole = tune(space_of(dataset, tmp_path / "a", entries), trials=13, storage=str(tmp_path / "a.log"))
    for trials in (2, 3, 12, 13):
        parts = tune(
            space_of(dataset, tmp_path / "b", entries), trials=trials, storage=str(tmp_path / "b.log")
        )
    assert [trial["settings"] for trial in parts["trials"]] == [
        trial["settings"] for trial in whole["trials"]
    ]
    other = tune(space_of(dataset, tmp_path / "c", entries, seed=2), trials=2)
    assert other["trials"][1]["settings"] != whole["trials"][1]["settings"]


def test_tune__finds_the_best_prunes_and_judges_by_the_mean(
    dataset: str, tmp_path: Path, quick: list
) -> None:
    found = tune(space_of(dataset, tmp_path / "a"), trials=20, storage=str(tmp_path / "a.log"))
    rate = found["best"]["settings"]["optimizer.learning_rate"]
    assert abs(rate - 0.02) < 0.003
    assert found["best"]["loss"] == pytest.approx(0.5 + abs(rate - 0.02) + sum(range(9)) / 9 / 100)
    pruned = [trial for trial in found["trials"] if trial["state"] == "pruned"]
    assert pruned
    assert all(2 <= len(trial["losses"]) < 9 for trial in pruned)
    assert all(len(trial["losses"]) == 9 for trial in found["trials"][:4])
    assert {fold for _, fold in quick} == set(range(9))


def test_tune__trial_that_was_stopped_is_tried_again(
    dataset: str, tmp_path: Path, quick: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, calls = tuning.fold_loss, []

    def stopped(space: SearchSpace, settings: dict, fold: int) -> float:
        calls.append(fold)
        if len(calls) == 12:
            raise Stopped
        return loss(space, settings, fold)

    monkeypatch.setattr(tuning, "fold_loss", stopped)
    space = space_of(dataset, tmp_path / "a")
    with pytest.raises(Stopped):
        tune(space, trials=3)
    parts = tune(space, trials=3)
    whole = tune(space_of(dataset, tmp_path / "b"), trials=3, storage=str(tmp_path / "b.log"))
    assert [trial["settings"] for trial in parts["trials"]] == [
        trial["settings"] for trial in whole["trials"]
    ]
    study = optuna.load_study(
        study_name="exoshard", storage=f"sqlite:///{tmp_path / 'a' / 'run' / 'tune' / STUDY_NAME}"
    )
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 1
    assert not study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))


def test_tune__trials_that_cannot_be_fitted(
    dataset: str, tmp_path: Path, quick: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = tuning.fold_loss

    def breaks(space: SearchSpace, settings: dict, fold: int) -> float:
        if settings["optimizer.learning_rate"] != 0.01:
            raise TrainingError("loss nan")
        return loss(space, settings, fold)

    monkeypatch.setattr(tuning, "fold_loss", breaks)
    found = tune(space_of(dataset, tmp_path / "a"), trials=3)
    assert [trial["failed"] for trial in found["trials"]] == [None, "loss nan", "loss nan"]
    with pytest.raises(
        InputError, match="search space: trials: found none that was fitted, wanted at least one"
    ):
        tune(space_of(dataset, tmp_path / "b", optimizer={"learning_rate": 0.5}), trials=2)


def test_tune__first_fault_of_the_configuration_is_raised(dataset: str, tmp_path: Path) -> None:
    space = space_of(dataset, tmp_path / "a", data={"batch_size": 100_000})
    with pytest.raises(InputError, match=r"data\.batch_size: found 100000"):
        tune(space, trials=2)


def test_tune__another_search_in_the_same_storage(dataset: str, tmp_path: Path, quick: list) -> None:
    tune(space_of(dataset, tmp_path / "a"), trials=1)
    other = {"optimizer.learning_rate": {"low": 0.001, "high": 0.2}}
    with pytest.raises(
        InputError, match="study: found a study with another search space, wanted the same, or"
    ):
        tune(space_of(dataset, tmp_path / "a", other), trials=2)
    with pytest.raises(InputError, match="found a study with another configuration and folds"):
        tune(space_of(dataset, tmp_path / "a", {**ENTRIES, "folds": [1]}, seed=3), trials=2)
    (tmp_path / "text").write_text("no data base, but long enough to be mistaken for one " * 50)
    with pytest.raises(InputError, match="text: storage: found no usable storage"):
        tune(space_of(dataset, tmp_path / "c"), trials=1, storage=str(tmp_path / "text"))


@pytest.mark.parametrize("folds", [[9], [3], [11]])
def test_inner_folds__sealed_held_out_or_absent(dataset: str, tmp_path: Path, folds: list[int]) -> None:
    config = config_maker(dataset, tmp_path)(data={"held_out_folds": [3]})
    with pytest.raises(
        InputError, match=r"search space: folds: found .* \(test fold 9, held out \[3\]\), wanted"
    ):
        inner_folds(read_manifest(dataset), config, folds)
    assert inner_folds(read_manifest(dataset), config, None) == (0, 1, 2, 4, 5, 6, 7, 8)


def test_cli__tune(dataset: str, tmp_path: Path, quick: list) -> None:
    conf, space = tmp_path / "conf.yaml", tmp_path / "space.yaml"
    conf.write_text(yaml.safe_dump({"data": {"dataset": dataset}, "run": {"out": str(tmp_path / "run")}}))
    space.write_text(yaml.safe_dump(ENTRIES))
    done = CliRunner().invoke(command.app, ["tune", str(conf), str(space), "seed=3", "--trials", "2"])
    assert done.exit_code == 0, done.output
    assert "trial 1  complete  loss" in done.stdout
    assert f"{tmp_path / 'run' / 'tune' / BEST_NAME}" in done.stdout
    space.write_text(yaml.safe_dump({"model.drop": {"low": 0, "high": 0.5}}))
    refused = CliRunner().invoke(command.app, ["tune", str(conf), str(space)])
    assert refused.exit_code == 2
    assert (
        "model.drop: found an unknown key, wanted a key of the configuration, such as model.dropout"
        in refused.stderr
    )
