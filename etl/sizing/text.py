"""The size of a cluster as a table for people, and the command that asks for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from etl.config import EtlConfig
from etl.sizing.cluster import ClusterSize, size_cluster
from etl.sizing.costs import SOURCE
from etl.sizing.inputs import Cohort, cohort_of
from etl.sizing.scale import Scale, scale_of

WIDTH = 22


def sized(
    config: EtlConfig, words: Sequence[str], *, people: int | None, variants: int | None, cores: int | None
) -> list[str]:
    """What `plan --cluster` prints.

    Parameters
    ----------
    config
        Of the run.
    words
        Its file and the settings that replace others, as on the command line.
    people, variants, cores
        As named; None: the calls' own, an estimate, and a choice.

    Raises
    ------
    InputError
        If the calls can't be read, or don't tell what was not named.
    """
    cohort = cohort_of(config, people=people, variants=variants)
    scale = scale_of(cohort.people, cohort.variants)
    size = size_cluster(scale, cores=cores, stored_bytes=cohort.stored_bytes)
    return sizing_lines(cohort, scale, size, submit_line(size, words))


def sizing_lines(cohort: Cohort, scale: Scale, size: ClusterSize, submit: str) -> list[str]:
    """The table, what it rests on, and the command as its last line."""
    rows = [
        ("people × variants", f"{scale.people:,} × {scale.variants:,} ({cohort.told})"),
        ("calls listed", f"{scale.calls_per_person:,.0f} of a person: all but passing reference calls"),
        *_machines(size),
        ("shuffle", _bytes(size.shuffle_bytes)),
        ("steps", f"{_bytes(size.steps_bytes)}, of which sparse cohort {_bytes(size.cohort_bytes)}"),
        ("dataset", f"{_bytes(size.dataset_bytes)}, of {scale.genes:,} genes"),
        ("expected time", _times(size)),
    ]
    if cohort.exports_matrix_table:
        rows.insert(-1, ("MatrixTable", f"{size.export_partitions:,} partitions, not in the time"))
    slowest = sorted(size.step_seconds.items(), key=lambda step: -step[1])[:3]
    told = ", ".join(f"{name} {_time(seconds)}" for name, seconds in slowest)
    return [
        *(f"{name:{WIDTH}} {text}" for name, text in rows),
        f"{'longest steps':{WIDTH}} {told}",
        "",
        SOURCE,
        "",
        submit,
    ]


def submit_line(size: ClusterSize, words: Sequence[str]) -> str:
    """The command that runs the ETL on YARN with what was sized."""
    settings = {
        "spark.executor.memoryOverhead": f"{size.executor_overhead_mib}m",
        "spark.driver.memoryOverhead": f"{size.driver_overhead_mib}m",
        "spark.sql.shuffle.partitions": str(size.shuffle_partitions),
    }
    words = [
        *("deploy/submit_etl.sh", "--master", "yarn"),
        *("--num-executors", str(size.executors), "--executor-cores", str(size.executor_cores)),
        *("--executor-memory", f"{size.executor_heap_mib}m", "--driver-memory", f"{size.driver_heap_mib}m"),
        *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
        *words,
    ]
    return shlex.join(words)


def _machines(size: ClusterSize) -> list[tuple[str, str]]:
    executor = size.executor_heap_mib + size.executor_overhead_mib
    driver = size.driver_heap_mib + size.driver_overhead_mib
    return [
        ("partitions", f"{size.partitions:,} of the ingest step, {size.shuffle_partitions:,} of a shuffle"),
        ("executors", f"{size.executors:,} of {size.executor_cores} cores: {size.cores:,} cores"),
        (
            "memory of an executor",
            f"{executor:,} MiB: {size.executor_heap_mib:,} for Java, {size.executor_overhead_mib:,} beside "
            "it for Python workers (spark.executor.memoryOverhead)",
        ),
        (
            "memory of the driver",
            f"{driver:,} MiB: {size.driver_heap_mib:,} for Java, {size.driver_overhead_mib:,} for its Python",
        ),
    ]


def _times(size: ClusterSize) -> str:
    low, high = size.seconds_range
    return (
        f"{_time(size.seconds)} ({_time(low)} to {_time(high)}), {size.core_hours:,.1f} core hours; "
        f"{_time(size.start_seconds)} of it start-up"
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _bytes(count: float) -> str:
    for name, unit in (("TB", 1e12), ("GB", 1e9)):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{max(count / 1e6, 0.1):,.1f} MB"
