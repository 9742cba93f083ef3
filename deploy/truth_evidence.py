"""`make truth-evidence`: models judged on simulated cohorts whose truth is known.

Runs in cells that are kept under build/truth-evidence/cells: a stopped run goes on. Prints tables and writes
build/figures/truth-evidence.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.console import console, show, write_figures
from deploy.evidence.cells import Cell, CellStore
from deploy.evidence.cohorts import Truth, open_cohort
from deploy.evidence.grid import PLANNED, Planned, planned
from deploy.evidence.models import Fitting, is_known
from deploy.evidence.parts import PARTS, part_figures, run_part
from deploy.evidence.table import (
    cohort_cell,
    differences,
    fit_cell,
    means,
    model_cell,
    null_figures,
    rows,
)

FOLDER = Path("build/truth-evidence")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    only: Annotated[
        list[str] | None, typer.Option(help="a cohort or a part (coverage, audit); may be given again")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="some of the seeds: 1,3")] = None,
    models: Annotated[str | None, typer.Option(help="some of the models: network,ridge")] = None,
    fresh: Annotated[bool, typer.Option(help="forget the chosen cells first")] = False,
) -> None:
    """Fit models on cohorts of known truth; print tables, write build/figures/truth-evidence.json."""
    names = only or [*(plan.name for plan in PLANNED), *PARTS]
    unknown = [name for name in names if name not in {*(plan.name for plan in PLANNED), *PARTS}]
    if unknown:
        known = ", ".join([*(plan.name for plan in PLANNED), *PARTS])
        raise typer.BadParameter(f"found {', '.join(unknown)}, wanted some of {known}")
    store = CellStore(FOLDER / "cells")
    for name in names:
        if name in PARTS:
            run_part(name, store, fresh=fresh)
        else:
            run_cohort(_narrowed(planned(name), seeds, models), store, FOLDER, fresh=fresh)
        write(store, PLANNED)
    tell(store, PLANNED)


def run_cohort(plan: Planned, store: CellStore, folder: Path, *, fresh: bool = False) -> None:
    """Make the cells of a cohort that are not finished.

    Parameters
    ----------
    plan
        The cohort with the seeds and models wanted.
    store
        Finished cells.
    folder
        Gets the cohort, one at a time, and the network's run.
    fresh
        Make finished cells again.
    """
    for seed in plan.seeds:
        names = {model: model_cell(plan, seed, model) for model in plan.models if is_known(model)}
        wanted = [model for model, cell in names.items() if fresh or store.get(*cell) is None]
        if not wanted:
            continue
        truth = open_cohort(plan.settings(seed), folder / "cohort")
        store.make(*cohort_cell(plan, seed), partial(_judged, truth))
        fitting = Fitting(truth, folder, plan.overrides, audited=plan.audited)
        for model in wanted:
            work = partial(fit_cell, fitting, plan, seed, model)
            cell = store.make(*names[model], work, again=fresh)
            console.print(_line(cell), highlight=False)


def _judged(truth: Truth) -> Cell:
    return {"oracle": truth.oracle_auroc, "score_M": truth.is_case_M[truth.judge_M]}


def write(store: CellStore, plans: Sequence[Planned]) -> None:
    """Write build/figures/truth-evidence.json from the cells that are finished."""
    write_figures("truth-evidence", figures(store, plans))


def figures(store: CellStore, plans: Sequence[Planned]) -> dict[str, Any]:
    """All that the finished cells say."""
    null = next((plan for plan in plans if plan.name == "null"), None)
    return {
        "rows": rows(store, plans),
        "differences": differences(store, plans),
        "null": null_figures(store, null) if null else {"seeds": 0, "holding": 0, "nothing_found": 0},
        **part_figures(store),
    }


def tell(store: CellStore, plans: Sequence[Planned]) -> None:
    """Print the tables."""
    found = figures(store, plans)
    columns = ("cohort", "model", "seeds", "auroc", "oracle", "precision", "seconds")
    lines = [tuple(_text(row[name]) for name in columns) for row in means(found["rows"])]
    show("AUROC on fresh people, mean over seeds", lines, columns)
    lines = [
        (row["cohort"], row["rival"], f"{row['estimate']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})")
        for row in found["differences"]
    ]
    show("our network less rivals, paired", lines, ("cohort", "rival", "AUROC (95 % interval)"))
    null = found["null"]
    console.print(
        f"cohorts without effect: {null['holding']} of {null['seeds']} intervals hold 0.5, "
        f"{null['nothing_found']} verdicts find nothing"
    )
    for part in PARTS:
        if found[part]:
            show(part, [(name, str(value)) for name, value in found[part].items()], ("", part))
    console.print("figures: build/figures/truth-evidence.json")


def _narrowed(plan: Planned, seeds: str | None, models: str | None) -> Planned:
    chosen = plan.seeds if seeds is None else tuple(int(seed) for seed in seeds.split(","))
    named = plan.models if models is None else tuple(models.split(","))
    return plan.model_copy(update={"seeds": chosen, "models": named})


def _line(cell: Cell) -> str:
    score = cell["note"] if cell["auroc"] is None else f"{cell['auroc']:.4f} (oracle {cell['oracle']:.4f})"
    time = "" if cell["seconds"] is None else f", {cell['seconds']:.0f} s"
    return f"{cell['cohort']}, seed {cell['seed']}, {cell['model']}: {score}{time}"


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    app()
