"""What tests of the audit ask of runs on drawn cohorts."""

import shutil
from dataclasses import replace
from pathlib import Path

from contract.config import digest
from contract.manifest import read_manifest
from tests.train.audit_cohorts import Cohort, draw_cohort
from train.audit.evidence import gather
from train.audit.registry import CHECKS
from train.bundle import load_bundle, save_bundle
from train.readings import Reading, bundle_digest, record_reading
from train.run_folder import BUNDLE_NAME

SIGNAL = 0.8


def failed(audit: dict) -> set[str]:
    return {check["name"] for check in audit["checks"] if check["status"] == "failed"}


def look(run: Path, name: str, **given: object):
    (check,) = (check for check in CHECKS if check.name == name)
    return check.look(gather(run, **given))


def mark_as_read(run: Path, bundle: str | None = None, time: str = "2026-01-01") -> None:
    root = root_of(run)
    reading = Reading(
        manifest_digest=digest(read_manifest(root)),
        time=time,
        run=str(run),
        bundle_digest=bundle or bundle_digest(run / BUNDLE_NAME),
    )
    record_reading(root, reading, run, again=True)


def root_of(run: Path) -> str:
    return load_bundle(run / BUNDLE_NAME).facts.config["data"]["dataset"]


def clean(seed: int) -> Cohort:
    return draw_cohort(seed, signal=SIGNAL)


def moved(run: Path, folder: Path) -> Path:
    """A copy of a run and its dataset, with a record of readings of its own."""
    dataset = shutil.copytree(root_of(run), folder / "dataset")
    copy = Path(shutil.copytree(run, folder / "run"))
    bundle = load_bundle(copy / BUNDLE_NAME)
    config = bundle.facts.config
    facts = bundle.facts.model_copy(
        update={"config": {**config, "data": {**config["data"], "dataset": str(dataset)}}}
    )
    save_bundle(copy / BUNDLE_NAME, replace(bundle, facts=facts))
    return copy
