"""Step 8: variants × people to gene features × people, in Spark."""

from __future__ import annotations

from functools import partial

from pyspark.sql import DataFrame, SparkSession

from contract.storage import hadoop_name
from etl.aggregate.genes import ENTRY_SCHEMA, LISTED_COLUMNS, add_up, sum_variants
from etl.cohort.passes import Beside, Parts, rewrite_parts
from etl.cohort.people import kept_people, person_sex
from etl.steps.annotation import read_gene_axis
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.names import FEATURES, SAMPLES
from etl.steps.table import AGGREGATION, ANCESTRY, INGEST, MASKS
from etl.workspace import StepResult

ENTRIES = "entries.parquet"


def work(run: Run) -> StepResult:
    """Write entries.parquet: ENTRY_SCHEMA, which `read_entries` adds up."""
    samples = run.read(ANCESTRY, SAMPLES).sort_values("sample_index")
    samples["sex"] = person_sex(samples)
    people = kept_people(run.read(INGEST, SUMS), samples)
    counted_K = (samples["fold"] != run.config.folds.test).to_numpy()
    features = Beside(run.path(MASKS, FEATURES), "features")
    n_sums = rewrite_parts(
        Parts(run.path(INGEST, COHORT), LISTED_COLUMNS, beside=features),
        run.output(ENTRIES),
        ENTRY_SCHEMA,
        partial(sum_variants, people=people, counted_K=counted_K),
    )
    return StepResult(facts={"people": len(samples), "sums": sum(n_sums), "passes_over_calls": 1})


def read_entries(run: Run) -> DataFrame:
    """The features that are not zero, as a Spark frame: sample_index, index, value; lazy."""
    entries = SparkSession.builder.getOrCreate().read.parquet(hadoop_name(run.path(AGGREGATION, ENTRIES)))
    return add_up(entries, run.config.masks.resolved(), len(read_gene_axis(run)))
