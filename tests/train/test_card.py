import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from contract.errors import InputError
from tests.train.report.example import add_everything
from train.card import build_card, card_markdown, write_card
from train.record import Record, read_record
from train.report.words import interval_text

TITLES = (
    *("Model", "Intended use", "Training data", "Training", "Evaluation", "Verdict of the audit"),
    *("Limits", "Versions"),
)


@pytest.fixture
def run(evaluated_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated_run, tmp_path / "run"))


def card_of(record: Record) -> str:
    return card_markdown(record, build_card(record))


def test_write_card__holds_every_part_and_the_scores(run: Path):
    path = write_card(run)
    text = path.read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    assert path == run / "bundle/CARD.md"
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == TITLES
    assert f"| AUROC | {interval_text(metrics['cnn']['auroc'])} |" in text
    assert "800 people to train on and 100 to choose by" in text
    assert "This run was not audited." in text
    assert "Probabilities are not calibrated" not in text
    (run / "bundle/calibration.json").unlink()
    assert "Probabilities are not calibrated" in write_card(run).read_text()
    assert not list(run.rglob("*.partial"))


def test_write_card__header_is_what_hubs_read(run: Path):
    header = yaml.safe_load(write_card(run).read_text().split("---\n")[1])
    metrics = json.loads((run / "metrics.json").read_text())
    (found,) = header["model-index"][0]["results"][0]["metrics"]
    assert found == {"type": "roc_auc", "value": round(metrics["cnn"]["auroc"]["estimate"], 4)}


def test_write_card__holds_the_verdict_after_an_audit(run: Path):
    text = write_card(add_everything(run)).read_text()
    assert "The score finds batch, not genetics." in text
    assert "Checks that failed: AUROC within batch and ancestry." in text
    assert "not calibrated" not in text


def test_write_card__names_nobody(run: Path):
    assert not re.search(r"S\d{6}", write_card(add_everything(run)).read_text())


def test_write_card__run_not_evaluated(tmp_path: Path):
    with pytest.raises(InputError, match=r"metrics.json: whole file: found no such file"):
        write_card(tmp_path)


def test_build_card__small_cells_are_not_given(run: Path):
    record = read_record(run)
    assert record.people is not None
    groups = {"batch": {"b1": {"cases": 40, "controls": None}, "b2": {"cases": None, "controls": None}}}
    people = record.people | {"groups": groups | {"sex": {"unknown": {"cases": 415, "controls": 485}}}}
    text = card_of(replace(record, people=people))
    assert "| b1 | 40 (9.6%) | not given |" in text
    assert "| b2 | not given | not given |" in text
    assert "Not known: sex." in text


def test_build_card__dataset_that_is_gone(run: Path):
    text = card_of(replace(read_record(run), people=None))
    assert "Not counted: the dataset that was trained on is not at" in text


def test_build_card__null_run_and_covariates_of_one_cohort(run: Path):
    record = read_record(run)
    facts = record.facts | {"covariates": ["pc1"], "cohort_covariates": ["pc1"]}
    text = card_of(replace(record, facts=facts, metrics=record.metrics | {"permuted_labels": True}))
    assert "It depends on pc1, which mean nothing in another cohort" in text
    assert "Labels were permuted" in text


def test_card_markdown__escapes_names(run: Path):
    record = read_record(run)
    groups = {"batch": {"<b>|*x*": {"cases": 40, "controls": 50}}}
    assert record.people is not None
    text = card_of(replace(record, people=record.people | {"groups": groups}))
    assert r"| \<b\>\|\*x\* | 40 (9.6%) |" in text
