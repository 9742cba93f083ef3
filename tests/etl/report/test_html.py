import base64
import gzip
import json
import re
from dataclasses import replace

import pytest

pytest.importorskip("plotly")

from contract.manifest import LedgerEntry
from etl.report.data import ReportData
from etl.report.html import NOT_MEASURED, lines_by_step, render_report, write_report
from tests.etl.report.example import full_report

MAX_BYTES = 2_000_000


def body(html):
    """The page without its scripts and the figures' data."""
    return re.sub(r"<script.*?</script>", "", html[html.index("<body>") :], flags=re.DOTALL)


def payload(html):
    (packed,) = re.findall(r'id="payload">(.*?)</script>', html)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_render_report__shows_every_part():
    html = render_report(full_report())
    text = body(html)
    places = re.findall(r'id="figure-(\w+)"', text)
    assert places == list(payload(html))
    for name in ("people_flow", "call_rate_by_status", "f_by_reported_sex", "kinship", "components_status"):
        assert name in places
    for name in ("genotypes", "equilibrium", "spectrum", "variants_call_rate_difference", "burden_1"):
        assert name in places
    for words in (
        "A &amp; B",
        "12,345",
        "0 of 60 people differ",
        "a study",
        "1.250 to 1.750",
        "1,673 markers",
    ):
        assert words in text
    assert NOT_MEASURED not in text


def test_render_report__first_page_says_what_was_removed_and_what_looks_wrong():
    data = replace(full_report(), warnings=["kinship rests on few markers"])
    first = body(render_report(data)).split('class="tiles"')[0]
    assert "36 of 60 people were removed: 12 for" in first
    assert "kinship rests on few markers" in first
    assert "People kept: 24 of 60 people (40.0%)" in first
    assert '<td class="verdict warn">warn</td>' in first


def test_render_report__says_that_genotypes_were_not_judged():
    judged, skipped = full_report(), replace(full_report(), genotypes_judged=False)
    assert "Genotypes were not judged" not in body(render_report(judged))
    assert "Genotypes were not judged" in body(render_report(skipped)).split('class="tiles"')[0]


def test_render_report__holds_no_sample_ids_and_loads_nothing():
    html = render_report(full_report())
    assert "SECRET" not in html + json.dumps(payload(html))
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="', html)


def test_render_report__same_data_same_bytes():
    assert render_report(full_report()) == render_report(full_report())


def test_render_report__has_the_numbers_behind_each_figure():
    panels = payload(render_report(full_report()))
    assert panels["burden_0"]["csv"].splitlines()[:2] == [
        "channel,status,n,mean,low,high,p",
        "plof,case,10,1.5,1.25,1.75,0.4",
    ]
    assert all(panel["csv"].count("\n") > 1 for panel in panels.values())


def test_render_report__stays_below_two_megabytes():
    html = render_report(full_report(n_people=20_000, n_batches=40))
    assert len(html.encode()) <= MAX_BYTES


def test_render_report__absent_parts_are_said_to_be_absent():
    html = body(render_report(ReportData(title="bare", absent={"sex": "No calls on X in the input."})))
    assert "figure-" not in html
    assert html.count(NOT_MEASURED) == 10
    assert "No calls on X in the input." in html


def test_lines_by_step__joins_neighbours():
    lines = [("a", "x", 2), ("a", "y", 4), ("b", "z", 0)]
    entries = [LedgerEntry(step=step, unit="variants", reason=reason, count=n) for step, reason, n in lines]
    assert lines_by_step(entries) == [
        {"step": "a", "unit": "variants", "rows": [("x", 2), ("y", 4)]},
        {"step": "b", "unit": "variants", "rows": [("z", 0)]},
    ]


def test_write_report__leaves_only_the_report(tmp_path):
    write_report(ReportData(title="bare"), str(tmp_path / "out" / "report.html"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
