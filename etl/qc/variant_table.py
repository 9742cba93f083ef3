"""The variants that passed as a Hail table, for steps that work with Hail."""

from __future__ import annotations

from collections.abc import Sequence

import hail as hl
from pyspark.sql import SparkSession

from contract.storage import hadoop_name
from etl.cohort.schema import KEY
from etl.genome import GenomeName


def passing_variants(path: str, columns: Sequence[str], reference: GenomeName) -> hl.Table:
    """Variants that passed, without a key: setting one sorts them.

    Parameters
    ----------
    path
        Folder of `etl.qc.variants.VARIANT_SCHEMA` that the step of variant quality control wrote.
    columns
        Those to read beside the variant's name.
    reference
        Of the positions.

    Returns
    -------
    hail.Table
        Fields locus and alleles, and the columns.
    """
    rows = (
        SparkSession.builder.getOrCreate()
        .read.parquet(hadoop_name(path))
        .where("passes")
        .select(*KEY, *columns)
    )
    table = hl.Table.from_spark(rows)
    table = table.annotate(
        locus=hl.locus(table.contig, table.position, reference), alleles=[table.ref, table.alt]
    )
    return table.drop(*KEY)
