import base64
import gzip
import json
import re
import shutil
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from contract.errors import InputError
from tests.train.report.example import add_everything, example_genes, interval
from train.evaluate import METRICS_NAME
from train.report.html import render_report, score_rows, write_report
from train.report.words import interval_text

MAX_BYTES = 2_000_000
SECTIONS = (
    *("verdict", "metrics", "ladder", "audit", "curves", "calibration", "decision", "strata", "genes"),
    *("learning", "methods", "readings", "card", "settings"),
)
OPTIONAL = {"ladder", "ladder_gains", "decision", "strata", "genes", "genes_burden"}


@pytest.fixture
def run(evaluated_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated_run, tmp_path / "run"))


def body(html: str) -> str:
    """The page without its scripts and the figures' data."""
    return re.sub(r"<script.*?</script>", "", html[html.index("<body>") :], flags=re.DOTALL)


def payload(html: str) -> dict[str, dict[str, object]]:
    (packed,) = re.findall(r'id="payload">(.*?)</script>', html)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_render_report__every_section_stands_in_order_with_its_figures(run: Path):
    html = render_report(add_everything(run))
    assert re.findall(r'<section id="(\w+)"', html) == list(SECTIONS)
    places = re.findall(r'id="figure-(\w+)"', html)
    assert sorted(places) == sorted(payload(html))
    assert set(places) == OPTIONAL | {
        *("roc", "precision_recall", "calibration", "scores"),
        *("learning_loss", "learning_validation_auroc"),
    }
    assert 'class="absent">' not in body(html).replace('<p class="absent">The figures need', "")


def test_render_report__says_what_is_missing_and_the_command_that_makes_it(run: Path):
    (run / "bundle/calibration.json").unlink()
    text = body(render_report(run))
    folder = re.escape(json.loads((run / "bundle/bundle.json").read_text())["config"]["run"]["out"])
    for words in (
        "This run was not audited.",
        f"<code>python -m train audit {folder}</code>",
        f"python -m train ladder {folder}/config.yaml makes it",
        f"python -m train explain {folder} does it",
        "no scaling was fitted",
    ):
        assert re.search(words.replace("(", r"\("), text), words
    assert (OPTIONAL - {"decision"}) & set(re.findall(r'id="figure-(\w+)"', text)) == {"genes"}


def test_render_report__genes_of_the_fit_stand_in_for_those_explained(run: Path):
    genes = pd.read_parquet(run / "bundle/genes.parquet")
    first = genes.loc[genes["inclusion"].idxmax(), "symbol"]
    section = body(render_report(run)).split('<section id="genes">')[1].split("</section>")[0]
    assert "From the fit alone. Not explained: python -m train explain" in section
    assert f'<td class="number">1</td><td>{first}' in section
    genes.drop(columns="inclusion").to_parquet(run / "bundle/genes.parquet")
    assert 'id="figure-genes"' not in render_report(run)


def test_render_report__works_without_what_a_fit_may_not_leave(run: Path):
    for name in ("predictions.parquet", "history.json"):
        (run / name).unlink()
    text = body(render_report(run))
    assert text.count("predictions.parquet is not in the run") == 2
    assert "No epochs were recorded." in text


def test_render_report__verdict_stands_above_the_number(run: Path):
    text = body(render_report(add_everything(run)))
    first = text[: text.index("AUROC in the sealed fold")]
    assert "The score finds batch, not genetics." in first
    assert "Balance batches and call them together" in first
    assert "0.553 within, 0.798 over all" in first
    assert "not to be quoted" in text
    passed = body(render_report(add_everything(run, status="passed")))
    assert 'class="sentence pass">Nothing speaks against the score.' in passed
    assert "not to be quoted" not in passed


def test_render_report__files_of_another_dataset_are_not_shown(run: Path):
    add_everything(run)
    for name in ("audit.json", "ladder.json"):
        content = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps(content | {"manifest_digest": "another"}))
    text = body(render_report(run))
    assert "The audit in this folder is of another dataset." in text
    assert "The ladder in this folder is of another dataset." in text
    assert "The score finds batch" not in text
    assert 'id="figure-ladder"' not in text


def test_render_report__shows_scores_increment_and_all_readings(run: Path):
    metrics = json.loads((run / METRICS_NAME).read_text())
    text = body(render_report(run))
    for name in ("cnn", "logistic", "covariates"):
        assert interval_text(metrics[name]["auroc"]) in text
    assert "1 reading</strong>" in text
    text = body(render_report(add_everything(run)))
    assert "AUROC more than covariates alone (0.230 to 0.270)" in text
    assert "the scores hardly vary" in text
    assert "2 readings</strong>" in text
    assert re.search(r"2031-05-06 07:08:09</td><td>runs/first</td><td>paper</td>.*0\.710", text)


def test_render_report__null_run_says_so(run: Path):
    metrics = json.loads((run / METRICS_NAME).read_text())
    assert "Null run" not in render_report(run)
    (run / METRICS_NAME).write_text(json.dumps(metrics | {"permuted_labels": True}))
    assert "Null run: the labels were permuted" in render_report(run)


def test_render_report__nobody_is_named_and_nothing_is_loaded(run: Path):
    html = render_report(add_everything(run))
    ids = pd.read_parquet(run / "predictions.parquet")["sample_id"]
    everything = body(html) + json.dumps(payload(html)) + (run / "bundle/bundle.json").read_text()
    assert ids.str.match(r"S\d{6}$").all()
    assert not re.search(r"S\d{6}", everything)
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="', html)


def test_render_report__no_figure_holds_a_point_for_each_person(run: Path):
    panels = payload(render_report(run))
    n = len(pd.read_parquet(run / "predictions.parquet"))
    assert panels["roc"]["csv"].count("\n") == 102
    counts = pd.read_csv(StringIO(panels["scores"]["csv"]))[["cases", "controls"]]
    assert not ((counts > 0) & (counts < 5)).any(axis=None)
    assert counts.to_numpy().sum() <= n


def test_render_report__escapes_hostile_names(run: Path):
    add_everything(run)
    hostile = "<img src=x onerror=alert(1)>"
    example_genes(50, symbol=hostile).to_parquet(run / "genes.parquet")
    audit = json.loads((run / "audit.json").read_text())
    audit["verdict"]["sentence"] = hostile
    audit["checks"][1]["numbers"]["by_stratum"][0]["batch"] = hostile
    (run / "audit.json").write_text(json.dumps(audit))
    html = render_report(run)
    assert "<img" not in body(html)
    assert "&lt;img src=x" in body(html)
    assert "<img" not in json.dumps([panel["figure"] for panel in payload(html).values()])


def test_render_report__stays_below_two_megabytes(run: Path):
    html = render_report(add_everything(run, n_genes=20_000))
    assert len(html.encode()) <= MAX_BYTES


def test_write_report__writes_the_card_too_and_leaves_no_other_file(run: Path):
    before = {path.name for path in run.iterdir()}
    assert write_report(run) == run / "report.html"
    assert {path.name for path in run.iterdir()} - before <= {"report.html"}
    assert (run / "bundle/CARD.md").read_text().startswith("---\nlibrary_name: exoshard\n")
    assert render_report(run) == (run / "report.html").read_text()


def test_write_report__run_not_evaluated(tmp_path: Path):
    wanted = r"metrics.json: whole file: found no such file, wanted an evaluated run"
    with pytest.raises(InputError, match=wanted):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["audit.json", "ladder.json", "genes.parquet"])
def test_write_report__damaged_file(run: Path, name: str):
    (run / name).write_text("[")
    with pytest.raises(InputError, match=rf"{name}: whole file: found .*damaged"):
        write_report(run)


def test_score_rows__keeps_metrics_that_it_has_no_name_for():
    rows = score_rows({"cnn": {"new_one": 0.5, "auroc": interval(0.7)}})
    assert [row["metric"] for row in rows] == ["AUROC", "new one"]
    assert rows[1]["cnn"] == "0.500"
