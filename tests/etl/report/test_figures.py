import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("plotly")

from etl.report.panel import COLOURS, Cut, groups, histogram_panel
from etl.report.people_figures import quantiles, sex_panels
from etl.report.relatives_figures import component_panels, kinship_panel
from tests.etl.report.example import full_report


def test_groups__small_ones_share_one_beyond_the_palette():
    names = pd.Series([f"b{number}" for number in range(12)] + ["b0", None])
    found = list(groups(names))
    assert len(found) == len(COLOURS)
    assert found[0][0] == "b0"
    assert found[-1][0] == "6 others"
    assert sum(members.sum() for _, _, members in found) == len(names)


def test_histogram_panel__counts_and_cut():
    values, batch = pd.Series([0.0, 1.0, 2.0, 2.0, np.nan]), pd.Series(["a", "a", "b", "b", "b"])
    panel = histogram_panel("x", "X", values, batch, Cut(low=1.5))
    assert panel.table[["a", "b"]].values.tolist() == [[1, 0], [1, 0], [0, 2]]
    assert [shape.x0 for shape in panel.figure.layout.shapes] == [1.5]


def test_quantiles__by_status_and_batch():
    people = pd.DataFrame(
        {"status": ["case"] * 3 + ["sealed"], "batch": "w1", "call_rate": [0.9, 0.95, 1.0, 0.5]}
    )
    rows = quantiles(people, "call_rate").set_index("status")
    assert rows.loc["case", ["n", "median"]].tolist() == [3, 0.95]
    assert rows.loc["sealed", ["n", "q1", "q3"]].tolist() == [1, 0.5, 0.5]


def test_kinship_panel__against_ibs0_where_it_was_measured():
    pairs = full_report().kinship
    scatter, histogram = kinship_panel(pairs, 0.0884), kinship_panel(pairs.drop(columns="ibs0"), 0.0884)
    assert {trace.type for trace in scatter.figure.data} == {"scatter"}
    assert {trace.type for trace in histogram.figure.data} == {"bar"}
    assert len(scatter.table) == len(pairs)


def test_component_panels__sealed_people_are_one_group():
    data = full_report()
    panels = {panel.name: panel for panel in component_panels(data.components, data.eigenvalues)}
    traces = {trace.name: len(trace.x) for trace in panels["components_status"].figure.data}
    assert traces == data.components["status"].value_counts().to_dict()
    assert "sealed" in traces
    assert panels["components_status"].table["people"].sum() == len(data.components)


def test_sex_panels__by_karyotype_where_it_was_called():
    people = full_report().people
    called = people.assign(sex_karyotype="XX")
    assert [panel.name for panel in sex_panels(people, Cut())] == ["f_by_reported_sex"]
    assert [panel.name for panel in sex_panels(called, Cut())] == ["f_by_reported_sex", "f_by_sex_karyotype"]


def test_panels__no_figure_carries_plotlys_template():
    panel = histogram_panel("x", "X", pd.Series([1.0, 2.5]), pd.Series(["a", "b"]), Cut())
    assert len(json.dumps(json.loads(panel.figure.to_json()))) < 4000
