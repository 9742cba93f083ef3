import pandas as pd
import pytest

pytest.importorskip("plotly")

from contract.page.panel import Cut
from etl.report.people_figures import quantiles, sex_panels
from etl.report.relatives_figures import component_panels, kinship_panel
from tests.etl.report.example import full_report


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
