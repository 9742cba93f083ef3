"""Joins a table by contig, position and alleles to the variants of a cohort, in Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from etl.annotate.part_rows import PART_BITS
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
    frame = SparkSession.builder.getOrCreate().read.parquet(path)
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
    part = sql.shiftright("variant", PART_BITS).alias("part")
    # One pass over the table, which may be far larger than the cohort; what is near its variants is not.
    near = f"{out}.near"
    kept.select("variant", "same_ref", "joined", *how).write.parquet(near)
    spark = SparkSession.builder.getOrCreate()
    found = spark.read.parquet(near)
    _by_variant(found.where("joined"), how).select("*", part).repartition("part").sortWithinPartitions(
        "variant"
    ).write.partitionBy("part").parquet(out)
    flags = found.groupBy("variant").agg(
        sql.max("same_ref").alias("same_ref"), sql.max("joined").alias("joined")
    )
    counted = flags.agg(
        sql.count("*"), sql.sum(sql.col("same_ref").cast("int")), sql.sum(sql.col("joined").cast("int"))
    ).first()
    numbers = [int(number or 0) for number in counted or ()]
    return Matches(variants.count(), *numbers)


def _by_variant(joined: DataFrame, how: dict[str, Any]) -> DataFrame:
    if all(combine is None for combine in how.values()):
        return joined.select("variant", *how).distinct()
    return joined.groupBy("variant").agg(*(combine(name).alias(name) for name, combine in how.items()))
