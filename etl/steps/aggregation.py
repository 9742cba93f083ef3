"""Step 8: variants × people to gene features × people, in Spark."""

from __future__ import annotations

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from etl.aggregate.genes import LISTED_COLUMNS, feature_entries
from etl.cohort.passes import read_cohort
from etl.cohort.people import kept_people, person_sex
from etl.steps.ancestry import SAMPLES
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.masks import FEATURES
from etl.steps.table import AGGREGATION, ANCESTRY, INGEST, MASKS
from etl.workspace import StepResult

ENTRIES = "entries.parquet"


def work(run: Run) -> StepResult:
    """Write entries.parquet: sample_index, index, value of every non-zero feature."""
    samples = pd.read_parquet(run.path(ANCESTRY, SAMPLES))
    samples["sex"] = person_sex(samples)
    people = kept_people(pd.read_parquet(run.path(INGEST, SUMS)), samples)
    cohort = read_cohort(run.path(INGEST, COHORT), LISTED_COLUMNS)
    spark = SparkSession.builder.getOrCreate()
    features = spark.read.parquet(run.path(MASKS, FEATURES))
    ordered = samples.sort_values("sample_index")
    counted_K = (ordered["fold"] != run.config.folds.test).to_numpy()
    feature_entries(cohort, features, people, counted_K).write.parquet(run.output(ENTRIES))
    entries = spark.read.parquet(run.output(ENTRIES))
    return StepResult(
        facts={"people": len(samples), "features_not_zero": entries.count(), "passes_over_calls": 1}
    )


def read_entries(run: Run) -> DataFrame:
    """The non-zero features that this step wrote, as a Spark frame."""
    return SparkSession.builder.getOrCreate().read.parquet(run.path(AGGREGATION, ENTRIES))
