"""Burden tests as the report's table: small counts of people are not told."""

from __future__ import annotations

from etl.report.data import AssociationPart

STRONGEST = 15
"""Rows of the table."""
SMALL_CELL = 5
"""Counts of people below it are shown as smaller than it."""


def small_cell(count: int) -> str:
    """A count of people as a report may show it."""
    return f"<{SMALL_CELL}" if count < SMALL_CELL else f"{count:,}"


def strongest_rows(part: AssociationPart | None) -> list[dict[str, object]]:
    """The results with the smallest p-values: gene, channel, cases, controls (as text), effect, its standard
    error, p, test and whether it holds after Bonferroni's correction for all tests.
    """
    if part is None:
        return []
    limit = 0.05 / max(len(part.table), 1)
    top = part.table.sort_values("log10_p", ascending=False, kind="stable").head(STRONGEST)
    return [
        {
            "gene": row["symbol"] or row["gene_id"],
            "channel": row["channel"],
            "cases": small_cell(int(row["carriers_cases"])),
            "controls": small_cell(int(row["carriers_controls"])),
            **{name: row[name] for name in ("effect", "standard_error", "p", "test")},
            "holds": bool(row["p"] < limit),
        }
        for row in top.to_dict("records")
    ]
