"""Parts of `make truth-evidence` beside the table of models: coverage of intervals, faults for the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from contract.config import digest
from deploy.console import console
from deploy.evidence.cells import Cell, CellStore
from deploy.evidence.coverage import CELLS, coverage
from deploy.evidence.faults import CLEAN_SEEDS, FAULTS, caught, passes

WORK = Path("build/truth-evidence/audit")
Work = tuple[str, Callable[[], Cell]]
"""Name of a cell and what makes it."""


def coverage_cells() -> Iterator[Work]:
    """Share of simulated test folds whose stated interval of the AUROC holds the truth, by kind of fold."""

    def work(kind: Any) -> Cell:
        stated = coverage(0, [kind], 1, metrics=()).iloc[0]  # the interval of the AUROC needs no draws
        return {"name": str(kind), "value": round(float(stated["share"]), 4), "method": stated["method"]}

    for kind in CELLS:
        yield str(kind), partial(work, kind)


def audit_cells() -> Iterator[Work]:
    """Whether the audit tells each planted fault, and which clean cohorts it lets pass."""
    for fault in FAULTS:
        yield fault, partial(_told, fault, partial(caught, fault, WORK))
    for seed in CLEAN_SEEDS:
        yield f"clean {seed}", partial(_told, f"clean {seed}", partial(passes, seed, WORK))


def _told(name: str, look: Callable[[], object]) -> Cell:
    return {"name": name, "value": look()}


PARTS: dict[str, Callable[[], Iterator[Work]]] = {"audit": audit_cells, "coverage": coverage_cells}


def run_part(part: str, store: CellStore, *, fresh: bool = False) -> None:
    """Make the cells of a part that are not finished."""
    for name, work in PARTS[part]():
        cell = store.make(*_cell(part, name), work, again=fresh)
        console.print(f"{part}, {name}: {cell['value']}", highlight=False)


def part_figures(store: CellStore) -> dict[str, dict[str, Any]]:
    """Name of each finished cell and its value, by part."""
    found: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        cells = [store.get(*_cell(part, name)) for name, _ in PARTS[part]()]
        found[part] = {cell["name"]: cell["value"] for cell in cells if cell is not None}
    clean = [found["audit"].pop(name) for name in list(found["audit"]) if name.startswith("clean ")]
    if clean:
        found["audit"]["clean cohorts that pass"] = f"{sum(clean)} of {len(clean)}"
    return found


def _cell(part: str, name: str) -> tuple[str, str]:
    words = "".join(letter if letter.isalnum() else "-" for letter in name)
    return f"{part}-{words}", digest([part, name])
