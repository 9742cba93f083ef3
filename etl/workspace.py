"""The folder of a run: one sub-folder for each step, with a record that says what it was made from."""

from __future__ import annotations

import json
import uuid
from typing import Any

from pydantic import Field

from contract.config import ConfigModel
from contract.manifest import LedgerEntry
from contract.storage import (
    absolute,
    exists,
    has_folders,
    join,
    list_entries,
    make_folder,
    read_whole,
    remove,
    rename_folder,
    write_whole,
)

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
    folder: str = Field("", description="sub-folder of the outputs, where the step's can't be renamed")


class Workspace:
    """Places of a run's steps: a path or URL.

    A step's record is what makes its outputs exist. Where folders can be renamed they lie beside it, and
    their folder gets the step's name when the step is finished. In an object store each attempt writes in a
    folder of its own, which the record names: what tasks of a run that was killed still write counts nowhere.
    """

    def __init__(self, root: str) -> None:
        self.root = absolute(root)
        self._renames = has_folders(root)

    def folder(self, step: str) -> str:
        """Where the outputs of a finished step lie."""
        record = None if self._renames else self.record(step)
        return join(self.root, step, record.folder) if record and record.folder else join(self.root, step)

    def begin(self, step: str) -> str:
        """An empty folder to write a step's outputs in; what stood there before stays in place."""
        if self._renames:
            partial = join(self.root, f"{step}.partial")
            remove(partial)
        else:
            partial = join(self.root, step, uuid.uuid4().hex[:12])
        make_folder(partial)
        return partial

    def finish(self, step: str, partial: str, record: Record) -> None:
        """Let the outputs of a step count, which lie in the folder that `begin` gave."""
        final, previous = (join(self.root, f"{step}{end}") for end in ("", ".previous"))
        if not self._renames:
            name = partial.rpartition("/")[2]
            record = record.model_copy(update={"folder": name})
            write_whole(join(final, RECORD_NAME), _content(record))
            for entry in list_entries(final):
                if entry not in (RECORD_NAME, name):
                    remove(join(final, entry))
            return
        write_whole(join(partial, RECORD_NAME), _content(record))
        remove(previous)
        if exists(final):
            rename_folder(final, previous)
        rename_folder(partial, final)
        remove(previous)

    def record(self, step: str) -> Record | None:
        """The record of a finished step; None where there is none or it can't be read."""
        try:
            content = json.loads(read_whole(join(self.root, step, RECORD_NAME)))
            return Record.model_validate(content)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None


def _content(record: Record) -> bytes:
    return record.model_dump_json(indent=1).encode()
