"""One panel of a report: a figure, what it shows, and the numbers behind it. Shared style and colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C7A00", "#000000")
"""Okabe and Ito 2008, told apart by colour-blind people; its yellow is darkened to show on white."""

OTHERS_COLOUR = "#999999"
CUT_COLOUR = "#D55E00"
STATUS_COLOURS = {"control": "#0072B2", "case": "#E69F00", "unknown": "#CC79A7", "sealed": OTHERS_COLOUR}
N_BINS = 50
MAX_POINTS = 2_000
"""Points of a scatter plot; of more a seeded draw is shown."""


@dataclass(frozen=True)
class Cut:
    """Limits of a metric; None leaves a side open."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Panel:
    """A figure of a report.

    Attributes
    ----------
    name
        Unique in the report; also the name of its data file.
    title
        What is drawn, with its unit.
    figure
        Groups, counts and points; never an id.
    table
        The numbers behind it.
    wide
        Whether it takes the full width.
    """

    name: str
    title: str
    figure: go.Figure
    table: pd.DataFrame
    wide: bool = False


def groups(names: pd.Series) -> Iterator[tuple[str, str, NDArray[Any]]]:
    """Name, colour and row mask of each group, in the order of names; the smallest share one grey group."""
    known = names.astype(object).where(names.notna(), "unknown").astype(str)
    order = known.value_counts().index.tolist()
    kept = order if len(order) <= len(COLOURS) else order[: len(COLOURS) - 1]
    for colour, name in zip(COLOURS, sorted(kept), strict=False):
        yield name, STATUS_COLOURS.get(name, colour), (known == name).to_numpy()
    if len(kept) < len(order):
        yield f"{len(order) - len(kept)} others", OTHERS_COLOUR, (~known.isin(kept)).to_numpy()


def histogram_panel(name: str, title: str, values: pd.Series, by: pd.Series, cut: Cut) -> Panel:
    """People by a metric, stacked by group; missing values are left out."""
    values = values.astype(float)
    edges = bin_edges(values)
    figure, columns = go.Figure(), {"from": edges[:-1], "to": edges[1:]}
    for label, colour, members in groups(by):
        counts = np.histogram(values[members].dropna(), edges)[0]
        figure.add_trace(bars(edges, counts, label, colour))
        columns[label] = counts
    add_cuts(figure, cut)
    figure.update_layout(barmode="stack")
    figure.update_yaxes(title_text="people")
    return Panel(name, title, styled(figure), pd.DataFrame(columns))


def bin_edges(values: pd.Series) -> NDArray[Any]:
    """Equal bins over the finite values: one for each of a few whole numbers, else N_BINS."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    if 1 < high - low <= N_BINS and (finite == finite.round()).all():
        return np.arange(low - 0.5, high + 1.0)
    return np.linspace(low, high if high > low else low + 1.0, N_BINS + 1)


def bars(edges: NDArray[Any], counts: Sequence[int] | NDArray[Any], label: str, colour: str) -> go.Bar:
    """Bars between edges."""
    return go.Bar(
        x=rounded((edges[:-1] + edges[1:]) / 2),
        y=np.asarray(counts).tolist(),
        width=rounded(np.diff(edges) * 0.96),
        name=label,
        marker={"color": colour, "line": {"width": 0}},
    )


def add_cuts(figure: go.Figure, cut: Cut, *, along: str = "x") -> None:
    """Dashed lines at the limits; `along` is the axis of the metric."""
    line = {"color": CUT_COLOUR, "width": 1.5, "dash": "dash"}
    for value in (cut.low, cut.high):
        if value is not None and along == "x":
            figure.add_vline(x=value, line=line)
        elif value is not None:
            figure.add_hline(y=value, line=line)


def rounded(values: NDArray[Any] | pd.Series) -> list[float]:
    """Four significant digits: more can't be seen, and would fill the file."""
    return [float(f"{value:.4g}") for value in np.asarray(values, dtype=float)]


def styled(figure: go.Figure, height: int = 300) -> go.Figure:
    """The look of reports: no template of plotly's, which is larger than most figures."""
    axis = {"automargin": True, "zeroline": False, "gridcolor": "#e6e8eb", "linecolor": "#9aa1ab"}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 54, "r": 12, "t": 12, "b": 44},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#2b2f36"},
        legend={
            **{"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            **{"itemsizing": "constant", "traceorder": "normal"},
        },
        bargap=0.04,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
