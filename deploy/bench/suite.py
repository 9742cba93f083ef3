"""What the benchmarks share: settings, the parts in order, a table, figures as JSON."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import RenderableType

from contract.config import config_of
from contract.errors import InputError
from deploy.bench.commands import CommandFailed
from deploy.bench.etl import measure_etl, simulate
from deploy.bench.machine import machine
from deploy.bench.sizes import EtlSizes, TrainSizes
from deploy.console import FIGURES, console, write_figures

Settings = Annotated[list[str] | None, typer.Argument(help="key=value for other sizes")]
Figures = dict[str, Any]
Sizes = TypeVar("Sizes", bound=EtlSizes | TrainSizes)
Part = Callable[[Path, Sizes, Figures], Figures]
"""From the folder of a benchmark, its sizes and the figures measured so far to further ones."""


def run_suite(
    name: str,
    sizes: type[Sizes],
    settings: list[str] | None,
    parts: Iterable[Part[Sizes]],
    table: Callable[[Figures], RenderableType],
) -> None:
    """Measure part by part in build/NAME; print the table, write build/figures/NAME.json.

    Ends with status 2 where the settings have faults and with 1 where a measured command fails; figures
    of the parts before it stay.
    """
    try:
        chosen = config_of(sizes, settings or [])
    except InputError as error:
        console.print(str(error))
        raise typer.Exit(2) from None
    folder = Path("build") / name
    shutil.rmtree(folder, ignore_errors=True)
    figures: Figures = {"machine": machine()}
    try:
        for part in parts:
            figures |= part(folder, chosen, figures)
            write_figures(name, figures)
    except CommandFailed as failure:
        console.print(f"[bold red]{failure}[/]; figures measured before it are in {FIGURES}/{name}.json")
        raise typer.Exit(1) from None
    console.print(table(figures))
    console.print(f"figures: {FIGURES}/{name}.json")


def measure_cohort(folder: Path, sizes: EtlSizes, figures: Figures) -> Figures:
    """Simulate the cohort, which stays in the folder, and return the figures of the ETL on it."""
    seconds = simulate(folder / "cohort", people=sizes.people, genes=sizes.genes)
    return measure_etl(folder / "cohort", folder) | {"simulate_seconds": seconds}
