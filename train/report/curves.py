"""What the scores of the sealed fold look like: curves, calibration, decisions, distributions, learning.

Curves stand on a fixed grid and bins of fewer than `MIN_CELL` people are left out, so that nobody's score
can be read from a figure or from the numbers behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from contract.page.panel import COLOURS, OTHERS_COLOUR, STATUS_COLOURS, Panel, rounded, styled
from train.metrics import Labels, Values
from train.names import model_name
from train.people_counts import MIN_CELL

MODEL_COLOURS = {"cnn": COLOURS[0], "logistic": COLOURS[1], "covariates": COLOURS[2]}
GRID = np.linspace(0, 1, 101)
HEIGHT = 360


def curve_panels(is_case_M: Labels, scores: Mapping[str, Values]) -> list[Panel]:
    """Receiver operating characteristic, and precision against recall, of each model."""
    roc, precision = go.Figure(), go.Figure()
    roc_table, precision_table = pd.DataFrame({"false_rate": GRID}), pd.DataFrame({"recall": GRID})
    for number, (name, score_M) in enumerate(scores.items()):
        colour = MODEL_COLOURS.get(name, COLOURS[3 + number % 5])
        false_rate, true_rate, _ = roc_curve(is_case_M, score_M)
        roc_table[name] = np.interp(GRID, false_rate, true_rate)
        # The curve comes with recall falling; interpolation wants it rising.
        found, recall, _ = precision_recall_curve(is_case_M, score_M)
        precision_table[name] = np.interp(GRID, recall[::-1], found[::-1])
        roc.add_trace(_line(GRID, roc_table[name], model_name(name), colour))
        precision.add_trace(_line(GRID, precision_table[name], model_name(name), colour))
    share = float(is_case_M.mean())
    roc.add_trace(_guide([0, 1], [0, 1]))
    precision.add_trace(_guide([0, 1], [share, share]))
    roc.update_xaxes(title_text="controls called cases").update_yaxes(title_text="cases called cases")
    precision.update_xaxes(title_text="recall").update_yaxes(title_text="precision", range=[0, 1.02])
    return [
        Panel("roc", "Receiver operating characteristic", styled(roc, HEIGHT), roc_table),
        Panel(
            "precision_recall",
            "Precision and recall; dotted: the share of cases",
            styled(precision, HEIGHT),
            precision_table,
        ),
    ]


def calibration_panel(is_case_M: Labels, probability_M: Values, n_bins: int = 10) -> Panel:
    """Share of cases against mean probability in equal-width bins, with 95 % Wilson intervals."""
    bin_M = np.minimum((probability_M * n_bins).astype(int), n_bins - 1)
    count = np.bincount(bin_M, minlength=n_bins)
    used = count >= MIN_CELL
    mean = np.bincount(bin_M, probability_M, n_bins)[used] / count[used]
    share = np.bincount(bin_M, is_case_M, n_bins)[used] / count[used]
    low, high = wilson(share, count[used])
    figure = go.Figure(
        go.Scatter(
            x=rounded(mean),
            y=rounded(share),
            mode="markers",
            marker={"size": 9, "color": COLOURS[0]},
            error_y={"array": rounded(high - share), "arrayminus": rounded(share - low), "color": COLOURS[4]},
            text=[f"{n} people" for n in count[used]],
            showlegend=False,
        )
    )
    figure.add_trace(_guide([0, 1], [0, 1]))
    figure.update_xaxes(title_text="mean probability", range=[0, 1])
    figure.update_yaxes(title_text="share of cases", range=[0, 1.02])
    table = pd.DataFrame(
        {"people": count[used], "mean_probability": mean, "share_of_cases": share, "low": low, "high": high}
    )
    title = f"Calibration of the network; bins of at least {MIN_CELL} people"
    return Panel("calibration", title, styled(figure, HEIGHT), table)


def decision_panel(curve: Sequence[Mapping[str, float]]) -> Panel:
    """Net benefit by threshold (Vickers and Elkin 2006) of the network, of calling everybody and nobody."""
    table = pd.DataFrame(curve)
    figure = go.Figure()
    lines = (
        ("network", model_name("network"), COLOURS[0]),
        ("all", "everybody called a case", COLOURS[1]),
        ("none", "nobody called a case", OTHERS_COLOUR),
    )
    for key, label, colour in lines:
        if key in table:
            figure.add_trace(_line(table["threshold"], table[key], label, colour))
    top = max(float(table.drop(columns="threshold").max().max()), 0.05)
    # Calling everybody a case falls without end towards a threshold of 1: what lies far below is no choice.
    figure.update_yaxes(title_text="net benefit", range=[-0.35 * top, 1.1 * top])
    figure.update_xaxes(title_text="threshold")
    return Panel("decision", "Net benefit by threshold", styled(figure, 320), table, wide=True)


def score_panel(is_case_M: Labels, probability_M: Values) -> Panel:
    """Distribution of the network's probability in cases and in controls."""
    n_bins = int(np.clip(len(is_case_M) // 20, 5, 25))
    figure, edges = go.Figure(), np.linspace(0, 1, n_bins + 1)
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:]})
    for label, value in (("control", 0), ("case", 1)):
        count = np.histogram(probability_M[is_case_M == value], edges)[0]
        shown = np.where(count >= MIN_CELL, count, 0)
        bars = go.Bar(
            x=rounded((edges[:-1] + edges[1:]) / 2),
            y=rounded(shown / max(int((is_case_M == value).sum()), 1)),
            width=1 / n_bins,
            name=f"{label}s",
            marker={"color": STATUS_COLOURS[label], "line": {"width": 0}},
            opacity=0.6,
        )
        figure.add_trace(bars)
        table[f"{label}s"] = shown
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title_text="probability of being a case", range=[0, 1])
    figure.update_yaxes(title_text="share of people", tickformat=".0%")
    title = f"Scores by status; bins of at least {MIN_CELL} people"
    return Panel("scores", title, styled(figure, HEIGHT), table)


def learning_panels(history: Sequence[Mapping[str, Any]], best_epoch: int | None) -> list[Panel]:
    """Losses and validation AUROC by epoch; the line marks the epoch (from 1) whose weights were kept."""
    table = pd.DataFrame(history)
    if "epoch" not in table:
        return []
    table = table.assign(epoch=table["epoch"].astype(int) + 1)
    found = []
    for name, title, series in (
        ("loss", "Loss by epoch (mean cross-entropy)", ("training_loss", "validation_loss")),
        ("validation_auroc", "AUROC of the validation folds by epoch", ("validation_auroc",)),
    ):
        known = [column for column in series if column in table]
        if not known:
            continue
        figure = go.Figure()
        for column in known:
            colour = COLOURS[0] if column.startswith("training") else COLOURS[1]
            label = column.split("_")[0]
            figure.add_trace(_line(table["epoch"], table[column], label, colour))
        if best_epoch:
            figure.add_vline(best_epoch, line={"color": OTHERS_COLOUR, "dash": "dot"})
        figure.update_xaxes(title_text="epoch", dtick=1 if len(table) <= 10 else None).update_layout(
            showlegend=len(known) > 1
        )
        found.append(Panel(f"learning_{name}", title, styled(figure), table[["epoch", *known]]))
    return found


def wilson(
    share: NDArray[np.float64], count: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % interval of a binomial share (Wilson 1927)."""
    z = 1.959964
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return centre - half, centre + half


def _line(x: Any, y: Any, label: str, colour: str) -> go.Scatter:
    return go.Scatter(x=rounded(x), y=rounded(y), mode="lines", name=label, line={"color": colour})


def _guide(x: Sequence[float], y: Sequence[float]) -> go.Scatter:
    line = {"color": OTHERS_COLOUR, "dash": "dot"}
    return go.Scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip")
