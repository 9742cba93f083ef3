import re

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("plotly")

from contract.manifest import LedgerEntry
from etl.report.data import Cut, Histogram, ReportData, Threshold
from etl.report.html import NOT_MEASURED, ledger_by_step, render_report, write_report


def entry(step, reason, count, unit="samples"):
    return LedgerEntry(step=step, unit=unit, reason=reason, count=count)


def full_report():
    samples = pd.DataFrame(
        {
            "sample_id": ["SECRET1", "SECRET2", "SECRET3"],
            "call_rate": [0.9, 0.99, 0.98],
            "f_stat": [0.0, 1.0, np.nan],
            "reported_sex": ["female", "female", None],
            "imputed_sex": ["female", "male", None],
            "batch": ["wave1", "wave2", None],
            "is_case": [1, 0, 1],
            "reasons": ["call_rate", "sex_mismatch", ""],
        }
    )
    components = samples.assign(PC1=[0.1, 0.2, 0.3], PC2=0.0, ancestry="group1")
    burden = pd.DataFrame(
        [("plof", status, 10, 1.5, 1.25, 1.75) for status in ("case", "control")],
        columns=["channel", "status", "n", "mean", "low", "high"],
    )
    return ReportData(
        title="A & B",
        facts={"people in": 12345},
        ledger=[entry("people", "call_rate", 1), entry("people", "sex_mismatch", 1)],
        samples=samples,
        sample_cuts={"call_rate": Cut(low=0.93), "f_stat": Cut(0.2, 0.8)},
        variants={"call rate": Histogram(np.array([0.0, 0.5, 1.0]), np.array([1, 9]), Cut(low=0.97))},
        components=components,
        kinship=pd.DataFrame({"kinship": [0.25, 0.06], "relationship": ["first degree", "further"]}),
        min_kinship_family=0.0884,
        burden=burden,
        thresholds=[Threshold("sample", "min_call_rate", "0.93", "call rate", "a study")],
    )


def body(html):
    return html[html.index("<body>") :]


def test_render_report__shows_every_part():
    html = body(render_report(full_report()))
    names = re.findall(r'id="figure-(\w+)"', html)
    assert names == ["samples", "sex", "kinship", "components", "variants", "burden"]
    for text in (
        "A &amp; B",
        "12,345",
        "sex mismatch",
        "2 of 3 carry a reason",
        "1 people differ",
        "a study",
    ):
        assert text in html
    assert "1.250 to 1.750" in html
    assert NOT_MEASURED not in html


def test_render_report__holds_no_sample_ids_and_loads_nothing():
    html = render_report(full_report())
    assert "SECRET" not in html
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="', html)


def test_render_report__same_data_same_bytes():
    assert render_report(full_report()) == render_report(full_report())


def test_render_report__absent_parts_are_said_to_be_absent():
    html = body(render_report(ReportData(title="bare", absent={"sex": "No calls on X in the input."})))
    assert "figure-" not in html
    assert html.count(NOT_MEASURED) == 7
    assert "No calls on X in the input." in html


def test_ledger_by_step__joins_neighbours_and_scales_bars():
    steps = ledger_by_step([entry("a", "x", 2), entry("a", "y", 4), entry("b", "z", 0, unit="variants")])
    assert steps == [
        {"step": "a", "unit": "samples", "rows": [("x", 2, 0.5), ("y", 4, 1.0)]},
        {"step": "b", "unit": "variants", "rows": [("z", 0, 0.0)]},
    ]


def test_write_report__leaves_only_the_report(tmp_path):
    write_report(ReportData(title="bare"), str(tmp_path / "out" / "report.html"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
