"""The figure of `make paper`: accuracy and AUROC of each protocol with their intervals."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

PANELS = {"accuracy": "majority_share", "auroc": "oracle_auroc"}
"""Measure of each panel, and the key of the line drawn in it."""

LINES = {"majority_share": "everybody a control", "oracle_auroc": "true genetic liability"}


def draw(figures: Mapping[str, Any], titles: Mapping[str, str]) -> go.Figure:
    """One panel for each measure, one row for each protocol."""
    names = [name for name in titles if name in figures]
    figure = make_subplots(cols=len(PANELS), shared_yaxes=True, subplot_titles=list(PANELS))
    for column, (measure, line) in enumerate(PANELS.items(), start=1):
        found = [figures[name][measure] for name in names]
        estimates = [one["estimate"] for one in found]
        spread = {
            "type": "data",
            "symmetric": False,
            "array": [one["high"] - one["estimate"] for one in found],
            "arrayminus": [one["estimate"] - one["low"] for one in found],
        }
        labels = [titles[name] for name in names]
        marks = go.Scatter(x=estimates, y=labels, error_x=spread, mode="markers", marker={"size": 10})
        figure.add_trace(marks, row=1, col=column)
        figure.add_vline(
            x=figures[line], line_dash="dot", annotation_text=LINES[line], row=1, col=column
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        template="plotly_white", showlegend=False, height=460, title="What each step of the leak adds"
    )
    return figure


def write_figure(figures: Mapping[str, Any], titles: Mapping[str, str], folder: Path, name: str) -> Path:
    """Write NAME.html, and NAME.png where plotly can draw pictures."""
    figure = draw(figures, titles)
    partial = folder / f"{name}.html.partial"
    figure.write_html(partial, include_plotlyjs=True)
    partial.rename(folder / f"{name}.html")
    with contextlib.suppress(ValueError):  # plotly's picture engine, kaleido, is not installed
        figure.write_image(folder / f"{name}.png", width=1100, height=460, scale=2)
    return folder / f"{name}.html"
