"""Panels on who is related to whom: kinship, and principal components."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from contract.page.panel import (
    COLOURS,
    MAX_POINTS,
    OTHERS_COLOUR,
    Cut,
    Panel,
    add_cuts,
    bars,
    groups,
    rounded,
    styled,
)

SIDES = 40
"""Cells along each side in which the data file of a scatter plot counts points."""


def kinship_panel(kinship: pd.DataFrame, min_kinship_family: float | None) -> Panel:
    """Pairs by kinship and IBS0 where that was measured, else by kinship alone."""
    if "ibs0" in kinship and kinship["ibs0"].notna().any():
        return _kinship_and_ibs0(kinship, min_kinship_family)
    edges = np.linspace(min(0.0, kinship["kinship"].min()), max(0.52, kinship["kinship"].max()), 80)
    figure, columns = go.Figure(), {"from": edges[:-1], "to": edges[1:]}
    for label, colour, members in groups(kinship["relationship"]):
        columns[label] = np.histogram(kinship.loc[members, "kinship"], edges)[0]
        figure.add_trace(bars(edges, columns[label], label, colour))
    add_cuts(figure, Cut(low=min_kinship_family))
    # Not stacked: on a logarithmic axis only a bar that starts at the axis can be read.
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title_text="kinship coefficient")
    figure.update_yaxes(title_text="pairs", type="log", dtick=1)
    return Panel("kinship", "Pairs by kinship", styled(figure, 340), pd.DataFrame(columns), wide=True)


def _kinship_and_ibs0(kinship: pd.DataFrame, min_kinship_family: float | None) -> Panel:
    figure = go.Figure()
    shown = kinship.sort_values("kinship", ascending=False)[["ibs0", "kinship", "relationship"]]
    # Distant pairs are many and alike: the closest are all drawn, a draw of the others.
    close = shown.head(MAX_POINTS // 2)
    rest = shown.iloc[len(close) :]
    shown = pd.concat([close, rest.sample(min(len(rest), MAX_POINTS // 2), random_state=0)])
    for label, colour, members in groups(shown["relationship"]):
        figure.add_trace(_points(shown.loc[members], "ibs0", "kinship", label, colour))
    add_cuts(figure, Cut(low=min_kinship_family), along="y")
    figure.update_xaxes(title_text="IBS0: share of markers with opposite homozygotes")
    figure.update_yaxes(title_text="kinship coefficient")
    title = "Pairs by kinship and IBS0 (parent and child near 0, siblings above)"
    table = shown.round(4)
    return Panel("kinship", title, styled(figure, 380), table, wide=True)


def component_panels(components: pd.DataFrame, eigenvalues: pd.DataFrame | None) -> list[Panel]:
    """The first two components by ancestry, batch and status, and the eigenvalues beside those of noise.

    Status of the sealed fold's people is not in `components`: they are one grey group.
    """
    shown = components.sample(min(len(components), MAX_POINTS), random_state=0)
    panels = []
    for name in ("ancestry", "batch", "status"):
        if name not in shown or (name == "batch" and shown[name].nunique() < 2):
            continue
        figure = go.Figure()
        for label, colour, members in groups(shown[name]):
            figure.add_trace(_points(shown.loc[members], "pc1", "pc2", label, colour))
        figure.update_xaxes(title_text="PC1")
        figure.update_yaxes(title_text="PC2")
        cells = _cells(components, name)
        panels.append(Panel(f"components_{name}", f"Components by {name}", styled(figure, 330), cells))
    return panels + ([_eigenvalue_panel(eigenvalues)] if eigenvalues is not None else [])


def _cells(components: pd.DataFrame, name: str) -> pd.DataFrame:
    """People by cell of the plane and group: the plane's data without a row for anybody."""
    binned = {
        axis: pd.cut(components[axis], SIDES).map(lambda cell: cell.mid).astype(float).round(5)
        for axis in ("pc1", "pc2")
    }
    frame = pd.DataFrame(binned).assign(**{name: components[name]})
    return frame.groupby([name, "pc1", "pc2"], observed=True).size().reset_index(name="people")


def _eigenvalue_panel(eigenvalues: pd.DataFrame) -> Panel:
    places = [str(place + 1) for place in range(len(eigenvalues))]
    figure = go.Figure()
    for column, colour in (("eigenvalue", COLOURS[0]), ("noise", OTHERS_COLOUR)):
        figure.add_trace(
            go.Scatter(
                x=places,
                y=rounded(eigenvalues[column]),
                name=column.replace("noise", "largest of noise"),
                mode="lines+markers",
                marker={"color": colour},
            )
        )
    figure.update_xaxes(title_text="component", type="category")
    figure.update_yaxes(rangemode="tozero")
    return Panel("eigenvalues", "Eigenvalues", styled(figure, 330), eigenvalues)


def _points(frame: pd.DataFrame, x: str, y: str, label: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=rounded(frame[x]),
        y=rounded(frame[y]),
        mode="markers",
        marker={"size": 5, "color": colour, "opacity": 0.65},
        name=label,
        hoverinfo="name",
    )
