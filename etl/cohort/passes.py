"""Passes over the cohort: numpy kernels on Arrow batches, run by Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

Kernel = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""What a task does: batches of cohort rows in, batches of results out. Runs on executors: no Hail there."""


def read_cohort(path: str, columns: Sequence[str], where: str | None = None) -> DataFrame:
    """Columns of a cohort as a Spark frame; name only those that are needed, the others are not read.

    Parameters
    ----------
    path
        Folder that the ingest step wrote.
    columns
        Of `etl.cohort.schema.COHORT_SCHEMA`.
    where
        An SQL condition on the variants, such as "region = 'autosome'".
    """
    frame = SparkSession.builder.getOrCreate().read.parquet(path)
    return (frame.where(where) if where else frame).select(*columns)


def run_kernel(frame: DataFrame, kernel: Kernel, schema: str) -> DataFrame:
    """Apply a kernel to every partition; `schema` is a Spark DDL text of its result."""
    return frame.mapInArrow(kernel, schema)


GOOD_SITE = "size(site_reasons) = 0"
"""SQL condition: the variant fails none of the rules that need no genotypes."""
