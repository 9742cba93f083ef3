"""`python -m deploy.bench.bench_etl [key=value ...]`: the ETL measured beside Hail's bare import.

Prints a table and writes build/figures/bench-etl.json.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from contract.config import build_config
from contract.errors import InputError
from deploy.bench.commands import CommandFailed
from deploy.bench.etl import measure_etl, simulate
from deploy.bench.machine import key_values, machine
from deploy.bench.scaling import measure_scaling
from deploy.bench.sizes import EtlSizes
from deploy.bench.table import etl_alone_table
from deploy.console import FIGURES, console, write_figures

FOLDER = Path("build/bench-etl")
NAME = "bench-etl"
Settings = Annotated[list[str] | None, typer.Argument(help="key=value for other sizes")]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    settings: Annotated[list[str] | None, typer.Argument(help="key=value for other sizes")] = None,
) -> None:
    """Measure the ETL on a simulated cohort, on halves of it and on a small file, in one run."""
    try:
        sizes = build_config(EtlSizes, key_values(settings or []), "command line")
    except InputError as error:
        console.print(str(error))
        raise typer.Exit(2) from None
    shutil.rmtree(FOLDER, ignore_errors=True)
    cohort = FOLDER / "cohort"
    try:
        simulated = simulate(cohort, people=sizes.people, genes=sizes.genes)
        figures = measure_etl(cohort, FOLDER) | {"simulate_seconds": simulated, "machine": machine()}
        write_figures(NAME, figures)
        if sizes.scaling:
            figures |= measure_scaling(cohort, FOLDER, figures, sizes)
            write_figures(NAME, figures)
    except CommandFailed as failure:
        console.print(f"[bold red]{failure}[/]; figures measured before it are in {FIGURES}/{NAME}.json")
        raise typer.Exit(1) from None
    console.print(etl_alone_table(figures))
    console.print(f"figures: {FIGURES}/{NAME}.json")


if __name__ == "__main__":
    app()
