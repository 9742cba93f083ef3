"""The ladder's table: metrics with intervals and differences to the network, as JSON and in a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.table import Table

from contract.config import digest
from contract.provenance import software_versions
from train.ladder_store import Cell
from train.names import interval_text, model_name
from train.pooled import (
    FoldScores,
    Pooled,
    draw_families,
    mean_over_seeds,
    pooled_auroc,
    pooled_average_precision,
)
from train.run_folder import BEFORE_NAMES, PACKAGES

if TYPE_CHECKING:
    from train.ladder import Ladder

LADDER_NAME = BEFORE_NAMES[2]
NETWORK = "network"
METRICS: dict[str, Callable[..., Pooled]] = {
    "auroc": pooled_auroc,
    "average_precision": pooled_average_precision,
}


@dataclass(frozen=True)
class Row:
    """A model: its cells by seed, one per fold; none, and a note why, where it is left out."""

    model: str
    cells: dict[int, list[Cell]] = field(default_factory=dict)
    tuned: str | None = None
    note: str | None = None

    @property
    def seconds(self) -> float:
        """Time of all its fits, those stored before included."""
        return sum(cell.seconds for parts in self.cells.values() for cell in parts)


def write_table(ladder: Ladder, rows: Sequence[Row], seeds: Sequence[int]) -> dict[str, Any]:
    """Judge all rows on the same draws of families and write `ladder.json`; returns its content."""
    design, config = ladder.design, ladder.config
    people = [np.flatnonzero(design.fold_M == fold) for fold in ladder.folds]
    weights = draw_families(
        [design.family_M[at] for at in people], config.evaluation.bootstrap_draws, config.seed
    )
    entries: list[dict[str, Any]] = []
    measured: dict[str, dict[str, Pooled]] = {}
    for row in rows:
        by_seed = [
            [FoldScores(design.is_case_M[at], cell.logit_N) for at, cell in zip(people, cells, strict=True)]
            for cells in row.cells.values()
        ]
        values = {name: [metric(folds, weights) for folds in by_seed] for name, metric in METRICS.items()}
        if by_seed:
            measured[row.model] = {name: mean_over_seeds(parts) for name, parts in values.items()}
        entries.append(_entry(row, measured.get(row.model), values["auroc"]))
    content = {
        "folds": list(ladder.folds),
        "seeds": list(seeds),
        "rows": entries,
        "differences": _differences(measured),
        "n_people": len(design),
        "n_cases": int(design.is_case_M.sum()),
        "bootstrap_draws": config.evaluation.bootstrap_draws,
        "permuted_labels": config.data.permute_labels,
        "manifest_digest": digest(ladder.manifest),
        "versions": software_versions(PACKAGES),
    }
    ladder.folder.mkdir(parents=True, exist_ok=True)
    partial = (ladder.folder / LADDER_NAME).with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(ladder.folder / LADDER_NAME)
    return content


def show_ladder(content: dict[str, Any]) -> Group:
    """The ladder in a terminal: the table, then what was tuned and what was left out."""
    beside = {row["rival"]: row for row in content["differences"] if row["metric"] == "auroc"}
    title = (
        f"{content['n_people']} people, {content['n_cases']} cases, out of fold; 95 % intervals over families"
    )
    table = Table("model", "AUROC", "average precision", "network minus model", "seconds", title=title)
    notes = []
    for row in content["rows"]:
        name = model_name(row["model"])
        if row["auroc"] is None:
            notes.append(f"{name}: left out, {row['note']}")
            continue
        difference = interval_text(beside[row["model"]], signed=True) if row["model"] in beside else ""
        table.add_row(
            name,
            interval_text(row["auroc"]),
            interval_text(row["average_precision"]),
            difference,
            f"{row['seconds']:.1f}",
        )
        if row["tuned"]:
            notes.append(f"{name}: {row['tuned']}")
        if len(row["auroc_by_seed"]) > 1:
            low, high = min(row["auroc_by_seed"]), max(row["auroc_by_seed"])
            notes.append(f"{name}: AUROC {low:.3f} to {high:.3f} over {len(row['auroc_by_seed'])} seeds")
    return Group(table, *notes)


def _entry(row: Row, metrics: dict[str, Pooled] | None, by_seed: Sequence[Pooled]) -> dict[str, Any]:
    intervals = {name: metrics[name].interval() if metrics else None for name in METRICS}
    return {
        "model": row.model,
        **intervals,
        "auroc_by_seed": [value.estimate for value in by_seed],
        "seconds": row.seconds,
        "tuned": row.tuned,
        "note": row.note,
    }


def _differences(measured: dict[str, dict[str, Pooled]]) -> list[dict[str, Any]]:
    if NETWORK not in measured:
        return []
    return [
        {"rival": rival, "metric": name, **(measured[NETWORK][name] - metrics[name]).interval()}
        for rival, metrics in measured.items()
        if rival != NETWORK
        for name in METRICS
    ]
