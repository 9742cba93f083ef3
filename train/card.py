"""The model card: what a bundle is for, who it was made from, and what is known of its worth.

Sections follow Mitchell et al. 2019 and the model cards of Hugging Face. It is made from files of the run;
counts of people come without their small cells from `train.people_counts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from train.names import metric_name
from train.people_counts import MIN_CELL
from train.record import Record, read_record
from train.report.methods import methods
from train.report.verdict import verdict_of
from train.report.words import KINDS, interval_text, is_measured, joined
from train.run_folder import BUNDLE_NAME

CARD_NAME = "CARD.md"
SHOWN = (
    *("auroc", "average_precision", "balanced_accuracy", "accuracy", "brier"),
    *("calibration_slope", "expected_calibration_error", "liability_r2"),
)


@dataclass(frozen=True)
class CardTable:
    """A small table of a card, all of it words."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class CardPart:
    """A section of a card."""

    title: str
    paragraphs: Sequence[str]
    tables: Sequence[CardTable] = field(default_factory=tuple)


def write_card(run: Path) -> Path:
    """Write CARD.md into the bundle of an evaluated run and return its path.

    To be written anew after an audit: the card holds its verdict.

    Raises
    ------
    InputError
        If the run has not been evaluated, or a file in its folder is damaged.
    """
    record = read_record(run)
    path = run / BUNDLE_NAME / CARD_NAME
    partial = path.with_suffix(".partial")
    partial.write_text(card_markdown(record, build_card(record)), encoding="utf-8")
    partial.replace(path)
    return path


def build_card(record: Record) -> list[CardPart]:
    """The sections of a run's card."""
    return [
        _model(record),
        _intended_use(record),
        _training_data(record),
        CardPart("Training", methods(record)[1:2]),
        _evaluation(record),
        _audit(record),
        _limits(record),
        CardPart("Versions", methods(record)[3:4]),
    ]


def card_markdown(record: Record, parts: Sequence[CardPart]) -> str:
    """A card as Markdown, with the header of metadata that model hubs read."""
    auroc = record.metrics["cnn"]["auroc"]
    header: dict[str, Any] = {
        "library_name": "exoshard",
        "pipeline_tag": "tabular-classification",
        "tags": ["genomics", "exome", "rare-variants", "case-control"],
        "metrics": ["roc_auc"],
    }
    if is_measured(auroc):
        value = float(auroc["estimate"] if isinstance(auroc, Mapping) else auroc)
        header["model-index"] = [_index_entry(record, round(value, 4))]
    lines = ["---", yaml.safe_dump(header, sort_keys=False).strip(), "---", "", "# Model card", ""]
    for part in parts:
        lines += [f"## {part.title}", ""]
        for text in part.paragraphs:
            lines += [_plain(text), ""]
        for table in part.tables:
            lines += [*_markdown_table(table), ""]
    return "\n".join(lines)


def _index_entry(record: Record, auroc: float) -> dict[str, Any]:
    dataset = {"name": f"dataset {record.facts['manifest_digest']}, sealed fold", "type": "exoshard"}
    result = {
        "task": {"type": "tabular-classification"},
        "dataset": dataset,
        "metrics": [{"type": "roc_auc", "value": auroc}],
    }
    return {"name": "exoshard bundle", "results": [result]}


def _model(record: Record) -> CardPart:
    facts = record.facts
    kind = facts["model"]["kind"]
    channels = [channel["name"].replace("_", " ") for channel in facts["channels"]]
    return CardPart(
        "Model",
        [
            f"A score of case against control from rare-variant burdens by gene: "
            f"{KINDS.get(kind, f'a network of kind {kind}')}. It takes {len(channels)} channels "
            f"({joined(channels)}) of the genes in genes.parquet, on {facts['reference_genome']}, and "
            + (f"the covariates {joined(facts['covariates'])}." if facts["covariates"] else "no covariates.")
        ],
    )


def _intended_use(record: Record) -> CardPart:
    own = record.facts["cohort_covariates"]
    texts = [
        "Research on the genetics of the disease: ranking people of a cohort by rare-variant burden, and "
        "genes by what they carry. Whoever is scored must be called, filtered and annotated as the training "
        "cohort was.",
        "Not for diagnosis, prediction or any decision about a person. Not for cohorts of other ancestry, "
        "capture or calling without an evaluation there.",
    ]
    if own:
        texts.append(
            f"It depends on {joined(own)}, which mean nothing in another cohort: it scores the dataset "
            "that it was trained on alone."
        )
    return CardPart("Intended use", texts)


def _training_data(record: Record) -> CardPart:
    people = record.people
    if people is None:
        where = record.config["data"]["dataset"]
        text = f"Not counted: the dataset that was trained on is not at {where}."
        return CardPart("Training data", [text])
    unknown = _cell(people["unknown"])
    shown = {name: groups for name, groups in people["groups"].items() if set(groups) != {"unknown"}}
    absent = [name for name in people["groups"] if name not in shown]
    text = (
        f"{people['training']:,} people to train on and {people['validation']:,} to choose by, "
        f"{people['cases']:,} cases and {people['controls']:,} controls; status unknown: {unknown}. "
        f"Numbers of people from 1 to {MIN_CELL - 1} are not given, nor those that would give them away."
    )
    if absent:
        text += f" Not known: {joined(absent)}."
    tables = [_group_table(name, groups, people) for name, groups in shown.items()]
    return CardPart("Training data", [text], tables)


def _group_table(name: str, groups: Mapping[str, Any], people: Mapping[str, Any]) -> CardTable:
    rows = [
        [group, *(_cell(counts[status], people[status]) for status in ("cases", "controls"))]
        for group, counts in groups.items()
    ]
    return CardTable(f"People by {name}", [name, "cases", "controls"], rows)


def _evaluation(record: Record) -> CardPart:
    metrics = record.metrics
    others = [name for name in ("logistic", "covariates") if name in metrics]
    header = ["metric", "network", *(f"{name.replace('logistic', 'logistic regression')}" for name in others)]
    rows = [
        [
            metric_name(key),
            *(interval_text(metrics[name][key]) if key in metrics[name] else "" for name in ("cnn", *others)),
        ]
        for key in SHOWN
        if key in metrics["cnn"]
    ]
    reads = len(metrics.get("readings") or metrics.get("test_fold_reads") or [])
    text = (
        f"In the sealed fold, which nothing was fitted on: {metrics['n_test']:,} people, "
        f"{metrics['n_cases']:,} cases and {metrics['n_controls']:,} controls of {metrics['n_families']:,} "
        f"families. It was read {'once' if reads == 1 else f'{reads} times'}."
    )
    return CardPart("Evaluation", [text], [CardTable("Estimates with 95 % intervals", header, rows)])


def _audit(record: Record) -> CardPart:
    verdict = verdict_of(record)
    texts = [" ".join(filter(None, [verdict.sentence, verdict.means, verdict.advice]))]
    failed = [check.title for check in verdict.failed]
    if failed:
        texts.append(f"Checks that failed: {joined(failed)}.")
    return CardPart("Verdict of the audit", texts)


def _limits(record: Record) -> CardPart:
    metrics = record.metrics
    share = metrics["n_cases"] / metrics["n_test"]
    texts = [
        f"{share:.0%} of the people judged are cases, which a population does not have: probabilities hold "
        "for that share.",
        "Intervals are those of one cohort. They say nothing of how the cohort, or its quality control, was "
        "chosen.",
    ]
    if metrics.get("permuted_labels"):
        texts.insert(0, "Labels were permuted: this model is a null run and has learned chance alone.")
    if record.calibration is None:
        texts.append("Probabilities are not calibrated: read them as ranks.")
    return CardPart("Limits", texts)


def _cell(count: int | None, total: int = 0) -> str:
    if count is None:
        return "not given"
    return f"{count:,} ({count / total:.1%})" if total else f"{count:,}"


def _markdown_table(table: CardTable) -> list[str]:
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    return [f"**{_plain(table.caption)}**", "", *("| " + " | ".join(map(_plain, row)) + " |" for row in rows)]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: names of batches and genes are a user's."""
    if text == "---":
        return text
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
