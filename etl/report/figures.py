"""Figures of the quality report, as plotly figures. They show groups and counts, never sample ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from etl.report.data import Cut, Histogram

COLOURS = ("#3b6fb6", "#d9822b", "#3f9c6d", "#a4489a", "#5aa7c7", "#c23b3b", "#9a7a2f", "#7f7f7f")
CUT_COLOUR = "#b3261e"
MAX_POINTS = 5_000
"""Points of a scatter plot; of more people a seeded draw is shown."""

SAMPLE_METRICS = {
    "call_rate": "call rate",
    "mean_dp": "mean depth (reads)",
    "mean_gq": "mean genotype quality (Phred)",
    "charr": "contamination (CHARR, share of reads)",
    "r_ti_tv": "transitions / transversions",
    "r_het_hom_var": "heterozygous / homozygous alternate",
    "r_insertion_deletion": "insertions / deletions",
    "n_singleton": "singletons",
}


def sample_metrics_figure(samples: pd.DataFrame, cuts: Mapping[str, Cut]) -> go.Figure | None:
    """Histogram of every metric that was measured, by batch where there are several; cuts as red lines."""
    present = [name for name in SAMPLE_METRICS if name in samples and samples[name].notna().any()]
    if not present:
        return None
    groups = _groups(samples, "batch")
    n_rows = -(-len(present) // 2)
    figure = make_subplots(n_rows, 2, subplot_titles=[SAMPLE_METRICS[name] for name in present])
    for place, name in enumerate(present):
        row, column = place // 2 + 1, place % 2 + 1
        edges = _edges(samples[name])
        for colour, (label, members) in zip(COLOURS, groups.items(), strict=False):
            counts = np.histogram(samples.loc[members, name].dropna(), edges)[0]
            bars = _bars(edges, counts, label, colour)
            figure.add_trace(bars.update(showlegend=place == 0), row, column)
        _add_cuts(figure, cuts.get(name, Cut()), row, column)
    figure.update_layout(barmode="stack", bargap=0.04)
    figure.update_yaxes(title_text="people", col=1)
    return _styled(figure, 90 + 210 * n_rows)


def variant_metrics_figure(variants: Mapping[str, Histogram]) -> go.Figure | None:
    """Histogram of every variant metric, counts on a logarithmic axis; cuts as red lines."""
    if not variants:
        return None
    n_rows = -(-len(variants) // 2)
    figure = make_subplots(n_rows, 2, subplot_titles=list(variants))
    for place, histogram in enumerate(variants.values()):
        row, column = place // 2 + 1, place % 2 + 1
        bars = _bars(histogram.edges, histogram.counts, "variants", COLOURS[0]).update(showlegend=False)
        figure.add_trace(bars, row, column)
        _add_cuts(figure, histogram.cut, row, column)
    figure.update_layout(bargap=0.04)
    figure.update_yaxes(type="log", dtick=1)
    figure.update_yaxes(title_text="variants", col=1)
    return _styled(figure, 90 + 210 * n_rows)


def sex_figure(samples: pd.DataFrame, cut: Cut) -> go.Figure | None:
    """F statistic on X by reported sex, with the limits of both sexes."""
    if "f_stat" not in samples or samples["f_stat"].isna().all():
        return None
    figure = make_subplots(1, 1)
    edges = _edges(samples["f_stat"], n_bins=60)
    for colour, (label, members) in zip(COLOURS, _groups(samples, "reported_sex").items(), strict=False):
        counts = np.histogram(samples.loc[members, "f_stat"].dropna(), edges)[0]
        figure.add_trace(_bars(edges, counts, f"reported {label}", colour), 1, 1)
    _add_cuts(figure, cut, 1, 1)
    figure.update_layout(barmode="stack", bargap=0.04)
    figure.update_xaxes(title_text="inbreeding coefficient F on X outside the pseudoautosomal regions")
    figure.update_yaxes(title_text="people")
    return _styled(figure, 340)


def components_figure(components: pd.DataFrame) -> go.Figure:
    """The first two components three times: coloured by ancestry, by batch and by status."""
    views = {"ancestry": "ancestry", "batch": "batch", "status": "status"}
    shown = components.assign(status=components["is_case"].map({1: "case", 0: "control"}))
    if len(shown) > MAX_POINTS:
        shown = shown.sample(MAX_POINTS, random_state=0)
    views = {name: title for name, title in views.items() if name in shown and shown[name].notna().any()}
    figure = make_subplots(1, len(views), subplot_titles=[f"by {title}" for title in views.values()])
    for place, name in enumerate(views):
        for colour, (label, members) in zip(COLOURS, _groups(shown, name).items(), strict=False):
            points = shown.loc[members]
            marker = {"size": 4, "color": colour, "opacity": 0.65}
            legend = {"legendgroup": name, "legendgrouptitle": {"text": name}, "name": label}
            trace = go.Scatter(
                x=points["PC1"], y=points["PC2"], mode="markers", marker=marker, hoverinfo="name", **legend
            )
            figure.add_trace(trace, 1, place + 1)
    figure.update_xaxes(title_text="PC1")
    figure.update_yaxes(title_text="PC2", col=1)
    return _styled(figure, 380)


def kinship_figure(kinship: pd.DataFrame, min_kinship_family: float | None) -> go.Figure | None:
    """Pairs by kinship, coloured by relationship, counts on a logarithmic axis."""
    if kinship.empty:
        return None
    figure = make_subplots(1, 1)
    edges = np.linspace(min(0.0, kinship["kinship"].min()), max(0.52, kinship["kinship"].max()), 80)
    groups = _groups(kinship, "relationship")
    for colour, (label, members) in zip(COLOURS, groups.items(), strict=False):
        counts = np.histogram(kinship.loc[members, "kinship"], edges)[0]
        figure.add_trace(_bars(edges, counts, label, colour), 1, 1)
    _add_cuts(figure, Cut(low=min_kinship_family), 1, 1)
    # Not stacked: on a logarithmic axis only a bar that starts at the axis can be read.
    figure.update_layout(barmode="overlay", bargap=0.04)
    figure.update_xaxes(title_text="kinship coefficient")
    figure.update_yaxes(title_text="pairs", type="log", dtick=1)
    return _styled(figure, 340)


def burden_figure(burden: pd.DataFrame) -> go.Figure:
    """Mean burden of cases and controls with 95 % intervals, one panel with its own axis per channel."""
    channels = list(dict.fromkeys(burden["channel"]))
    n_columns = min(4, len(channels))
    n_rows = -(-len(channels) // n_columns)
    figure = make_subplots(n_rows, n_columns, subplot_titles=channels)
    for place, channel in enumerate(channels):
        for colour, status in zip(COLOURS, ("control", "case"), strict=False):
            row = burden[(burden["channel"] == channel) & (burden["status"] == status)].iloc[0]
            error = {"type": "data", "array": [row["high"] - row["mean"]], "thickness": 2, "width": 8}
            trace = go.Scatter(
                x=[status],
                y=[row["mean"]],
                error_y=error,
                mode="markers",
                marker={"size": 10, "color": colour},
                name=status,
                showlegend=place == 0,
            )
            figure.add_trace(trace, place // n_columns + 1, place % n_columns + 1)
    figure.update_xaxes(range=[-0.6, 1.6])
    figure.update_yaxes(title_text="mean per person", col=1)
    return _styled(figure, 90 + 230 * n_rows)


def _groups(frame: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    """Group name to row mask, in the order of names; the smallest share one group beyond the palette."""
    if column not in frame:
        return {"people": np.ones(len(frame), dtype=bool)}
    names = frame[column].astype(object).where(frame[column].notna(), "unknown").astype(str)
    order = names.value_counts().index.tolist()
    kept = order if len(order) <= len(COLOURS) else order[: len(COLOURS) - 1]
    groups = {name: (names == name).to_numpy() for name in sorted(kept)}
    if len(kept) < len(order):
        groups["others"] = (~names.isin(kept)).to_numpy()
    return groups


def _edges(values: pd.Series, n_bins: int = 40) -> np.ndarray:
    finite = values[np.isfinite(values.astype(float))].astype(float)
    low, high = float(finite.min()), float(finite.max())
    return np.linspace(low, high if high > low else low + 1.0, n_bins + 1)


def _bars(edges: np.ndarray, counts: Sequence[int] | np.ndarray, label: str, colour: str) -> go.Bar:
    return go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges) * 0.96,
        name=label,
        legendgroup=label,
        marker={"color": colour, "line": {"width": 0}},
    )


def _add_cuts(figure: go.Figure, cut: Cut, row: int, column: int) -> None:
    for value in (cut.low, cut.high):
        if value is not None:
            line = {"color": CUT_COLOUR, "width": 1.5, "dash": "dash"}
            figure.add_vline(x=value, line=line, row=row, col=column)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#2b2f36"},
        legend={"groupclick": "toggleitem", "itemsizing": "constant"},
    )
    figure.update_annotations(font_size=13)
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure
