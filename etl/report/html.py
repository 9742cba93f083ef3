"""The report as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from contract.manifest import LedgerEntry
from contract.page.html import page_environment, render_page, write_page
from etl.report.association_table import strongest_rows
from etl.report.data import ReportData
from etl.report.names import reason_words
from etl.report.people import compared_sexes
from etl.report.sections import report_panels
from etl.report.tables import batch_table, ledger_rows
from etl.report.words import removed_in_words, suspicions

NOT_MEASURED = "Not measured in this run."


def write_report(data: ReportData, path: str) -> None:
    """Write the report under a temporary name and rename it; any path or URL that fsspec knows."""
    write_page(render_report(data), str(path))


def render_report(data: ReportData) -> str:
    """The report's HTML: tables and figures from `data`, all in one file, nothing loaded from outside."""
    environment = page_environment("etl.report")
    environment.filters["words"] = reason_words
    return render_page(
        environment,
        "report.html.j2",
        report_panels(data),
        data=data,
        removed=removed_in_words(data),
        suspicions=suspicions(data),
        ledger=ledger_rows(data),
        batches=batch_table(data),
        strongest=strongest_rows(data.association),
        steps=lines_by_step(data.lines),
        sexes=None if data.people is None else compared_sexes(data.people),
        relationships=_relationships(data),
        not_measured=NOT_MEASURED,
    )


def lines_by_step(lines: Sequence[LedgerEntry]) -> list[dict[str, object]]:
    """Ledger lines joined by step and unit: step, unit, rows of reason and count."""
    joined = groupby(lines, key=lambda entry: (entry.step, entry.unit))
    return [
        {"step": step, "unit": unit, "rows": [(entry.reason, entry.count) for entry in entries]}
        for (step, unit), entries in joined
    ]


def _relationships(data: ReportData) -> dict[str, int]:
    if data.kinship is None or data.kinship.empty:
        return {}
    return {str(name): int(count) for name, count in data.kinship["relationship"].value_counts().items()}
