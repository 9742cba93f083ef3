"""Scores of a table, joined to the variants by contig, position and alleles."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from contract.errors import InputError, fault
from contract.storage import hadoop_name
from etl.annotate.config import ScoresConfig
from etl.annotate.score_file import check_columns, score_format, separator, text_columns
from etl.annotate.variant_join import Matches, normal_keys, write_joined
from etl.cohort.schema import KEY
from etl.genome import Genome

MIN_LOCI = 20
"""Variants that share a position with the table, from which its build can be told."""

MIN_SAME_REF = 0.8
"""Share of them whose reference base is the table's. Of the right build it is 1; of another build, chance
gives about 0.3."""


def join_scores(config: ScoresConfig, reference: Genome, variants: DataFrame, out: str) -> Matches:
    """Write the scores of the cohort's variants, by part, for `etl.annotate.scored.ScoredAnnotator`.

    Of several rows of one variant, such as those of several transcripts, the largest number of each score.

    Parameters
    ----------
    config
        The table.
    reference
        The genome of the cohort.
    variants
        See `etl.annotate.variant_join.passing_variants`.
    out
        Folder to write: `variant` and one column of doubles by the name of each score, null where missing.

    Raises
    ------
    InputError
        If the table can't be read, has none of the variants, or is of another build.
    """
    table = read_scores(config, reference)
    matches = write_joined(table, variants, out, dict.fromkeys(config.columns, sql.max))
    _check_build(config, reference, table, matches)
    return matches


def read_scores(config: ScoresConfig, reference: Genome) -> DataFrame:
    """The table as a Spark frame, lazy: KEY in the reference's terms, and scores as doubles."""
    kind = score_format(config.path)
    if kind == "hail":
        raw = _hail_frame(config, reference)
    elif kind == "parquet":
        raw = SparkSession.builder.getOrCreate().read.parquet(hadoop_name(config.path))
        check_columns(config, raw.columns)
    else:
        raw = _text_frame(config)
    keys = dict(zip(KEY, (config.contig, config.position, config.ref, config.alt), strict=True))
    named = raw.select(
        *(sql.col(f"`{column}`").cast("string").alias(name) for name, column in keys.items()),
        *(_number(column).alias(name) for name, column in config.columns.items()),
    )
    return normal_keys(named, reference)


def _number(column: str) -> Any:
    number = sql.col(f"`{column}`").cast("double")
    # Spark ranks NaN above all numbers; here it is a missing one.
    return sql.when(sql.isnan(number), None).otherwise(number)


def _text_frame(config: ScoresConfig) -> DataFrame:
    columns = text_columns(config.path)
    check_columns(config, columns)
    schema = ", ".join(f"`{name}` STRING" for name in columns)
    reader = SparkSession.builder.getOrCreate().read
    rows = reader.csv(hadoop_name(config.path), sep=separator(config.path), schema=schema, comment="#")
    # A header that begins with # is a comment to Spark; another one is a row.
    return rows.where(sql.col(f"`{config.contig}`") != config.contig)


def _hail_frame(config: ScoresConfig, reference: Genome) -> DataFrame:
    import hail as hl

    table = hl.read_table(hadoop_name(config.path))
    if not {"locus", "alleles"} <= set(table.row):
        wanted = "locus and alleles"
        raise InputError(fault(config.path, "fields", found=", ".join(list(table.row)[:12]), wanted=wanted))
    build = getattr(table.locus.dtype, "reference_genome", None)
    if build is None or build.name != reference.name:
        found = f"of {build.name if build else 'no reference'}"
        raise InputError(fault(config.path, "locus", found=found, wanted=f"a locus of {reference.name}"))
    absent = [name for name in config.columns.values() if name not in table.row]
    if absent:
        found = ", ".join(list(table.row)[:12])
        raise InputError(fault(config.path, "fields", found=found, wanted=f"also {', '.join(absent)}"))
    table = table.key_by()
    keys = {
        config.contig: table.locus.contig,
        config.position: table.locus.position,
        config.ref: table.alleles[0],
        config.alt: table.alleles[1],
    }
    scores = {name: hl.float64(table[name]) for name in config.columns.values()}
    frame: DataFrame = table.select(**keys, **scores).to_spark(flatten=False)
    return frame


def _check_build(config: ScoresConfig, reference: Genome, table: DataFrame, matches: Matches) -> None:
    wanted = f"positions and reference alleles of {reference.name}"
    told_by_bases = matches.at_locus >= MIN_LOCI
    if told_by_bases and matches.same_ref < MIN_SAME_REF * matches.at_locus:
        found = (
            f"the variants' reference base at {matches.same_ref} of {matches.at_locus} positions that both "
            "have: a table of another build"
        )
        raise InputError(fault(config.path, "annotation.scores", found=found, wanted=wanted))
    # A further pass over the table, which bases spare large ones.
    beyond = None if told_by_bases else _first_beyond(table, reference)
    if beyond:
        found = f"{beyond}, beyond the end of the contig"
        raise InputError(fault(config.path, "annotation.scores", found=found, wanted=wanted))
    if not matches.joined:
        rows = [f"{row.contig}:{row.position}:{row.ref}:{row.alt}" for row in table.limit(3).collect()]
        found = (
            f"none of {matches.variants} variants ({matches.at_locus} share a position; its first rows are "
            f"{', '.join(rows) or 'none'})"
        )
        raise InputError(fault(config.path, "annotation.scores", found=found, wanted="some variants' scores"))


def _first_beyond(table: DataFrame, reference: Genome) -> str | None:
    """A row that lies beyond its contig; None where there is none."""
    beyond = None
    for contig, length in reference.lengths.items():
        here = (sql.col("contig") == contig) & (sql.col("position") > length)
        beyond = here if beyond is None else beyond | here
    assert beyond is not None
    row = table.where(beyond).select("contig", "position").first()
    return f"{row.contig}:{row.position}" if row else None
