"""`python -m deploy.bench [etl] [data]`: measure, print a table, write build/figures/bench.json."""

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import torch
import typer

from contract.config import config_of
from contract.errors import InputError
from deploy.bench import bench_train
from deploy.bench.commands import CommandFailed
from deploy.bench.etl import measure_etl, simulate
from deploy.bench.machine import machine
from deploy.bench.sizes import Sizes
from deploy.bench.table import figures_table
from deploy.console import FIGURES, console, write_figures

FOLDER = Path("build/bench")

Part = Literal["etl", "data"]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    settings: Annotated[
        list[str] | None, typer.Argument(help="etl or data for one part alone; key=value for other sizes")
    ] = None,
) -> None:
    """Measure the ETL, the loaders and the training on one machine in one run."""
    words = settings or []
    parts = [word for word in words if "=" not in word] or list(get_args(Part))
    try:
        sizes = config_of(Sizes, [word for word in words if "=" in word])
        unknown = [part for part in parts if part not in get_args(Part)]
        if unknown:
            raise InputError(f"command line: part: found {unknown[0]}, wanted etl or data")
    except InputError as error:
        console.print(str(error))
        raise typer.Exit(2) from None
    shutil.rmtree(FOLDER, ignore_errors=True)
    figures: dict[str, Any] = {"machine": machine() | {"gpu": _gpu()}, "sizes": sizes.model_dump()}
    try:
        for part in parts:
            figures |= {"etl": _measure_etl(sizes)} if part == "etl" else _measure_data(sizes)
            write_figures("bench", figures)
    except CommandFailed as failure:
        console.print(f"[bold red]{failure}[/]; figures measured before it are in {FIGURES}/bench.json")
        raise typer.Exit(1) from None
    console.print(figures_table(figures))
    console.print(f"figures: {FIGURES}/bench.json")


def _measure_etl(sizes: Sizes) -> dict[str, Any]:
    cohort = FOLDER / "cohort"
    seconds = simulate(cohort, people=sizes.cohort_people, genes=sizes.cohort_genes)
    return measure_etl(cohort, FOLDER) | {"genes": sizes.cohort_genes, "simulate_seconds": seconds}


def _measure_data(sizes: Sizes) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for part in bench_train.PARTS:
        figures |= part(FOLDER, sizes, figures)
    return {"training": figures}


def _gpu() -> str | None:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


if __name__ == "__main__":
    app()
