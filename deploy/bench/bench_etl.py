"""`python -m deploy.bench.bench_etl [key=value ...]`: the ETL beside Hail's bare import and aggregation.

Prints a table and writes build/figures/bench-etl.json.
"""

import typer

from deploy.bench.genes import measure_aggregation, measure_export, measure_like
from deploy.bench.scaling import measure_scaling
from deploy.bench.sizes import GeneSizes
from deploy.bench.suite import Settings, measure_cohort, run_suite
from deploy.bench.table import gene_tables

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(settings: Settings = None) -> None:
    """Measure the ETL on a simulated cohort, on parts of it, on one new person and on drawn features."""
    parts = (measure_cohort, measure_aggregation, measure_like, measure_export, measure_scaling)
    run_suite("bench-etl", GeneSizes, settings, parts, gene_tables)


if __name__ == "__main__":
    app()
