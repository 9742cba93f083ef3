"""Where convolutions stay, the direct path's left-out scores are not those of the network that is judged."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from contract.manifest import read_manifest
from tests.train.runs import config_maker, fit_quietly
from train.audit.evidence import gather
from train.audit.run import audit_run
from train.bundle import load_bundle
from train.calibration import Calibration
from train.direct import OUT_OF_FOLD_NAME
from train.engine import Scores, Trainer, person_losses
from train.evaluate import evaluate, read_reference
from train.people import read_people
from train.run_folder import BUNDLE_NAME
from train.unseen import add_network_scores, network_scores


@pytest.fixture(scope="module")
def convolving_run(dataset: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose convolutions stay, because any epoch convinces. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("convolving")
    root = shutil.copytree(dataset, folder / "dataset")
    config = config_maker(str(root), folder)(stopping={"max_epochs": 2})
    untouched = Trainer.begin

    def begin(trainer: Trainer, *judged: object) -> None:
        untouched(trainer, *judged)
        trainer.progress.best_loss = 99.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "begin", begin)
        patch.setattr(Trainer, "_convinces", lambda trainer, losses: True)
        torch.manual_seed(0)
        return fit_quietly(config)


def test_fit__validation_people_get_the_score_of_the_network_that_is_kept(convolving_run: Path):
    bundle = load_bundle(convolving_run / BUNDLE_NAME)
    assert bundle.weights["convolving"]
    table = pd.read_parquet(convolving_run / OUT_OF_FOLD_NAME)
    scored = table["network_logit"].notna()
    assert set(table["fold"][scored]) == set(bundle.facts.validation_folds)
    assert set(table["fold"][~scored]) == set(bundle.facts.training_folds)
    people = read_people(
        bundle.facts.config["data"]["dataset"],
        read_manifest(bundle.facts.config["data"]["dataset"]),
        bundle.facts.validation_folds,
        covariates=False,
    )
    found = table[scored]
    is_case_M = people.is_case_M[people.rows(found["sample_index"].to_numpy())]
    losses_M = person_losses(is_case_M, found["network_logit"].to_numpy())
    assert losses_M.mean() == pytest.approx(bundle.facts.validation_loss, rel=1e-5)
    direct_M = person_losses(is_case_M, found["logit"].to_numpy())
    assert direct_M.mean() == pytest.approx(bundle.facts.direct_loss, rel=0.01)
    assert abs(losses_M - direct_M).max() > 1e-3


def test_audit_run__looks_at_validation_people_where_convolutions_stay(convolving_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(convolving_run, tmp_path / "run"))
    judged = gather(run).judged
    assert judged is not None
    assert judged.people == "validation"
    facts = load_bundle(run / BUNDLE_NAME).facts
    assert set(judged.design.fold_M.tolist()) == set(facts.validation_folds)
    assert judged.gene_score_M is None
    audit = audit_run(run)
    assert audit["people"] == "validation"
    assert "on validation people, who told training when to stop" in str(audit["verdict"])


def test_evaluate__validation_people_choose_the_threshold_where_convolutions_stay(
    convolving_run: Path, tmp_path: Path
):
    run = Path(shutil.copytree(convolving_run, tmp_path / "run"))
    point = evaluate(run, again=True)["operating_point"]
    assert point["chosen_on"].startswith("validation people, whom no gene effect knows")
    scores, _ = network_scores(pd.read_parquet(run / OUT_OF_FOLD_NAME))
    probability_M = 1 / (1 + np.exp(-scores["logit"].to_numpy()))
    assert np.isclose(probability_M, point["threshold"]).any()


def test_read_reference__on_the_scale_of_the_probabilities_that_are_judged(convolving_run: Path):
    bundle = load_bundle(convolving_run / BUNDLE_NAME)
    config = config_maker(bundle.facts.config["data"]["dataset"], convolving_run.parent)()
    manifest = read_manifest(config.data.dataset)
    plain = read_reference(convolving_run, bundle, manifest, config)
    calibrated = replace(bundle, calibration=Calibration(slope=0.5, intercept=-1.0, n=9))
    scaled = read_reference(convolving_run, calibrated, manifest, config)
    assert plain is not None
    assert scaled is not None
    assert scaled.logit_M == pytest.approx(0.5 * plain.logit_M - 1)


def test_add_network_scores__people_of_unknown_status_are_passed_over(tmp_path: Path):
    table = pd.DataFrame({"sample_index": [1, 4, 6], "logit": 0.0, "gene_logit": 0.0})
    table.to_parquet(tmp_path / OUT_OF_FOLD_NAME)
    add_network_scores(tmp_path, Scores(np.array([4, 5]), np.array([2.0, 3.0])))
    found, people = network_scores(pd.read_parquet(tmp_path / OUT_OF_FOLD_NAME))
    assert people == "validation"
    assert found.to_dict("list") == {"sample_index": [4], "logit": [2.0]}
    assert network_scores(table)[1] == "out_of_fold"
