"""Exact tests on counts, by Hail."""

from __future__ import annotations

import hail as hl
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from etl.qc.variant_counts import GENOTYPES


def hardy_weinberg_p(counts_TG: NDArray[np.int32], scratch: str) -> dict[tuple[int, ...], float]:
    """P-value of the exact test with mid-p (Wigginton et al. 2005) of different genotype counts.

    Parameters
    ----------
    counts_TG
        Tests × GENOTYPES; different ones, as a test is worth a microsecond and its row far more.
    scratch
        Path of a Parquet file to write them to; by way of a file Hail takes millions of them.
    """
    pq.write_table(pa.table({name: counts_TG[:, place] for place, name in enumerate(GENOTYPES)}), scratch)
    rows = SparkSession.builder.getOrCreate().read.parquet(scratch)
    table = hl.Table.from_spark(rows)
    tested = table.select(
        counts=hl.tuple([table[name] for name in GENOTYPES]),
        p=hl.hardy_weinberg_test(*(table[name] for name in GENOTYPES)).p_value,
    )
    return {tuple(row.counts): row.p for row in tested.collect()}
