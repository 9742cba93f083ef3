"""Whole audits, leaks across folds, readings, the command; clean cohorts pass, null cohorts find nothing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from contract.config import digest
from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.audit_cohorts import TEST_FOLD, draw_cohort, make_run
from tests.train.audit_runs import SIGNAL, clean, failed, look, mark_as_read, moved, root_of
from train.__main__ import app
from train.audit.evidence import gather
from train.audit.registry import CHECKS
from train.audit.rules import STATISTICAL_CHECKS
from train.audit.run import AUDIT_NAME, audit_run
from train.bundle import load_bundle, save_bundle
from train.direct import OUT_OF_FOLD_NAME
from train.evaluate import PREDICTIONS_NAME
from train.people import read_people
from train.readings import list_readings
from train.run_folder import BUNDLE_NAME
from train.scaling import fit_scaler


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_audit_run__clean_cohort_with_signal_passes(seed: int, tmp_path: Path):
    run = make_run(tmp_path, clean(seed))
    audit = audit_run(run)
    assert failed(audit) == set()
    verdict = audit["verdict"]
    assert verdict["status"] == "passed"
    assert verdict["sentence"].startswith("The score stands: AUROC 0.")
    assert json.loads((run / AUDIT_NAME).read_text())["verdict"] == verdict


@pytest.mark.slow
def test_audit_run__clean_cohorts_pass_in_nine_of_ten_seeds(tmp_path: Path):
    passed = 0
    for seed in range(10):
        run = make_run(tmp_path / str(seed), draw_cohort(200 + seed, signal=SIGNAL, batch_of_cases=0.6))
        mark_as_read(run)
        passed += not failed(audit_run(run))
    assert passed >= 9


def test_audit_run__null_cohort_finds_nothing(tmp_path: Path):
    audit = audit_run(make_run(tmp_path, draw_cohort(3)))
    assert failed(audit) == set()
    assert audit["verdict"]["status"] == "nothing_found"
    assert audit["verdict"]["sentence"].startswith("Nothing found: AUROC ")
    assert audit["auroc"]["low"] < 0.5 < audit["auroc"]["high"]


def test_audit_run__batch_that_holds_the_cases_and_has_fewer_calls(confounded_run: Path):
    audit = audit_run(confounded_run)
    assert {"batch_alone", "total_count_alone", "score_tells_batch", "within_strata"} <= failed(audit)
    verdict = audit["verdict"]
    assert verdict["status"] == "failed"
    assert verdict["sentence"].startswith("Don't believe the score: ")
    assert "AUROC within batch × ancestry" in verdict["sentence"]
    assert "Sequence cases and controls together" in verdict["advice"]
    numbers = next(check["numbers"] for check in audit["checks"] if check["name"] == "within_strata")
    assert numbers["score"]["low"] > 0.5 > numbers["score_within"]["low"]
    assert numbers["by_stratum"][0]["people"] > 100


def test_audit_run__sealed_scores_where_there_are_no_others(confounded_run: Path, tmp_path: Path):
    run = Path(shutil.copytree(confounded_run, tmp_path / "run"))
    scores = pd.read_parquet(run / OUT_OF_FOLD_NAME)
    (run / OUT_OF_FOLD_NAME).unlink()
    assert audit_run(run)["verdict"]["status"] in ("failed", "not_judged")
    # A network that knows the batch of sealed people and nothing else.
    sealed = gather(run).sealed
    rng = np.random.default_rng(0)
    score = np.where(sealed.groups["batch"] == "B", 0.7, 0.3) + rng.normal(0, 0.1, len(sealed))
    predictions = {
        "sample_index": sealed.sample_M,
        "is_case": sealed.is_case_M,
        "cnn": score.clip(0.01, 0.99),
    }
    pd.DataFrame(predictions).to_parquet(run / PREDICTIONS_NAME)
    audit = audit_run(run)
    assert audit["people"] == "sealed"
    assert {"batch_alone", "within_strata", "score_tells_batch"} <= failed(audit)
    assert len(scores) > len(sealed)


def test_audit_run__clean_cohort_whose_batches_are_not_balanced_passes(tmp_path: Path):
    # Batch alone tells status, and the score does, but the score knows nothing of batch.
    audit = audit_run(make_run(tmp_path, draw_cohort(4, signal=1.0, batch_of_cases=0.8)))
    assert failed(audit) == set()
    alone = next(check for check in audit["checks"] if check["name"] == "batch_alone")
    assert alone["numbers"]["auroc"]["low"] > 0.7
    assert alone["means"] == "it does not explain the score"


def test_relatives_across_folds__siblings_that_families_do_not_name(tmp_path: Path):
    cohort = clean(1)
    fold_M = cohort.fold_M.copy()
    fold_M[0] = TEST_FOLD  # its sibling stays in fold 0
    fold_M[2] = 5
    pairs = np.arange(1500).reshape(-1, 2)
    split = replace(cohort, fold_M=fold_M, family_M=np.arange(1500))
    finding = look(make_run(tmp_path, split, pairs), "relatives_across_folds")
    assert finding.status == "failed"
    assert (
        finding.found == "2 of 750 pairs of relatives in two folds, 1 of them across the seal, and 0 families"
    )


def test_relatives_across_folds__family_in_two_folds_without_kinship(tmp_path: Path):
    cohort = clean(1)
    fold_M = cohort.fold_M.copy()
    fold_M[0] = 5
    finding = look(make_run(tmp_path, replace(cohort, fold_M=fold_M)), "relatives_across_folds")
    assert finding.status == "failed"
    assert finding.numbers["families_in_two_folds"] == 1


def test_scaling__fitted_on_everyone(clean_run: Path, tmp_path: Path):
    assert look(clean_run, "scaling").status == "passed"
    run = Path(shutil.copytree(clean_run, tmp_path / "run"))
    bundle, evidence = load_bundle(run / BUNDLE_NAME), gather(run)
    everybody = read_people(evidence.root, evidence.manifest, range(10), covariates=True)
    scaler = fit_scaler(evidence.stats, evidence.manifest, everybody, range(10), evidence.config.data.scaling)
    save_bundle(run / BUNDLE_NAME, replace(bundle, scaler=scaler))
    finding = look(run, "scaling")
    assert finding.status == "failed"
    assert "it is that of everybody, the sealed people included" in finding.found
    assert failed(audit_run(run)) == {"scaling"}


def test_fitted_on_whom__statement_about_everybody(tmp_path: Path):
    told = (("allele frequencies", "everybody"), ("outlier medians", "people outside the test fold"))
    finding = look(make_run(tmp_path, replace(clean(1), fitted_on=told)), "fitted_on_whom")
    assert finding.status == "failed"
    assert finding.found == "'allele frequencies' saw 'everybody'"


def test_fitted_on_whom__statements_of_the_etl_pass(tmp_path: Path):
    told = (
        ("folds", "everybody: status only balances them"),
        (
            "people's metrics, sex, contamination",
            "everybody, without labels: measured before there are folds",
        ),
        ("ancestry components and groups", "1200 unrelated people outside the test fold"),
        ("Hardy-Weinberg test", "controls outside the test fold, within ancestry"),
    )
    finding = look(make_run(tmp_path, replace(clean(1), fitted_on=told)), "fitted_on_whom")
    assert finding.status == "passed"


def test_readings__another_model_came_first(clean_run: Path, tmp_path: Path):
    run = moved(clean_run, tmp_path)
    assert look(run, "readings").found == "not read yet"
    mark_as_read(run, bundle="another")
    assert look(run, "readings").status == "passed"  # this model was not judged there
    mark_as_read(run, time="2026-02-02")
    finding = look(run, "readings")
    assert finding.status == "failed"
    assert finding.found == "2 reading(s) by 2 model(s), the first at 2026-01-01"


def test_readings__the_same_model_again(clean_run: Path, tmp_path: Path):
    run = moved(clean_run, tmp_path)
    mark_as_read(run)
    mark_as_read(run, time="2026-02-02")
    assert look(run, "readings").status == "passed"
    assert len(list_readings(root_of(run), digest(read_manifest(root_of(run))))) == 2


def test_status_permuted__without_a_null_run(clean_run: Path):
    finding = look(clean_run, "status_permuted")
    assert finding.status == "not_possible"
    assert "samples.permute_status=1" in finding.advice
    same = look(clean_run, "status_permuted", null_run=clean_run)
    assert same.status == "not_possible"
    assert same.found == "the run that is named as null run has the true status"


def test_hidden_units__of_the_networks_own_method(clean_run: Path, monkeypatch: pytest.MonkeyPatch):
    from train.audit.hidden import hidden_units

    evidence = gather(clean_run)
    people = evidence.open.take(np.arange(100))
    network = type(evidence.bundle.model())
    monkeypatch.setattr(network, "hidden_units", lambda self, x: x.sum(2), raising=False)
    by_method = hidden_units(evidence.bundle, people)
    scaler, x_MF = evidence.bundle.scaler, people.x_MF.toarray()
    scaled = (x_MF - scaler.mean_F) * scaler.factor_F
    np.testing.assert_allclose(by_method, scaled.reshape(100, 4, 60).sum(2), rtol=1e-4, atol=1e-4)


def test_command_audit__status_3_when_a_check_fails(clean_run: Path, confounded_run: Path):
    good = CliRunner().invoke(app, ["audit", str(clean_run)])
    assert good.exit_code == 0, good.output
    assert good.stdout.startswith("VERDICT: The score stands")
    bad = CliRunner().invoke(app, ["audit", str(confounded_run)])
    assert bad.exit_code == 3
    assert bad.stdout.startswith("VERDICT: Don't believe the score")
    assert "S000" not in bad.stdout


def test_command_audit__run_without_bundle(tmp_path: Path):
    result = CliRunner().invoke(app, ["audit", str(tmp_path)])
    assert result.exit_code == 2
    assert "wanted the bundle of a finished fit" in result.stderr


def test_audit_run__dataset_that_was_replaced(clean_run: Path, tmp_path: Path):
    run = moved(clean_run, tmp_path)
    path = tmp_path / "dataset" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 77}))
    with pytest.raises(InputError, match=r"manifest.json: found another dataset"):
        audit_run(run)


def test_checks__as_many_decide_by_a_test_as_error_rates_are_split_over():
    by_files = {"relatives_across_folds", "fitted_on_whom", "scaling", "readings", "covariates_only"}
    assert len([check for check in CHECKS if check.name not in by_files]) == STATISTICAL_CHECKS
    assert len({check.name for check in CHECKS}) == len(CHECKS)
