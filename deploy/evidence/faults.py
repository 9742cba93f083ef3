"""Cohorts and runs with a planted fault, and whether the leak audit tells it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract.dataset import read_stats
from contract.manifest import read_manifest, write_manifest
from contract.people_tables import KINSHIP, read_kinship, write_kinship
from deploy.console import PYTHON, TIMEOUT_SECONDS
from deploy.evidence.cohorts import Truth, write_cohort
from deploy.evidence.grid import BATCH_WITHOUT_EFFECT
from deploy.evidence.models import CONFIG
from deploy.evidence.settings import CohortSettings
from deploy.measure import run_measured
from train.audit.run import audit_run
from train.bundle import load_bundle, save_bundle
from train.config import TrainConfig
from train.people import read_people
from train.run_folder import BUNDLE_NAME
from train.scaling import fit_scaler

CLEAN = {
    "form": "shared",
    "n_people": 3_000,
    "n_judges": 400,
    "n_genes": 300,
    "n_causal": 60,
    "relatives": {"share": 0.2},
}
"""A cohort with effects and without fault."""

CLEAN_SEEDS = range(101, 111)
NULL = {"form": "null", "heritability": 0.0}


def split_relatives(truth: Truth) -> None:
    """Ten pairs of people of two folds turn out to be siblings."""
    manifest = read_manifest(truth.dataset)
    pairs = read_kinship(truth.dataset, manifest)
    far = np.arange(10)
    more = pd.DataFrame({"sample_index_1": far, "sample_index_2": far + 1_000, "kinship": 0.25})
    table = write_kinship(truth.dataset, pd.concat([pairs, more], ignore_index=True))
    tables = {**manifest.tables, KINSHIP: table}
    write_manifest(manifest.model_copy(update={"tables": tables}), truth.dataset)


def scale_on_everyone(run: Path) -> None:
    """Put means and deviations of everybody, the sealed people included, in the place of the run's own."""
    bundle = load_bundle(run / BUNDLE_NAME)
    config = TrainConfig.model_validate(bundle.facts.config)
    root = config.data.dataset
    manifest = read_manifest(root)
    folds = [fold.index for fold in manifest.folds]
    people = read_people(root, manifest, folds, covariates=config.data.covariates)
    scaler = fit_scaler(read_stats(root), manifest, people, folds, config.data.scaling)
    save_bundle(run / BUNDLE_NAME, replace(bundle, scaler=scaler))


@dataclass(frozen=True)
class Fault:
    """The check that has to fail, and what differs from a clean cohort: settings, dataset, run."""

    check: str
    cohort: dict[str, Any] = field(default_factory=dict)
    dataset: Callable[[Truth], None] | None = None
    run: Callable[[Path], None] | None = None


FAULTS: dict[str, Fault] = {
    "relatives split across folds": Fault("relatives_across_folds", dataset=split_relatives),
    "scaling fitted on everyone": Fault("scaling", run=scale_on_everyone),
    "labels used in a mask": Fault("labels_in_masks", {"label_mask": {"variants": 10}}),
    "batch without effect": Fault("within_strata", {**NULL, "technique": BATCH_WITHOUT_EFFECT}),
    "call rate that differs by status": Fault(
        "call_rates_by_status", {**NULL, "technique": {"case_loss": 0.02}}
    ),
    "sealed fold that is not exchangeable": Fault(
        "sealed_is_exchangeable", {"technique": {"judge_loss": 0.2}}
    ),
}


def audit_of(seed: int, fault: Fault | None, folder: Path) -> dict[str, Any]:
    """Audit of the network on a cohort with a fault, or on a clean one.

    Parameters
    ----------
    seed
        Of people and gene truth.
    fault
        What is wrong; null: nothing is.
    folder
        For the cohort and the run; emptied first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    planted = fault or Fault("")
    seeds = {"people_seed": seed, "truth_seed": seed}
    settings = CohortSettings.model_validate({**CLEAN, **planted.cohort, **seeds})
    truth = write_cohort(settings, folder / "cohort")
    if planted.dataset:
        planted.dataset(truth)
    run = folder / "run"
    command = [PYTHON, "-m", "train", "fit", CONFIG, f"data.dataset={truth.dataset}", f"run.out={run}"]
    measured = run_measured(command, TIMEOUT_SECONDS)
    if measured.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {measured.returncode}")
    if planted.run:
        planted.run(run)
    return audit_run(run)


def caught(name: str, folder: Path) -> bool:
    """Whether the audit fails, and the check that is meant fails with it."""
    fault = FAULTS[name]
    failed = {check["name"] for check in audit_of(1, fault, folder)["checks"] if check["status"] == "failed"}
    return fault.check in failed


def passes(seed: int, folder: Path) -> bool:
    """Whether the audit of a clean cohort has no check that fails."""
    return audit_of(seed, None, folder)["verdict"]["status"] != "failed"
