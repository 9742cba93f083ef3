"""Joins a table by contig, position and alleles to the variants of a cohort, in Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from contract.storage import hadoop_name, join, make_folder, replaced_whole
from etl.annotate.part_rows import PART_BITS
from etl.cohort.parts import part_name
from etl.cohort.passes import run_kernel
from etl.cohort.schema import KEY
from etl.genome import Genome

LOCUS = ("contig", "position")


@dataclass(frozen=True)
class Matches:
    """What a join found; each is a number of the cohort's variants."""

    variants: int
    at_locus: int
    """Those at whose contig and position the table has a row."""
    same_ref: int
    """Those where one of these rows has their reference base."""
    joined: int
    """Those that the table has with their alleles."""


def passing_variants(path: str) -> DataFrame:
    """Keys of the variants that passed quality control; `path` is the folder with VARIANT_SCHEMA."""
    frame = SparkSession.builder.getOrCreate().read.parquet(hadoop_name(path))
    return frame.where("passes").select("variant", *KEY)


def normal_keys(table: DataFrame, reference: Genome) -> DataFrame:
    """The table with contigs named as in the reference and alleles in minimal representation.

    Parameters
    ----------
    table
        Columns of KEY, all of them text or position a number, and others.
    reference
        The genome whose style of contig names is wanted.
    """
    bare = sql.regexp_replace(sql.col("contig"), "^chr", "")
    bare = sql.when(bare == "M", "MT").otherwise(bare)
    if reference.name == "GRCh38":
        bare = sql.when(bare == "MT", "chrM").otherwise(sql.concat(sql.lit("chr"), bare))
    table = table.withColumns(
        {
            "contig": bare,
            "position": sql.col("position").cast("int"),
            "ref": sql.upper("ref"),
            "alt": sql.upper("alt"),
        }
    )
    return _trimmed(table)


def _trimmed(table: DataFrame) -> DataFrame:
    """Shared bases cut off both alleles as `etl.ingest.alleles.minimal_representation` does, in SQL."""
    # The loop over letters runs for the few rows alone where both alleles are longer than a base.
    shared = (
        "CASE WHEN length(ref) > 1 AND length(alt) > 1 THEN "
        "aggregate(sequence(1, least(length(ref), length(alt)) - 1), 0, "
        "(n, i) -> IF(n = i - 1 AND {}, i, n)) ELSE 0 END"
    )
    end = shared.format("substring(ref, -i, 1) = substring(alt, -i, 1)")
    start = shared.format("substring(ref, i, 1) = substring(alt, i, 1)")
    table = table.withColumn("cut", sql.expr(end)).withColumns(
        {name: sql.expr(f"left({name}, length({name}) - cut)") for name in ("ref", "alt")}
    )
    table = table.withColumn("cut", sql.expr(start)).withColumns(
        {name: sql.expr(f"substring({name}, 1 + cut)") for name in ("ref", "alt")}
    )
    return table.withColumn("position", sql.col("position") + sql.col("cut")).drop("cut")


def write_joined(table: DataFrame, variants: DataFrame, out: str, how: dict[str, Any]) -> Matches:
    """Write the table's rows of the cohort's variants for `PartRows`, and count what was found.

    Parameters
    ----------
    table
        KEY in the cohort's terms, see `normal_keys`, and columns to keep.
    variants
        See `passing_variants`.
    out
        Folder to write.
    how
        Column to keep -> how those of several rows of one variant become one (a Spark function), or None to
        keep the rows apart.
    """
    there = variants.select(
        "variant", "contig", "position", *(sql.col(n).alias(f"own_{n}") for n in ("ref", "alt"))
    )
    at_locus = table.join(there, list(LOCUS))
    # The first base alone: a deletion and a substitution at one position have different alleles.
    same_ref = sql.expr("left(ref, 1) = left(own_ref, 1)")
    kept = at_locus.withColumns({"same_ref": same_ref, "joined": sql.expr("ref = own_ref AND alt = own_alt")})
    # One pass over the table, which may be far larger than the cohort; what is near its variants is not.
    found = kept.select("variant", "same_ref", "joined", *how).persist(StorageLevel.DISK_ONLY)
    _write_parts(_by_variant(found.where("joined"), how), out)
    flags = found.groupBy("variant").agg(
        sql.max("same_ref").alias("same_ref"), sql.max("joined").alias("joined")
    )
    counted = flags.agg(
        sql.count("*"), sql.sum(sql.col("same_ref").cast("int")), sql.sum(sql.col("joined").cast("int"))
    ).first()
    found.unpersist()
    numbers = [int(number or 0) for number in counted or ()]
    return Matches(variants.count(), *numbers)


def _write_parts(rows: DataFrame, out: str) -> None:
    """Write rows to one file for each part of the cohort that has any.

    Tasks write the files themselves, each whole: what Spark writes would be renamed at its end, which object
    stores can't do.
    """
    make_folder(out)
    part = sql.shiftright("variant", PART_BITS).alias("part")
    sorted_rows = rows.select("*", part).repartition("part").sortWithinPartitions("variant")
    run_kernel(sorted_rows, partial(_write_batches, out=out), "part long").count()


def _write_batches(batches: Iterator[pa.RecordBatch], out: str) -> Iterator[pa.RecordBatch]:
    found = list(batches)
    if not found:
        return
    table = pa.Table.from_batches(found)
    parts = pc.unique(table["part"])
    for part in parts.to_pylist():
        rows = table.filter(pc.equal(table["part"], part)).drop_columns(["part"])
        with replaced_whole(join(out, part_name(part))) as path:
            pq.write_table(rows, path, compression="zstd")
    yield pa.RecordBatch.from_pydict({"part": parts.cast(pa.int64())})


def _by_variant(joined: DataFrame, how: dict[str, Any]) -> DataFrame:
    if all(combine is None for combine in how.values()):
        return joined.select("variant", *how).distinct()
    return joined.groupBy("variant").agg(*(combine(name).alias(name) for name, combine in how.items()))
