"""Passes over the cohort: numpy kernels on Arrow batches, run by Spark."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import add
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark import RDD
from pyspark.sql import DataFrame, SparkSession

from contract.storage import hadoop_name, join, list_files, make_folder, open_storage, replaced_whole
from etl.cohort.parts import file_name
from etl.frames import read_arrow

Result = TypeVar("Result")

BATCH_ROWS = 1024
"""Variants of a batch that a task reads itself: the lists of common ones are long."""

FEW_PARTS = 64
"""Results that the driver sums itself: a further round of tasks costs more."""

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
    frame = SparkSession.builder.getOrCreate().read.parquet(hadoop_name(path))
    return (frame.where(where) if where else frame).select(*columns)


def run_kernel(frame: DataFrame, kernel: Kernel, schema: str) -> DataFrame:
    """Apply a kernel to every partition; `schema` is a Spark DDL text of its result."""
    return frame.mapInArrow(kernel, schema)


@dataclass(frozen=True)
class Beside:
    """A column of another table, whose part files hold the same variants under the same names."""

    path: str
    """Its folder."""
    column: str

    def joined(self, part: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows whose `variant` has a value in the other table, with it as a further column."""
        other = read_arrow(join(self.path, file_name(part)), ["variant", self.column])
        variants, values = other["variant"].combine_chunks(), other[self.column].combine_chunks()
        for batch in batches:
            place = pc.index_in(batch.column("variant"), value_set=variants)
            found = pc.is_valid(place)
            rows = batch.filter(found)
            yield pa.RecordBatch.from_arrays(
                [*rows.columns, values.take(place.filter(found))], [*rows.schema.names, self.column]
            )


@dataclass(frozen=True)
class Parts:
    """Part files of a table of the cohort, and what tasks read of them."""

    path: str
    """Folder of Parquet files that a step wrote."""
    columns: Sequence[str]
    where: pc.Expression | None = None
    """Which rows; None: all."""
    beside: Beside | None = None
    """What to join by `variant`, which is then one of the columns."""

    def batches(self, part: str) -> Iterator[pa.RecordBatch]:
        """Rows of one part file."""
        filesystem, path = open_storage(part)
        rows = ds.dataset(path, format="parquet", filesystem=filesystem)
        batches: Iterator[pa.RecordBatch] = rows.to_batches(
            columns=list(self.columns), filter=self.where, batch_size=BATCH_ROWS, use_threads=False
        )
        return batches if self.beside is None else self.beside.joined(part, batches)

    def tasks(self) -> RDD[str]:
        """A task for each part file."""
        parts = list_files(self.path, "*.parquet")
        context = SparkSession.builder.getOrCreate().sparkContext
        return context.parallelize(parts, len(parts))


def map_parts(parts: Parts, work: Callable[[Iterator[pa.RecordBatch]], Result]) -> RDD[Result]:
    """One result for each part file, whose batches the task reads itself.

    The lists then never pass through Java, which is half of what a pass costs. For results that are summed
    (`joined`); where rows must be sorted or shuffled, take `read_cohort` and `run_kernel`.

    Parameters
    ----------
    parts
        What to read.
    work
        From batches to a result; a module's function, or a `partial` of one.
    """
    return parts.tasks().map(partial(_work_on, parts=parts, work=work))


def joined(results: RDD[Any]) -> Any:
    """The sum of results of parts; tasks sum those of many parts first: the driver need not hold them all."""
    depth = 1 if results.getNumPartitions() <= FEW_PARTS else 2
    return results.treeReduce(add, depth)


def _work_on(part: str, parts: Parts, work: Callable[[Iterator[pa.RecordBatch]], Result]) -> Result:
    return work(parts.batches(part))


def rewrite_parts(
    parts: Parts,
    out: str,
    schema: pa.Schema,
    work: Callable[[Iterator[pa.RecordBatch]], Generator[pa.RecordBatch, None, Result]],
) -> list[Result]:
    """Write a table beside a cohort, part by part, in tasks that read and write the parts themselves.

    Parameters
    ----------
    parts
        What to read.
    out
        Folder for parts of the same names; it does not exist yet. A part that ends without error is whole.
    schema
        Of the batches that are written.
    work
        Yields batches of `schema` for the batches read, and returns what it tells of the part.

    Returns
    -------
    list
        What `work` returned, in the order of the parts.
    """
    make_folder(out)
    task = partial(_rewrite, parts=parts, out=out, schema=schema, work=work)
    results: list[Result] = parts.tasks().map(task).collect()
    return results


def _rewrite(
    part: str,
    parts: Parts,
    out: str,
    schema: pa.Schema,
    work: Callable[[Iterator[pa.RecordBatch]], Generator[pa.RecordBatch, None, Result]],
) -> Result:
    batches = work(parts.batches(part))
    with (
        replaced_whole(join(out, file_name(part))) as path,
        pq.ParquetWriter(str(path), schema, compression="zstd") as writer,
    ):
        while True:
            try:
                writer.write_batch(next(batches))
            except StopIteration as end:
                result: Result = end.value
                return result


IS_GOOD_SITE = pc.list_value_length(pc.field("site_reasons")) == 0
"""Condition on `Parts`: the variant fails none of the rules that need no genotypes."""
