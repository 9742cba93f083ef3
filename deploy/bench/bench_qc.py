"""`python -m deploy.bench.bench_qc [key=value ...]`: what quality control costs, beside its limits.

The ETL as in `deploy.bench.bench_etl`, and kinship of more people. Prints tables and writes
build/figures/bench-qc.json.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Group
from rich.table import Table

from deploy.bench.commands import measure
from deploy.bench.scaling import measure_scaling
from deploy.bench.sizes import QcSizes
from deploy.bench.suite import Figures, Settings, measure_cohort, run_suite
from deploy.bench.table import etl_alone_table

LIMITS = {
    "etl_ratio": (1.2, "whole ETL by bare import"),
    "kinship_2000_seconds": (12.0, "kinship and components of 2,000 people, s"),
    "kinship_12000_seconds": (360.0, "kinship and components of 12,000 people × 10,000 markers, s"),
    "kinship_12000_peak_rss_mb": (4294.0, "  its peak memory, MB"),
    "growth_people": (2.2, "twice the people, ETL without kinship, times"),
    "growth_variants": (2.2, "twice the variants, ETL without kinship, times"),
}
"""For two cores and the default sizes: the most that a figure should be, and what it is."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(settings: Settings = None) -> None:
    """Measure quality control on a simulated cohort and on people drawn directly, in one run."""
    parts = (measure_cohort, measure_scaling, measure_growth, measure_kinship)
    run_suite("bench-qc", QcSizes, settings, parts, qc_tables)


def measure_growth(folder: Path, sizes: QcSizes, figures: Figures) -> Figures:
    """Return by how much the ETL without kinship takes longer on twice the people or variants."""
    return {
        f"growth_{name}": figures[f"twice_the_{name}"]["etl_factor_without_kinship"]
        for name in ("people", "variants")
        if f"twice_the_{name}" in figures
    }


def measure_kinship(folder: Path, sizes: QcSizes, figures: Figures) -> Figures:
    """Return what kinship and components cost on the cohort and on people drawn directly.

    Raises
    ------
    CommandFailed
        If it fails.
    """
    people, markers = sizes.kinship_people, sizes.kinship_markers
    drawn = folder / "kinship"
    drawn.mkdir(parents=True)
    arguments = ("deploy.bench.kinship", str(people), str(markers), str(drawn))
    measured = measure([sys.executable, "-m", *arguments])
    told = json.loads((drawn / "kinship.json").read_text(encoding="utf-8"))
    return {
        f"kinship_{sizes.people}_seconds": figures["kinship_seconds"],
        f"kinship_{people}_seconds": told.pop("seconds"),
        f"kinship_{people}_peak_rss_mb": measured.peak_rss_mb,
        f"kinship_{people}": told,
    }


def qc_tables(figures: Figures) -> Group:
    """Return the table of `make bench-etl`, and one of the figures that have a limit."""
    table = Table("", "figure", "limit", title="quality control beside its limits", title_justify="left")
    for row in _limited(figures):
        table.add_row(*row)
    return Group(etl_alone_table(figures), table)


def _limited(figures: Figures) -> Iterator[tuple[str, str, str]]:
    for name, (limit, title) in LIMITS.items():
        if name in figures:
            yield title, f"{figures[name]:,.2f}", f"{limit:,g}"


if __name__ == "__main__":
    app()
