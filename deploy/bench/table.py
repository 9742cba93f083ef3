"""The figures of a benchmark as a table for people."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.table import Table

COLUMNS = ("seconds", "peak MB", "beside it")
LOADERS = {
    "gather": "int8 rows from memory",
    "arrow_cached": "arrow, from its cache",
    "petastorm_cached": "Petastorm, from its cache",
    "arrow_streaming": "arrow, from Parquet",
    "petastorm_streaming": "Petastorm, from Parquet",
    "plain_petastorm": "petastorm.pytorch.DataLoader, dense lists",
}
RATIOS = {
    "cached_over_gather": "cached ÷ rows from memory",
    "streaming_over_gather": "from Parquet ÷ rows from memory",
    "over_plain_petastorm": "Petastorm, from Parquet ÷ plain Petastorm",
    "one_rank_speedup": "one rank, one thread ÷ plain torch layers",
    "horovod_over_ddp": "two ranks: Horovod ÷ DDP",
    "scaling_two_ranks": "two ranks ÷ one, a thread each",
}
RATES = {
    "one_rank_people_per_second": "training, one rank, one thread",
    "plain_layers_people_per_second": "  plain torch layers",
    "horovod_people_per_second": "  two ranks, Horovod",
    "ddp_people_per_second": "  two ranks, DDP",
    "paper_people_per_second": "  two ranks, the published network",
}
BYTES = {
    "bytes_per_step": "Horovod",
    "ddp_bytes_per_step": "DDP",
    "half_bytes_per_step": "Horovod, float16",
    "paper_bytes_per_step": "Horovod, the published network",
}
Row = tuple[str, dict[str, str]]


def figures_table(figures: dict[str, Any]) -> Group:
    """Return a row for each figure, in the order of measuring, without the parts that were not measured."""
    table = Table(title="measured in one run")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, cells in _etl_rows(figures):
        table.add_row(name, *(cells.get(column, "") for column in COLUMNS))
    return Group(table, train_table(figures["training"])) if "training" in figures else Group(table)


def _etl_rows(figures: dict[str, Any]) -> Iterator[Row]:
    if "etl" not in figures:
        return
    etl, sizes = figures["etl"], figures["sizes"]
    yield f"ETL: {sizes['cohort_people']:,} × {sizes['cohort_genes']:,} genes", {}
    yield "  simulating them", {"seconds": f"{etl['simulate_seconds']:.1f}"}
    yield "  bare import and write", _cost(etl["bare_import_seconds"], etl["bare_import_peak_rss_mb"])
    times = {"beside it": f"{etl['etl_ratio']:.2f} × bare"}
    yield "  whole ETL", _cost(etl["etl_seconds"], etl["peak_rss_mb"]) | times
    for step, seconds in etl["step_seconds"].items():
        yield f"    {step}", {"seconds": f"{seconds:.1f}"}


def etl_alone_table(figures: dict[str, Any]) -> Table:
    """Return the table of `make bench-etl`: what was measured, and the figure with its unit."""
    table = Table("", "figure", "× bare import", title="the ETL, measured in one run", title_justify="left")
    for row in (*_etl_times(figures), *_etl_rates(figures), *_etl_scaling(figures)):
        table.add_row(*row)
    return table


def gene_tables(figures: dict[str, Any]) -> Group:
    """Return the table of the ETL, and one of what follows quality control."""
    table = Table("", "seconds", "", title="from variants to the dataset", title_justify="left")
    for row in (*_aggregation(figures), *_like(figures), *_export(figures)):
        table.add_row(*row)
    return Group(etl_alone_table(figures), table)


def _aggregation(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    if "aggregation_seconds" not in figures:
        return
    rate = f"{figures['aggregation_people_genes_per_second'] / 1e6:.2f} million people × genes/s"
    yield "aggregation", f"{figures['aggregation_seconds']:.1f}", rate
    yield "  with masks and dataset", f"{figures['to_dataset_seconds']:.1f}"
    slower = f"{figures['aggregation_of_hail']:.1f} times ours"
    yield "Hail: group_rows_by, entries", f"{figures['hail_aggregation_seconds']:.1f}", slower


def _like(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    titles = {
        "like": "one new person by the cohort",
        "like_half_the_variants_of_the_person": "  with half the person's variants",
        "like_half_the_variants_of_the_cohort": "  and half of the cohort's",
    }
    for name, title in titles.items():
        if run := figures.get(name):
            after = run["seconds"] - run["startup_seconds"]
            told = f"{run['variants']:,} variants; {run['seconds']:.1f} with start-up"
            yield title, f"{after:.1f}", told


def _export(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    exome = figures.get("exome_export")
    for run in (*figures.get("export", ()), *([exome] if exome else ())):
        title = f"export of {run['people']:,} people, {run['non_zeros'] / 1e6:.1f} million non-zeros"
        size = f"{run['dataset_mb']:,.0f} MB, {run['share_of_dense_int8']:.3f} of dense int8"
        yield title, f"{run['seconds']:.1f}", f"{run['seconds_per_million']:.1f} s per million; {size}"


def _etl_times(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "cohort", f"{figures['people']:,} people × {figures['variants']:,} variants"
    yield "bare import and write, whole process", _seconds(figures["bare_import_seconds"])
    yield "bare import and write, alone", _seconds(figures["bare_write_seconds"])
    yield "ingest", _seconds(figures["ingest_seconds"]), f"{figures['ingest_ratio']:.2f}"
    yield "whole ETL", _seconds(figures["etl_seconds"]), f"{figures['etl_ratio']:.2f}"
    without = _seconds(figures["etl_seconds_without_kinship"])
    yield "  without kinship and components", without, f"{figures['etl_ratio_without_kinship']:.2f}"
    yield "  start-up", _seconds(figures["startup_seconds"])
    for step, seconds in figures["step_seconds"].items():
        yield f"  {step}", _seconds(seconds)


def _etl_rates(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "genotypes per second and core", f"{figures['genotypes_per_core_second'] / 1e6:.2f} million"
    yield "VCF text per second and core", f"{figures['text_mb_per_core_second']:.1f} MB"
    for name in ("vcf", "calls"):
        passes = figures[f"passes_over_{name}"]
        yield f"passes over the {name}", "not told" if passes is None else str(passes)
    yield "peak memory (shared pages once)", f"{figures['peak_rss_mb']:,.0f} MB"
    yield "cohort on disk", f"{figures['cohort_mb']:,.1f} MB"


def _etl_scaling(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name in ("people", "variants"):
        if half := figures.get(f"twice_the_{name}"):
            yield f"twice the {name}: ingest", f"{half['ingest_factor']:.2f} times"
            yield "  ETL without kinship", f"{half['etl_factor_without_kinship']:.2f} times"
    if small := figures.get("small_file"):
        yield f"one contig, {small['variants']:,} variants", _seconds(small["etl_seconds"])


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def train_table(figures: dict[str, Any]) -> Table:
    """Return the table of `make bench-train`."""
    sizes = figures["sizes"]
    title = f"{sizes['people']:,} people × {sizes['genes']:,} genes × 4 channels, measured in one run"
    table = Table("", "figure", title=title, title_justify="left")
    rates = {f"{name}_people_per_second": f"loading: {told}" for name, told in LOADERS.items()} | RATES
    for name, told in rates.items():
        table.add_row(told, f"{figures[name]:,.0f} people/s")
    table.add_section()
    for name, told in RATIOS.items():
        table.add_row(told, f"{figures[name]:.2f}")
    table.add_row("share of a step that waits for data, at most", f"{figures['waiting_share']:.1%}")
    table.add_section()
    for name, told in BYTES.items():
        table.add_row(f"bytes a step between two ranks: {told}", f"{figures[name] / 1e6:,.2f} MB")
    grown = f"{figures['rss_growth_mb']:+,.0f} MB, to {figures['rss_mb']:,.0f}"
    table.add_row("memory of a rank, from epoch 2 to 10", grown)
    return table


def _cost(seconds: float, peak_rss_mb: float) -> dict[str, str]:
    return {"seconds": f"{seconds:.1f}", "peak MB": f"{peak_rss_mb:,.0f}"}
