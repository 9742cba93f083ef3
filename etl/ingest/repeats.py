"""Rows of the same variant, from one file or several: the first stays, the others are counted and removed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sql

from contract.storage import hadoop_name, join, replaced_whole
from etl.cohort.parts import part_name
from etl.cohort.schema import COHORT_SCHEMA, KEY
from etl.frames import read_arrow

REASONS = ("repeated", "repeated_with_other_calls")


def remove_repeats(spark: SparkSession, folder: str, keys_V: NDArray[np.uint64]) -> dict[str, int]:
    """Remove all but the first row of each variant from the cohort's part files.

    The first is the one that comes first in the order of the files and of their records. A repeat whose
    listed calls differ from the first one's is told apart: such files disagree.

    Parameters
    ----------
    spark
        Where rows are compared.
    folder
        Of the part files.
    keys_V
        Digests of all rows' names: where all differ nothing is read.

    Returns
    -------
    dict
        Rows removed, by `REASONS`.
    """
    counts = dict.fromkeys(REASONS, 0)
    if len(np.unique(keys_V)) == len(keys_V):
        return counts
    rows = spark.read.parquet(hadoop_name(folder))
    # Names alone first: lists are read of the few variants that stand there more than once.
    repeated = rows.groupBy(*KEY).agg(sql.count("*").alias("n")).where("n > 1").select(*KEY)
    by_part = _later_rows(rows.join(repeated, list(KEY), "left_semi")).collect()
    for row in by_part:
        counts["repeated_with_other_calls"] += row["n_differ"]
        counts["repeated"] += len(row["variants"]) - row["n_differ"]
    if by_part:
        parts = [(row["part"], row["variants"]) for row in by_part]
        spark.sparkContext.parallelize(parts, len(parts)).foreach(partial(_remove_rows, folder=folder))
    return counts


def _later_rows(rows: DataFrame) -> DataFrame:
    """By part: the numbers of rows that an earlier one repeats, and how many differ from it."""
    window = Window.partitionBy(*KEY).orderBy("variant")
    calls = sql.xxhash64("person", "call")
    ranked = rows.select(
        "variant",
        sql.row_number().over(window).alias("rank"),
        (calls != sql.first(calls).over(window)).cast("long").alias("differs"),
    )
    part = sql.shiftright("variant", 32).cast("int").alias("part")
    later = ranked.where("rank > 1").groupBy(part)
    return later.agg(sql.collect_list("variant").alias("variants"), sql.sum("differs").alias("n_differ"))


def _remove_rows(part: tuple[int, Iterable[int]], *, folder: str) -> None:
    number, variants = part
    path = join(folder, part_name(number))
    table = read_arrow(path, COHORT_SCHEMA.names)
    later = pc.is_in(table.column("variant"), value_set=pa.array(list(variants), pa.int64()))
    kept = table.filter(pc.invert(later))
    with replaced_whole(path) as partial_path:
        pq.write_table(kept, partial_path, compression="zstd")
