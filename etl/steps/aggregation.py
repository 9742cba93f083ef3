"""Step 8: variants × people to gene features × people, in Spark."""

from __future__ import annotations

import hail as hl
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from etl.aggregate.genes import feature_entries
from etl.qc.variants import keep_people
from etl.steps.ancestry import SAMPLES
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.masks import FEATURES
from etl.steps.table import AGGREGATION, ANCESTRY, INGEST, MASKS
from etl.steps.variant_qc import person_sex
from etl.workspace import StepResult

ENTRIES = "entries.parquet"


def work(run: Run) -> StepResult:
    """Write entries.parquet: sample_index, index, value of every non-zero feature."""
    samples = pd.read_parquet(run.path(ANCESTRY, SAMPLES))
    samples["sex"] = person_sex(samples)
    mt = keep_people(hl.read_matrix_table(run.path(INGEST, COHORT)), samples)
    features = hl.read_table(run.path(MASKS, FEATURES))
    feature_entries(mt, features).write.parquet(run.output(ENTRIES))
    entries = SparkSession.builder.getOrCreate().read.parquet(run.output(ENTRIES))
    return StepResult(facts={"people": len(samples), "features_not_zero": entries.count()})


def read_entries(run: Run) -> DataFrame:
    """The non-zero features that this step wrote, as a Spark frame."""
    return SparkSession.builder.getOrCreate().read.parquet(run.path(AGGREGATION, ENTRIES))
