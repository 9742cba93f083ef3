"""Figures of the training report, as plotly figures; none shows a single person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from sklearn.metrics import precision_recall_curve, roc_curve

from train.metrics import Labels, Values
from train.names import model_name

COLOURS = {"cnn": "#3b6fb6", "logistic": "#d9822b", "covariates": "#3f9c6d"}
NAMES = {name: model_name(name) for name in COLOURS}
CASE_COLOUR, CONTROL_COLOUR, GUIDE_COLOUR = "#c23b3b", "#3b6fb6", "#9aa3af"


def learning_figure(history: Sequence[Mapping[str, float]], best_epoch: int) -> go.Figure:
    """Losses and validation AUROC by epoch; the line marks the epoch (from 1) whose weights were kept."""
    epochs = [entry["epoch"] + 1 for entry in history]
    figure = make_subplots(1, 2, subplot_titles=["loss (mean cross-entropy)", "validation AUROC"])
    for name, key, colour, column in (
        ("training", "training_loss", "#3b6fb6", 1),
        ("validation", "validation_loss", "#d9822b", 1),
        ("AUROC", "validation_auroc", "#d9822b", 2),
    ):
        line = go.Scatter(x=epochs, y=[entry[key] for entry in history], name=name, line={"color": colour})
        figure.add_trace(line.update(showlegend=column == 1), 1, column)
    for column in (1, 2):
        figure.add_vline(best_epoch, line={"color": GUIDE_COLOUR, "dash": "dot"}, row=1, col=column)
    figure.update_xaxes(title_text="epoch")
    return _styled(figure, 340)


def roc_figure(is_case_M: Labels, probabilities: Mapping[str, Values]) -> go.Figure:
    """True against false positive rate of each model on the test people."""
    figure = go.Figure()
    for name, score_M in probabilities.items():
        false_rate, true_rate, _ = roc_curve(is_case_M, score_M)
        figure.add_trace(_line(false_rate, true_rate, name))
    figure.add_trace(_guide([0, 1], [0, 1]))
    figure.update_xaxes(title_text="controls called cases")
    figure.update_yaxes(title_text="cases called cases")
    return _styled(figure, 420)


def precision_recall_figure(is_case_M: Labels, probabilities: Mapping[str, Values]) -> go.Figure:
    """Precision against recall of each model; the guide is the share of cases."""
    figure = go.Figure()
    for name, score_M in probabilities.items():
        precision, recall, _ = precision_recall_curve(is_case_M, score_M)
        figure.add_trace(_line(recall, precision, name))
    share = float(is_case_M.mean())
    figure.add_trace(_guide([0, 1], [share, share]))
    figure.update_xaxes(title_text="recall")
    figure.update_yaxes(title_text="precision", range=[0, 1.02])
    return _styled(figure, 420)


def calibration_figure(is_case_M: Labels, probability_M: Values, n_bins: int = 10) -> go.Figure:
    """Share of cases against mean probability in equal-width bins; bars are 95 % Wilson intervals."""
    bins = np.minimum((probability_M * n_bins).astype(int), n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    used = count > 0
    mean = np.bincount(bins, probability_M, n_bins)[used] / count[used]
    share = np.bincount(bins, is_case_M, n_bins)[used] / count[used]
    low, high = wilson(share, count[used])
    figure = go.Figure(
        go.Scatter(
            x=mean,
            y=share,
            mode="markers",
            marker={"size": 9, "color": COLOURS["cnn"]},
            error_y={"array": high - share, "arrayminus": share - low, "color": "#8aa9d6"},
            text=[f"{n} people" for n in count[used]],
            name=NAMES["cnn"],
        )
    )
    figure.add_trace(_guide([0, 1], [0, 1]))
    figure.update_xaxes(title_text="mean probability", range=[0, 1])
    figure.update_yaxes(title_text="share of cases", range=[0, 1.02])
    return _styled(figure, 420)


def score_figure(is_case_M: Labels, probability_M: Values) -> go.Figure:
    """Distribution of the network's probability in cases and in controls."""
    figure = go.Figure()
    for name, members, colour in (
        ("controls", is_case_M == 0, CONTROL_COLOUR),
        ("cases", is_case_M == 1, CASE_COLOUR),
    ):
        share, edges = np.histogram(probability_M[members], bins=25, range=(0, 1))
        middle = (edges[:-1] + edges[1:]) / 2
        bars = go.Bar(x=middle, y=share / max(members.sum(), 1), width=0.04, name=name)
        figure.add_trace(bars.update(marker={"color": colour, "opacity": 0.6}))
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(title_text="probability of being a case", range=[0, 1])
    figure.update_yaxes(title_text="share of people", tickformat=".0%")
    return _styled(figure, 420)


def wilson(
    share: NDArray[np.float64], count: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % interval of a binomial share (Wilson 1927)."""
    z = 1.959964
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return centre - half, centre + half


def _line(x: NDArray[np.float64], y: NDArray[np.float64], name: str) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines", name=NAMES[name], line={"color": COLOURS[name]})


def _guide(x: Sequence[float], y: Sequence[float]) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines", line={"color": GUIDE_COLOUR, "dash": "dot"}, showlegend=False)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    return figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 56, "r": 16, "t": 36, "b": 72},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        font={"family": "system-ui, sans-serif", "size": 13},
    )
