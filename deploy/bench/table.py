"""The figures of a benchmark as a table for people."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

COLUMNS = ("seconds", "people/s", "peak MB", "beside it")
LOADERS = {
    "petastorm": "Petastorm",
    "petastorm_cached": "Petastorm, from its cache",
    "arrow": "arrow",
    "arrow_cached": "arrow, from its cache",
    "dense": "Petastorm, cache, made dense",
}
Row = tuple[str, dict[str, str]]


def figures_table(figures: dict[str, Any]) -> Table:
    """Return a row for each figure, in the order of measuring, without the parts that were not measured."""
    table = Table(title="measured in one run")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for rows in (_etl_rows(figures), _loader_rows(figures), _training_rows(figures)):
        for name, cells in rows:
            table.add_row(name, *(cells.get(column, "") for column in COLUMNS))
        table.add_section()
    return table


def _etl_rows(figures: dict[str, Any]) -> Iterator[Row]:
    if "etl" not in figures:
        return
    etl, sizes = figures["etl"], figures["sizes"]
    yield f"ETL: {sizes['cohort_people']:,} × {sizes['cohort_genes']:,} genes", {}
    yield "  simulating them", {"seconds": f"{etl['simulate_seconds']:.1f}"}
    yield "  bare import and write", _cost(etl["bare_import_seconds"], etl["bare_import_peak_rss_mb"])
    times = {"beside it": f"{etl['ratio']:.2f} × bare"}
    yield "  whole ETL", _cost(etl["etl_seconds"], etl["etl_peak_rss_mb"]) | times
    for step, seconds in etl["step_seconds"].items():
        yield f"    {step}", {"seconds": f"{seconds:.1f}"}


def _loader_rows(figures: dict[str, Any]) -> Iterator[Row]:
    if "loaders" not in figures:
        return
    loaders, sizes = figures["loaders"], figures["sizes"]
    yield f"loading: {sizes['people']:,} × {sizes['genes']:,} genes × 4", {}
    yield "  dense int8 rows from memory", _rate(loaders["memory_people_per_second"])
    for name, told in LOADERS.items():
        share = {"beside it": f"{loaders[f'{name}_share_of_memory']:.2f} × memory"}
        yield f"  {told}", _rate(loaders[f"{name}_people_per_second"]) | share


def _training_rows(figures: dict[str, Any]) -> Iterator[Row]:
    for run, measured in figures.get("training", {}).items():
        backend, ranks = run.rsplit("_", 1)
        waiting = {"beside it": f"{measured['waiting_share']:.1%} waiting"}
        cost = _cost(measured["seconds"], measured["peak_rss_mb"])
        yield f"training, {backend}, ranks: {ranks}", cost | _rate(measured["people_per_second"]) | waiting


def _cost(seconds: float, peak_rss_mb: float) -> dict[str, str]:
    return {"seconds": f"{seconds:.1f}", "peak MB": f"{peak_rss_mb:,.0f}"}


def _rate(people_per_second: float) -> dict[str, str]:
    return {"people/s": f"{people_per_second:,.0f}"}
