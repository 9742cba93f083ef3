"""All readings of the sealed fold that are known, whoever read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from train.report.words import is_measured


@dataclass(frozen=True)
class ReadingRow:
    """A reading in words."""

    time: str
    run: str
    model: str
    auroc: str
    recorded: str


def readings_of(metrics: Mapping[str, Any]) -> list[ReadingRow]:
    """Readings in metrics.json, oldest first; earlier versions kept their times alone."""
    return [_row(entry) for entry in metrics.get("readings") or metrics.get("test_fold_reads") or []]


def _row(entry: Mapping[str, Any] | str) -> ReadingRow:
    if isinstance(entry, str):
        return ReadingRow(entry, "this run", "", "", "")
    auroc = entry.get("auroc")
    return ReadingRow(
        time=str(entry.get("time", ""))[:19].replace("T", " "),
        run=str(entry.get("run") or ""),
        model=str(entry.get("model") or ""),
        auroc=f"{auroc:.3f}" if is_measured(auroc) and auroc is not None else "not finished",
        recorded=str(entry.get("recorded") or ""),
    )
