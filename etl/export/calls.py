"""The quality-controlled cohort as a Hail MatrixTable, for those who go on in Hail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import hail as hl
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from contract.storage import hadoop_name, make_folder, remove
from etl.cohort.passes import read_cohort, run_kernel
from etl.cohort.people import kept_people
from etl.cohort.schema import KEY
from etl.export.vcf_text import LINE_COLUMNS, vcf_header, write_part
from etl.genome import GenomeName, genome
from etl.qc.variant_table import passing_variants
from etl.qc.variants import VARIANT_SCHEMA
from etl.session import small_partitions

VARIANT_FIELDS = [name for name in VARIANT_SCHEMA.names if name not in (*KEY, "variant", "reasons", "passes")]
"""Columns of the variants that say something of those that passed."""


@dataclass(frozen=True)
class CohortTables:
    """What is exported, before people and variants are chosen."""

    cohort: str
    """Folder that the ingest step wrote."""
    variants: str
    """Folder that the step of variant quality control wrote."""
    reference: GenomeName


def export_matrix_table(
    tables: CohortTables, everybody: pd.DataFrame, samples: pd.DataFrame, out: str
) -> None:
    """Write people who stay × variants that pass.

    The calls travel as parts of a VCF: Hail turns lists into its dense entries only slowly, and reads VCF
    fast. Sorting the short lists before they become lines saves Hail from sorting dense rows. The parts lie
    beside `out` while it is written.

    Parameters
    ----------
    tables
        VARIANT_FIELDS of the variants go into the row field `variant`.
    everybody
        person and sample_id of all people of the VCF.
    samples
        People who stay: sample_id, sample_index, sex (see `etl.cohort.people.person_sex`); columns with any
        value go into the column field `person`.
    out
        The MatrixTable's folder; what stands there is replaced. Rows are keyed by locus and alleles, columns
        by s, in the order of sample_index. Entries are GT, with ploidy by sex, and AD, DP and GQ of calls
        that carry the alternate allele; reference calls have GT alone, calls that failed or were not made
        have nothing.
    """
    parts = f"{out}.parts"
    remove(parts)
    make_folder(parts)
    try:
        samples = samples.sort_values("sample_index", ignore_index=True)
        rows = _sorted_rows(tables, len(samples))
        write = partial(
            write_part,
            people=kept_people(everybody, samples),
            header=vcf_header(samples["sample_id"].tolist()),
            folder=parts,
        )
        paths = [row.path for row in run_kernel(rows, write, "path string").collect()]
        passing = passing_variants(tables.variants, VARIANT_FIELDS, tables.reference)
        _write_matrix(paths, passing.key_by("locus", "alleles"), samples, out)
    finally:
        remove(parts)


def _sorted_rows(tables: CohortTables, n_people: int) -> DataFrame:
    """Rows of the variants that pass, in the order of the reference genome, cut into parts for tasks."""
    kept = (
        SparkSession.builder.getOrCreate()
        .read.parquet(hadoop_name(tables.variants))
        .where("passes")
        .select("variant")
    )
    rows = read_cohort(tables.cohort, ("variant", *LINE_COLUMNS)).join(kept, "variant", "left_semi")
    place = {contig: number for number, contig in enumerate(genome(tables.reference).lengths)}
    contigs = sql.create_map([sql.lit(item) for pair in place.items() for item in pair])
    order = (contigs[sql.col("contig")], "position", "ref", "alt")
    n_parts = small_partitions(kept.count() * n_people)
    return rows.repartitionByRange(n_parts, *order).sortWithinPartitions(*order).select(*LINE_COLUMNS)


def _write_matrix(paths: list[str], rows: hl.Table, samples: pd.DataFrame, out: str) -> None:
    mt = hl.import_vcf(sorted(map(hadoop_name, paths)), reference_genome=rows.locus.dtype.reference_genome)
    # Structs: variants and people both have a call rate.
    mt = mt.select_rows(variant=rows[mt.row_key])
    # Hail can't tell the type of a column in which every value is missing.
    people = hl.Table.from_pandas(samples.dropna(axis="columns", how="all"), key="sample_id")
    mt.annotate_cols(person=people[mt.s]).write(hadoop_name(out), overwrite=True)
