import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from contract.dataset import read_samples
from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.runs import ConfigMaker, fit_quietly
from train.bundle import load_bundle
from train.direct import OUT_OF_FOLD_NAME
from train.evaluate import METRICS_NAME, PREDICTIONS_NAME, evaluate
from train.readings import list_readings, readings_path
from train.run_folder import BUNDLE_NAME


@pytest.fixture
def copied_run(evaluated_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated_run, tmp_path / "copy"))


def test_evaluate__network_finds_planted_signal(evaluated_run: Path):
    metrics = json.loads((evaluated_run / METRICS_NAME).read_text())
    assert metrics["n_test"] == 100
    assert metrics["auroc"]["low"] > 0.5
    assert metrics["cnn"]["auroc"] == metrics["auroc"]
    assert set(metrics) >= {
        "logistic",
        "covariates",
        "majority_share",
        "auroc_differences",
        "versions",
        "seed",
    }
    # A covariate without effect tells nothing.
    assert metrics["covariates"]["auroc"]["low"] <= 0.5 <= metrics["covariates"]["auroc"]["high"]


def test_evaluate__predictions_belong_to_their_people(evaluated_run: Path, dataset: str):
    predictions = pd.read_parquet(evaluated_run / PREDICTIONS_NAME).set_index("sample_id")
    people = read_samples(dataset, read_manifest(dataset), [9]).set_index("sample_id")
    assert set(predictions.index) == set(people.index)
    np.testing.assert_array_equal(predictions["is_case"], people.loc[predictions.index, "is_case"])
    metrics = json.loads((evaluated_run / METRICS_NAME).read_text())
    for name in ("cnn", "logistic", "covariates"):
        found = roc_auc_score(predictions["is_case"], predictions[name])
        assert metrics[name]["auroc"]["estimate"] == pytest.approx(found)


def test_evaluate__test_fold_is_read_once(copied_run: Path):
    before = (copied_run / METRICS_NAME).read_text()
    with pytest.raises(InputError, match=r"test fold: found the test fold was read before, at 2.*--again"):
        evaluate(copied_run)
    assert (copied_run / METRICS_NAME).read_text() == before
    metrics = evaluate(copied_run, again=True)
    assert len(metrics["test_fold_reads"]) == len(metrics["readings"]) > 1
    last = metrics["readings"][-1]
    assert last["auroc"] == metrics["auroc"]["estimate"]
    assert (last["run"], last["model"]) == (str(copied_run), "gene_cnn")
    assert metrics["auroc"] == json.loads(before)["auroc"]


def test_evaluate__another_run_finds_the_dataset_read(dataset: str, make_config: ConfigMaker, tmp_path: Path):
    copy = str(shutil.copytree(dataset, tmp_path / "dataset"))
    first, second = (
        fit_quietly(
            make_config(
                data={"dataset": copy},
                stopping={"max_epochs": 1},
                run={"out": str(tmp_path / name)},
                seed=seed,
            )
        )
        for seed, name in enumerate(("first", "second"))
    )
    read = evaluate(first)
    with pytest.raises(
        InputError, match=r"test fold was read before, at 2\S+ by \S+/first, wanted one reading"
    ):
        evaluate(second)
    metrics = evaluate(second, again=True)
    readings = list_readings(copy, metrics["manifest_digest"])
    assert [reading.model_dump(mode="json") for reading in readings] == metrics["readings"]
    assert [reading.auroc for reading in readings] == [each["auroc"]["estimate"] for each in (read, metrics)]
    assert len({reading.bundle_digest for reading in readings}) == 2


def test_evaluate__dataset_that_was_replaced(dataset: str, make_config: ConfigMaker, tmp_path: Path):
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    run = fit_quietly(make_config(data={"dataset": str(copy)}, stopping={"max_epochs": 1}))
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"seed": 77}))
    with pytest.raises(InputError, match=r"manifest.json: found another dataset"):
        evaluate(run)
    assert not Path(readings_path(str(copy))).exists()


def test_evaluate__file_with_another_checksum(dataset: str, make_config: ConfigMaker, tmp_path: Path):
    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    run = fit_quietly(make_config(data={"dataset": str(copy)}, stopping={"max_epochs": 1}))
    part = copy / "samples" / "fold=9" / "part-00000.parquet"
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"fold=9/part-00000.parquet sha256: found"):
        evaluate(run)
    assert not Path(readings_path(str(copy))).exists()


def test_evaluate__run_without_bundle(tmp_path: Path):
    with pytest.raises(InputError, match=r"found no such file, wanted the bundle of a finished fit"):
        evaluate(tmp_path)


def test_evaluate__permuted_labels_leave_chance(make_config: ConfigMaker):
    run = fit_quietly(make_config(data={"permute_labels": True}, stopping={"max_epochs": 10}))
    metrics = evaluate(run, again=True)
    assert metrics["permuted_labels"] is True
    assert metrics["auroc"]["low"] < 0.5 < metrics["auroc"]["high"]


def out_of_fold(run: Path, dataset: str, folds: range, **columns: float) -> pd.DataFrame:
    """Leave what a fit leaves of people outside the sealed fold: logits that part at 1, cases above."""
    people = pd.concat([read_samples(dataset, read_manifest(dataset), [fold]) for fold in folds])
    frame = pd.DataFrame(
        {"sample_index": people["sample_index"], "logit": people["is_case"] * 2.0, **columns}
    )
    frame.to_parquet(run / OUT_OF_FOLD_NAME, index=False)
    return frame


def test_evaluate__people_out_of_fold_choose_the_threshold(copied_run: Path, dataset: str):
    out_of_fold(copied_run, dataset, range(9), gene_logit=0.0)
    point = evaluate(copied_run, again=True)["operating_point"]
    # Judged probabilities are calibrated, so is the threshold.
    calibration = load_bundle(copied_run / BUNDLE_NAME).calibration
    assert calibration.slope != 1
    assert point["threshold"] == pytest.approx(calibration.probabilities(np.array(2.0)))
    assert point["chosen_on"].startswith("people outside the sealed fold")
    (copied_run / OUT_OF_FOLD_NAME).unlink()
    assert evaluate(copied_run, again=True)["operating_point"]["chosen_on"].startswith("nobody")


def test_evaluate__sealed_people_among_those_out_of_fold(copied_run: Path, dataset: str):
    out_of_fold(copied_run, dataset, range(8, 10))
    with pytest.raises(
        InputError, match=r"sample_index: found people of other folds, wanted the folds fitted on"
    ):
        evaluate(copied_run, again=True)


def test_evaluate__file_out_of_fold_without_logits(copied_run: Path, dataset: str):
    before = Path(readings_path(dataset)).read_text()
    frame = out_of_fold(copied_run, dataset, range(1))
    frame.drop(columns="logit").to_parquet(copied_run / OUT_OF_FOLD_NAME)
    with pytest.raises(InputError, match=r"out_of_fold.parquet: columns: found no logit"):
        evaluate(copied_run, again=True)
    frame.assign(logit=np.inf).to_parquet(copied_run / OUT_OF_FOLD_NAME)
    with pytest.raises(InputError, match=r"logit: found a number that is not finite, wanted log odds"):
        evaluate(copied_run, again=True)
    # A fault costs no reading of the sealed fold.
    assert Path(readings_path(dataset)).read_text() == before


def test_evaluate__every_value_has_an_interval_or_words(evaluated_run: Path):
    text = (evaluated_run / METRICS_NAME).read_text()
    assert "NaN" not in text
    metrics = json.loads(text)
    for model in ("cnn", "logistic", "covariates", "increments"):
        for name, value in metrics[model].items():
            assert value["note"] or value["low"] <= value["estimate"] <= value["high"], (model, name)
    assert metrics["adjusted"]["auroc"]["note"] == "the dataset names no ancestry components"


def test_evaluate__sealed_fold_of_one_class_is_told_before_it_is_read(
    dataset: str, make_config: ConfigMaker, tmp_path: Path
):
    root = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    manifest = json.loads((root / "manifest.json").read_text())
    sealed = manifest["folds"][9]
    sealed |= {"n_cases": 0, "n_controls": sealed["n_samples"]}
    (root / "manifest.json").write_text(json.dumps(manifest))
    run = fit_quietly(make_config(data={"dataset": str(root)}, model={"convolution": False}))
    with pytest.raises(InputError, match=r"is_case: found 0 cases and 100 controls in the test fold"):
        evaluate(run)
    assert not Path(readings_path(str(root))).exists()
