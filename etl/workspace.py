"""The folder of a run: one sub-folder for each step, with a record that says what it was made from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field

from contract.config import ConfigModel
from contract.manifest import LedgerEntry

RECORD_NAME = "record.json"


class StepResult(ConfigModel):
    """What a step tells besides its files."""

    ledger: list[LedgerEntry] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict, description="figures for the report and the manifest")
    fitted_on: dict[str, str] = Field(default_factory=dict)
    warnings: list[str] = Field(
        default_factory=list, description="sentences that a reader must know before any figure"
    )


class Record(StepResult):
    """record.json of a finished step."""

    digest: str
    settings: dict[str, Any]
    software: dict[str, str]
    seconds: float


class Workspace:
    """Paths of a run's steps. A step's folder appears under its own name only when the step is finished."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def folder(self, step: str) -> Path:
        """Folder of a finished step."""
        return self.root / step

    def begin(self, step: str) -> Path:
        """An empty folder to write a step's outputs in; what stood there before stays in place."""
        partial = self.root / f"{step}.partial"
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        return partial

    def finish(self, step: str, record: Record) -> None:
        """Write the record and give the step's folder its final name."""
        partial, final, previous = (self.root / f"{step}{end}" for end in (".partial", "", ".previous"))
        (partial / RECORD_NAME).write_text(record.model_dump_json(indent=1), encoding="utf-8")
        if previous.exists():
            shutil.rmtree(previous)
        if final.exists():
            final.rename(previous)
        partial.rename(final)
        if previous.exists():
            shutil.rmtree(previous)

    def record(self, step: str) -> Record | None:
        """The record of a finished step; None where there is none or it can't be read."""
        try:
            content = json.loads((self.folder(step) / RECORD_NAME).read_text(encoding="utf-8"))
            return Record.model_validate(content)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
