"""The training report: one self-contained HTML file of what fit and evaluate left in a run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from contract.errors import InputError, fault
from train import figures
from train.bundle import FACTS_NAME
from train.evaluate import METRICS_NAME, PREDICTIONS_NAME
from train.fit import BUNDLE_NAME, HISTORY_NAME, RUN_NAME
from train.names import METRICS, interval_text

REPORT_NAME = "report.html"


def write_report(run: Path) -> Path:
    """Write report.html into the folder of an evaluated run and return its path.

    Raises
    ------
    InputError
        If the run has not been evaluated.
    """
    path = run / REPORT_NAME
    partial = path.with_suffix(".partial")
    partial.write_text(render_report(run), encoding="utf-8")
    partial.replace(path)
    return path


def render_report(run: Path) -> str:
    """The report's HTML; plotly is inlined once and nothing is loaded from outside."""
    metrics, history = _read(run / METRICS_NAME), _read(run / HISTORY_NAME)
    predictions = pd.read_parquet(run / PREDICTIONS_NAME)
    is_case_M = predictions["is_case"].to_numpy()
    probabilities = {name: predictions[name].to_numpy() for name in figures.NAMES if name in predictions}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("train", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure_html
    environment.filters["interval"] = interval_text
    return environment.get_template("report.html.j2").render(
        metrics=metrics,
        facts=_read(run / BUNDLE_NAME / FACTS_NAME),
        run=_read(run / RUN_NAME),
        metric_names=METRICS,
        models={name: figures.NAMES[name] for name in probabilities},
        settings=_flat(_read(run / BUNDLE_NAME / FACTS_NAME)["config"]),
        learning=figures.learning_figure(history, metrics["best_epoch"]),
        roc=figures.roc_figure(is_case_M, probabilities),
        precision_recall=figures.precision_recall_figure(is_case_M, probabilities),
        calibration=figures.calibration_figure(is_case_M, probabilities["cnn"]),
        scores=figures.score_figure(is_case_M, probabilities["cnn"]),
        n_epochs=len(history),
        plotly=get_plotlyjs(),
    )


def _figure_html(figure: go.Figure, name: str) -> Markup:
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displayModeBar": False, "responsive": True},
    )
    return Markup(html)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(fault(path, "whole file", found="no such file", wanted="an evaluated run")) from None
