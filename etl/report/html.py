"""The report as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from contract.manifest import LedgerEntry
from contract.storage import open_storage
from etl.report import figures
from etl.report.data import Cut, ReportData

NOT_MEASURED = "Not measured in this run."


def write_report(data: ReportData, path: str) -> None:
    """Write the report under a temporary name and rename it; any path or URL that fsspec knows."""
    filesystem, inside = open_storage(str(path))
    filesystem.makedirs(filesystem._parent(inside), exist_ok=True)
    with filesystem.open(inside + ".partial", "wb") as stream:
        stream.write(render_report(data).encode())
    filesystem.mv(inside + ".partial", inside)


def render_report(data: ReportData) -> str:
    """The report's HTML: tables and figures from `data`, plotly inlined once, nothing loaded from outside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("etl.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure_html
    environment.filters["count"] = _grouped
    return environment.get_template("report.html.j2").render(
        data=data,
        figures=_figures(data),
        steps=ledger_by_step(data.ledger),
        dropped_people=_dropped_people(data),
        sex_mismatches=_sex_mismatches(data),
        relationships=_relationships(data),
        not_measured=NOT_MEASURED,
        plotly=get_plotlyjs(),
    )


def ledger_by_step(ledger: Sequence[LedgerEntry]) -> list[dict[str, object]]:
    """Ledger lines joined by step and unit, each count with its share of the largest beside it."""
    steps: list[dict[str, object]] = []
    for (step, unit), lines in groupby(ledger, key=lambda entry: (entry.step, entry.unit)):
        entries = list(lines)
        largest = max(entry.count for entry in entries) or 1
        rows = [(entry.reason, entry.count, entry.count / largest) for entry in entries]
        steps.append({"step": step, "unit": unit, "rows": rows})
    return steps


def _figures(data: ReportData) -> dict[str, go.Figure | None]:
    samples, components = data.samples, data.components
    sex_cut = data.sample_cuts.get("f_stat", Cut())
    return {
        "samples": None if samples is None else figures.sample_metrics_figure(samples, data.sample_cuts),
        "variants": figures.variant_metrics_figure(data.variants),
        "sex": None if samples is None else figures.sex_figure(samples, sex_cut),
        "components": None
        if components is None or components.empty
        else figures.components_figure(components),
        "kinship": None
        if data.kinship is None
        else figures.kinship_figure(data.kinship, data.min_kinship_family),
        "burden": None if data.burden is None else figures.burden_figure(data.burden),
    }


def _figure_html(figure: go.Figure, name: str) -> str:
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"figure-{name}",
        config={"displayModeBar": False, "responsive": True},
    )
    return Markup(html)


def _grouped(value: object) -> str:
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
    )


def _dropped_people(data: ReportData) -> int | None:
    if data.samples is None or "reasons" not in data.samples:
        return None
    return int((data.samples["reasons"].fillna("") != "").sum())


def _sex_mismatches(data: ReportData) -> int | None:
    if data.samples is None or not {"imputed_sex", "reported_sex"} <= set(data.samples):
        return None
    both = data.samples[["imputed_sex", "reported_sex"]].dropna()
    return int((both["imputed_sex"] != both["reported_sex"]).sum())


def _relationships(data: ReportData) -> dict[str, int]:
    if data.kinship is None or data.kinship.empty:
        return {}
    return {str(name): int(count) for name, count in data.kinship["relationship"].value_counts().items()}
