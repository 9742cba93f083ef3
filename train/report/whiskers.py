"""Estimates with intervals in rows: the ladder of models, and AUROC by stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from markupsafe import escape

from contract.page.panel import COLOURS, CUT_COLOUR, Panel, rounded, styled
from train.names import model_name
from train.people_counts import MIN_CELL
from train.report.words import interval_text, is_measured

OWN = "network"
ROW_HEIGHT, AXIS_HEIGHT = 24, 70
RIVAL_COLOUR = "#7c8694"


@dataclass(frozen=True)
class Rung:
    """A model of the ladder in words; `gain` is the network's minus its AUROC."""

    name: str
    is_own: bool
    auroc: str
    average_precision: str
    gain: str
    spread: str
    seconds: float | None
    notes: str


def rungs(ladder: Mapping[str, Any]) -> list[Rung]:
    """The ladder's rows, the highest AUROC first; what could not be measured comes last."""
    gains = {entry["rival"]: entry for entry in _differences(ladder)}
    return [
        Rung(
            name=model_name(row["model"]),
            is_own=row["model"] == OWN,
            auroc=interval_text(row.get("auroc")),
            average_precision=interval_text(row.get("average_precision")),
            gain=interval_text(gains[row["model"]]) if row["model"] in gains else "",
            spread=_spread(row.get("auroc_by_seed") or []),
            seconds=row.get("seconds"),
            notes="; ".join(str(row[key]) for key in ("tuned", "note") if row.get(key)),
        )
        for row in _by_auroc(ladder["rows"])
    ]


def ladder_panels(ladder: Mapping[str, Any]) -> list[Panel]:
    """AUROC of each model, and the network's lead over each rival, both with 95 % intervals."""
    measured = [row for row in _by_auroc(ladder["rows"]) if is_measured(row.get("auroc"))]
    found = []
    if measured:
        names = [model_name(row["model"]) for row in measured]
        own = [row["model"] == OWN for row in measured]
        table = _table("model", names, [row["auroc"] for row in measured])
        figure = _whiskers(table, own, at=0.5)
        figure.update_xaxes(title_text="AUROC")
        found.append(Panel("ladder", "AUROC of each model; dashed: chance", figure, table))
    order = [row["model"] for row in measured]
    gains = [entry for entry in _differences(ladder) if is_measured(entry)]
    gains.sort(key=lambda entry: order.index(entry["rival"]) if entry["rival"] in order else len(order))
    if gains:
        table = _table("rival", [model_name(entry["rival"]) for entry in gains], gains)
        figure = _whiskers(table, [False] * len(gains), at=0.0)
        figure.update_xaxes(title_text="difference in AUROC")
        title = "The network minus each rival, paired; right of the line the network leads"
        found.append(Panel("ladder_gains", title, figure, table))
    return found


def strata_of(audit: Mapping[str, Any] | None) -> tuple[list[dict[str, Any]], int]:
    """AUROC within strata from an audit's numbers, and how many strata are too small to be shown.

    They are the list `by_stratum` in a check's numbers: people, cases, estimate, low and high, and batch and
    ancestry where they are named. Strata with fewer than `MIN_CELL` cases or controls are not shown.
    """
    entries = [
        entry
        for check in (audit or {}).get("checks", [])
        for entry in (check.get("numbers") or {}).get("by_stratum", [])
    ]
    strata = [{"name": _stratum_name(entry, at), **entry} for at, entry in enumerate(entries, start=1)]
    shown = [one for one in strata if not _is_small(one)]
    return shown, len(strata) - len(shown)


def strata_panel(strata: Sequence[Mapping[str, Any]]) -> Panel:
    """AUROC within each stratum that could be measured."""
    measured = [one for one in strata if is_measured(one)]
    table = _table("stratum", [one["name"] for one in measured], measured)
    figure = _whiskers(table, [True] * len(table), at=0.5)
    return Panel("strata", "AUROC of the network within each stratum", figure, table, wide=True)


def _whiskers(table: pd.DataFrame, own: Sequence[bool], *, at: float) -> go.Figure:
    """Points with intervals from top to bottom; a dashed line stands at `at`."""
    names = [str(escape(name)) for name in table.iloc[:, 0]]
    estimate, low, high = (table[column] for column in ("estimate", "low", "high"))
    colours = [COLOURS[0] if mine else RIVAL_COLOUR for mine in own]
    figure = go.Figure(
        go.Scatter(
            x=rounded(estimate),
            y=names,
            mode="markers",
            marker={"size": 9, "color": colours},
            error_x={
                **{"array": rounded(high - estimate), "arrayminus": rounded(estimate - low)},
                **{"color": RIVAL_COLOUR, "thickness": 1.5, "width": 3},
            },
            showlegend=False,
        )
    )
    figure.add_vline(at, line={"color": CUT_COLOUR, "width": 1.5, "dash": "dash"})
    figure = styled(figure, AXIS_HEIGHT + ROW_HEIGHT * max(len(names), 2))
    # Plotly counts categories from below, and would leave out names where it finds them crowded.
    return figure.update_yaxes(autorange="reversed", tickmode="linear", dtick=1, type="category")


def _table(first: str, names: Sequence[str], intervals: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    ends = {end: [entry.get(end) for entry in intervals] for end in ("estimate", "low", "high")}
    return pd.DataFrame({first: list(names), **ends}).astype({end: float for end in ends})


def _by_auroc(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    measured = [row for row in rows if is_measured(row.get("auroc"))]
    others = [row for row in rows if not is_measured(row.get("auroc"))]
    return sorted(measured, key=lambda row: -row["auroc"]["estimate"]) + others


def _differences(ladder: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in ladder.get("differences", []) if entry.get("metric", "auroc") == "auroc"]


def _spread(values: Sequence[float]) -> str:
    known = [value for value in values if is_measured(value)]
    return f"{min(known):.3f} to {max(known):.3f}" if len(known) > 1 else ""


def _stratum_name(entry: Mapping[str, Any], number: int) -> str:
    named = [str(entry[key]) for key in ("batch", "ancestry") if entry.get(key) is not None]
    return " × ".join(named) or f"stratum {number} ({entry['people']:,} people)"


def _is_small(stratum: Mapping[str, Any]) -> bool:
    cases = int(stratum["cases"])
    return min(cases, int(stratum["people"]) - cases) < MIN_CELL
