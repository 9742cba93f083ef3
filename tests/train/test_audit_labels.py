"""Planted faults in what labels, groups and covariates tell, each caught by the check that is meant."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.example import CHANNELS
from contract.manifest import Channel, Manifest
from tests.train.audit_cohorts import TEST_FOLD, choose_by_status, draw_cohort, make_run
from tests.train.audit_runs import SIGNAL, clean, failed, look, mark_as_read, moved
from tests.train.rivals.cohorts import draw_design
from train.audit.evidence import synonymous_channels
from train.audit.exchange import _compare_groups
from train.audit.labels import _narrow_channels
from train.audit.rules import FALSE_ALARMS, SMALL_DIFFERENCE, STATISTICAL_CHECKS, VARIANCE_RATIO, z_limit
from train.audit.run import audit_run
from train.direct import OUT_OF_FOLD_NAME


@pytest.mark.parametrize("sealed_too", [False, True])
def test_labels_in_masks__variants_that_more_cases_carry(sealed_too: bool, tmp_path: Path):
    cohort = draw_cohort(2)
    seen_M = np.ones(1500, bool) if sealed_too else cohort.fold_M != TEST_FOLD
    run = make_run(tmp_path, choose_by_status(cohort, seen_M))
    finding = look(run, "labels_in_masks")
    assert finding.status == "failed"
    assert "genes of plof spread 0." in finding.found


def test_labels_in_masks__chosen_outside_the_seal_beside_true_signal(tmp_path: Path):
    # Both effects together have spread enough: what is left to see is that sealed people are told apart less.
    cohort = draw_cohort(2, signal=SIGNAL, n=3000)
    run = make_run(tmp_path, choose_by_status(cohort, cohort.fold_M != TEST_FOLD, 60))
    mark_as_read(run)
    finding = look(run, "labels_in_masks")
    assert finding.status == "failed"
    assert "outside the seal, " in finding.found


def test_labels_in_masks__both_marks_are_one_family_of_tests(
    clean_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Before a reading the channels are tested, after it their totals and a ridge as well.
    asked: list[int] = []
    monkeypatch.setattr("train.audit.labels.z_limit", lambda n: asked.append(n) or z_limit(n))
    n_channels = len(CHANNELS)
    run = moved(clean_run, tmp_path)
    assert look(run, "labels_in_masks").status == "passed"
    mark_as_read(run)
    assert look(run, "labels_in_masks").status == "passed"
    assert asked == [n_channels, 2 * n_channels + 1]


def test_narrow_channels__clean_data_raise_no_alarm():
    # Without effects the spread is that of chance; 60 tests at a share of 1/12 of 5 % each.
    limit = z_limit(3)
    found = [_narrow_channels(draw_design(400, np.zeros((30, 3)), seed=seed), limit) for seed in range(20)]
    assert sum(map(bool, found)) <= 1


def test_compare_groups__clean_data_raise_no_alarm():
    # A fold of 67 people exceeds the ratio of variances by chance: the test over all columns has to hold.
    alarms, beyond = 0, 0
    for seed in range(20):
        design = draw_design(400, np.zeros((30, 3)), seed=seed)
        totals_MC = design.channel_totals_MC()
        x_MC = (totals_MC - totals_MC.mean(axis=0)) / totals_MC.std(axis=0)
        differences_C2, p_C2 = _compare_groups(x_MC, design.fold_M == 5, design.family_M, seed)
        material_C2 = np.abs(differences_C2) > (SMALL_DIFFERENCE, np.log(VARIANCE_RATIO))
        beyond += material_C2.any()
        alarms += (material_C2 & (p_C2 < FALSE_ALARMS / STATISTICAL_CHECKS)).any()
    assert beyond >= 5
    assert alarms <= 1


@pytest.mark.parametrize(
    ("definition", "word"),
    [
        ({"kept": "variants with more cases than controls"}, "cases"),
        ({"thresholds": {"max_p_value": 0.05}}, "p_value"),
    ],
)
def test_labels_in_masks__definition_that_names_them(definition: dict, word: str, tmp_path: Path):
    cohort = clean(1)
    run = make_run(tmp_path, replace(cohort, definitions=(definition, *cohort.definitions[1:])))
    finding = look(run, "labels_in_masks")
    assert finding.status == "failed"
    assert finding.found == f"the definition of plof speaks of '{word}'"


def test_labels_in_masks__definitions_of_the_etl_pass():
    from etl.aggregate.channels import mask_channels
    from etl.aggregate.config import MaskConfig, MasksConfig
    from etl.aggregate.presets import PRESETS
    from train.audit.labels import _named

    weighted = [
        MaskConfig(name=f"m{place}", classes=("any",), weight=weight)
        for place, weight in enumerate(("none", "madsen_browning", "beta", {"score": "cadd"}))
    ]
    weighted.append(MaskConfig(name="uncalled", classes=("any",), coding="missing"))
    for masks in (weighted, *(MasksConfig(preset=preset).resolved() for preset in PRESETS)):
        channels = mask_channels(masks)
        manifest = Manifest.model_construct(channels=channels)
        assert _named(manifest) == []


def test_synonymous_channels__missing_calls_are_no_alleles():
    definitions = [{"classes": ["synonymous"]}, {"classes": ["synonymous"], "coding": "missing"}, {}]
    names = ("one", "two", "synonymous")
    channels = [
        Channel(name=name, definition=definition) for name, definition in zip(names, definitions, strict=True)
    ]
    assert synonymous_channels(channels) == [0, 2]


def test_call_rates_by_status__cases_were_called_less(tmp_path: Path):
    cohort = clean(1)
    quality = cohort.quality.copy()
    quality["call_rate"] -= np.where(cohort.is_case_M == 1, 0.002, 0)
    audit = audit_run(make_run(tmp_path, replace(cohort, quality=quality)))
    assert "call_rates_by_status" in failed(audit)
    assert "call_rate" in audit["verdict"]["means"]


def test_call_rates_by_status__difference_between_batches_is_none_within(confounded_run: Path):
    assert look(confounded_run, "call_rates_by_status").status == "passed"


@pytest.mark.parametrize("what", ["burden", "component"])
def test_sealed_is_exchangeable__another_kind_of_people(what: str, tmp_path: Path):
    cohort = clean(1)
    sealed_M = cohort.fold_M == TEST_FOLD
    rng = np.random.default_rng(0)
    if what == "burden":
        x_MF = np.where(sealed_M[:, None], rng.binomial(cohort.x_MF, 0.75), cohort.x_MF)
        cohort = replace(cohort, x_MF=x_MF)
    else:
        cohort = replace(cohort, component_M=cohort.component_M + 0.6 * sealed_M)
    audit = audit_run(make_run(tmp_path, cohort))
    assert failed(audit) == {"sealed_is_exchangeable"}
    assert ("total of" if what == "burden" else "covariate pc1") in audit["verdict"]["means"]


def test_synonymous_only__calls_that_differ_by_status_without_a_batch(tmp_path: Path):
    cohort = clean(1)
    loss_M = np.where(cohort.is_case_M == 1, 0.75, 1.0)
    x_MF = np.random.default_rng(0).binomial(cohort.x_MF, loss_M[:, None])
    finding = look(make_run(tmp_path, replace(cohort, x_MF=x_MF)), "synonymous_only")
    assert finding.status == "failed"


def test_covariates_only__a_score_that_is_a_covariate_finds_nothing(tmp_path: Path):
    cohort = draw_cohort(6)
    component_M = cohort.component_M + 0.8 * cohort.is_case_M
    run = make_run(tmp_path, replace(cohort, component_M=component_M))
    scores = pd.read_parquet(run / OUT_OF_FOLD_NAME)
    scores["logit"] = component_M[scores["sample_index"]]
    scores.to_parquet(run / OUT_OF_FOLD_NAME)
    audit = audit_run(run)
    assert audit["verdict"]["status"] == "nothing_found"
    assert audit["verdict"]["sentence"].startswith("Nothing found beside the covariates: AUROC 0.7")


def test_leave_one_batch_out__what_was_learned_is_the_batch(tmp_path: Path):
    cohort = draw_cohort(8, n=2000, batch_of_cases=0.8, batch_loss=0.6)
    finding = look(make_run(tmp_path, cohort), "leave_one_batch_out")
    assert finding.status == "failed"
    assert finding.numbers["left_out"]["low"] < 0.5 < finding.numbers["all_batches"]["low"]
