"""`python -m deploy.bench.bench_etl [key=value ...]`: the ETL measured beside Hail's bare import.

Prints a table and writes build/figures/bench-etl.json.
"""

import typer

from deploy.bench.scaling import measure_scaling
from deploy.bench.sizes import EtlSizes
from deploy.bench.suite import Settings, measure_cohort, run_suite
from deploy.bench.table import etl_alone_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(settings: Settings = None) -> None:
    """Measure the ETL on a simulated cohort, on halves of it and on a small file, in one run."""
    run_suite("bench-etl", EtlSizes, settings, (measure_cohort, measure_scaling), etl_alone_table)


if __name__ == "__main__":
    app()
