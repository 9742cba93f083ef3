"""Finished cells of the table: one model on one cohort of one seed, kept so that a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cell = dict[str, Any]


class CellStore:
    """Cells as JSON files beside the scores of their judges."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, digest: str) -> Cell | None:
        """The cell, where it is finished and was made from settings of this digest."""
        try:
            cell: Cell = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cell if cell.get("digest") == digest else None

    def make(self, name: str, digest: str, work: Callable[[], Cell], *, again: bool = False) -> Cell:
        """The finished cell, or what `work` returns; its `score_M`, if any, goes into a file of its own."""
        known = self.get(name, digest)
        if known is not None and not again:
            return known
        made = work()
        score_M = made.pop("score_M", None)
        if score_M is not None:
            with (self._folder / f"{name}.npy").open("wb") as stream:
                np.save(stream, np.asarray(score_M, dtype=np.float64))
        cell = {**made, "digest": digest}
        partial = self._folder / f"{name}.json.partial"
        partial.write_text(json.dumps(cell, indent=1) + "\n", encoding="utf-8")
        partial.rename(self._folder / f"{name}.json")
        return cell

    def scores(self, name: str) -> NDArray[np.float64]:
        """Scores of a finished cell's judges."""
        return np.asarray(np.load(self._folder / f"{name}.npy"), dtype=np.float64)
