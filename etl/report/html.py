"""The report as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import jinja2
from markupsafe import Markup

from contract.manifest import LedgerEntry
from contract.storage import open_storage
from etl.report.data import ReportData
from etl.report.names import reason_words
from etl.report.panel import Panel
from etl.report.payload import packed_panels, packed_plotly
from etl.report.people import compared_sexes
from etl.report.sections import report_panels
from etl.report.tables import batch_table, ledger_rows
from etl.report.words import removed_in_words, suspicions

NOT_MEASURED = "Not measured in this run."


def write_report(data: ReportData, path: str) -> None:
    """Write the report under a temporary name and rename it; any path or URL that fsspec knows."""
    filesystem, inside = open_storage(str(path))
    filesystem.makedirs(filesystem._parent(inside), exist_ok=True)
    with filesystem.open(inside + ".partial", "wb") as stream:
        stream.write(render_report(data).encode())
    filesystem.mv(inside + ".partial", inside)


def render_report(data: ReportData) -> str:
    """The report's HTML: tables and figures from `data`, all in one file, nothing loaded from outside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("etl.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"panels": _panels_html, "count": grouped, "words": reason_words}
    sections = report_panels(data)
    return environment.get_template("report.html.j2").render(
        data=data,
        panels=sections,
        removed=removed_in_words(data),
        suspicions=suspicions(data),
        ledger=ledger_rows(data),
        batches=batch_table(data),
        steps=lines_by_step(data.lines),
        sexes=None if data.people is None else compared_sexes(data.people),
        relationships=_relationships(data),
        not_measured=NOT_MEASURED,
        plotly=packed_plotly(),
        payload=packed_panels([panel for panels in sections.values() for panel in panels]),
    )


def lines_by_step(lines: Sequence[LedgerEntry]) -> list[dict[str, object]]:
    """Ledger lines joined by step and unit: step, unit, rows of reason and count."""
    joined = groupby(lines, key=lambda entry: (entry.step, entry.unit))
    return [
        {"step": step, "unit": unit, "rows": [(entry.reason, entry.count) for entry in entries]}
        for (step, unit), entries in joined
    ]


def grouped(value: object) -> str:
    """A number as people read it."""
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
    )


def _panels_html(panels: Sequence[Panel], layout: str = "") -> Markup:
    """A place for each panel's figure, which the browser draws, and a button for its data.

    `layout` is a further class of the style sheet.
    """
    one = Markup(
        '<figure class="panel{wide}"><figcaption>{title}'
        '<button type="button" class="data" data-panel="{name}">data (CSV)</button></figcaption>'
        '<div class="plot" id="figure-{name}" style="height:{height}px"></div></figure>'
    )
    inside = Markup("\n").join(
        one.format(
            wide=" wide" if panel.wide else "",
            title=panel.title,
            name=panel.name,
            height=panel.figure.layout.height,
        )
        for panel in panels
    )
    return Markup('<div class="panels {}">{}</div>').format(layout, inside)


def _relationships(data: ReportData) -> dict[str, int]:
    if data.kinship is None or data.kinship.empty:
        return {}
    return {str(name): int(count) for name, count in data.kinship["relationship"].value_counts().items()}
