"""The training report as one self-contained HTML file, of at most 2 MB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract.page.html import page_environment, render_page, write_page
from train.card import build_card, write_card
from train.names import METRICS, metric_name, model_name
from train.record import read_record
from train.report.explained import explained_words, list_rows
from train.report.genes import top_genes
from train.report.methods import kept_words, methods
from train.report.readings import readings_of
from train.report.sections import absent_texts, report_panels, usable
from train.report.verdict import verdict_of
from train.report.whiskers import rungs, strata_of
from train.report.words import cell_look, estimate_text, flat, interval_text, number_text, range_text

REPORT_NAME = "report.html"
MODELS = ("cnn", "logistic", "covariates")
"""Models of metrics.json, in the order of the table of scores."""


def write_report(run: Path) -> Path:
    """Write an evaluated run's report.html, and the CARD.md of its bundle; returns the report's path.

    Raises
    ------
    InputError
        If the run has not been evaluated, or a file in its folder is damaged.
    """
    path = run / REPORT_NAME
    write_page(render_report(run), str(path))
    write_card(run)
    return path


def render_report(run: Path) -> str:
    """The report's HTML; nothing is loaded from outside, and what the run lacks is said."""
    record = read_record(run)
    metrics = record.metrics
    environment = page_environment("train.report")
    environment.filters |= {"interval": interval_text, "estimate": estimate_text, "range": range_text}
    environment.filters |= {"number": number_text, "model": model_name, "look": cell_look}
    strata, n_hidden = strata_of(usable(record, record.audit))
    ladder = usable(record, record.ladder)
    genes = top_genes(record.known_genes) if record.known_genes is not None else []
    return render_page(
        environment,
        "report.html.j2",
        report_panels(record),
        metrics=metrics,
        facts=record.facts,
        run=record.run,
        verdict=verdict_of(record),
        increment=increment_of(metrics),
        scores=score_rows(metrics),
        models=[name for name in MODELS if name in metrics],
        ladder=ladder,
        rungs=rungs(ladder) if ladder else [],
        strata=strata,
        n_hidden=n_hidden,
        calibration=record.calibration,
        genes=genes,
        is_explained=record.genes is not None,
        gene_columns=list(dict.fromkeys(name for gene in genes for name in gene.values)),
        explained=explained_words(record.explanations),
        lists=list_rows(record.explanations),
        methods=methods(record),
        kept=kept_words(record),
        readings=readings_of(metrics),
        card=build_card(record),
        settings=flat(record.config),
        absent=absent_texts(record),
        n_epochs=len(record.history),
    )


def increment_of(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The network's AUROC less that of covariates alone; None where the model saw no covariates."""
    found = (metrics.get("increments") or {}).get("auroc")
    found = found or (metrics.get("auroc_differences") or {}).get("cnn - covariates")
    return dict(found) if found else None


def score_rows(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """Metrics in words: a row for each, with an entry for each model and the gain over covariates."""
    models = [name for name in MODELS if name in metrics]
    keys = list(METRICS) + [key for key in metrics["cnn"] if key not in METRICS]
    gains = metrics.get("increments") or {}
    return [
        {
            "metric": metric_name(key),
            **{name: interval_text(metrics[name][key]) if key in metrics[name] else "" for name in models},
            "gain": interval_text(gains[key]) if key in gains else "",
        }
        for key in keys
        if key in metrics["cnn"]
    ]
