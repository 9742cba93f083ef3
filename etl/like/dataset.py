"""Step 9 of new people: a dataset that a bundle of the first cohort can score."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
from pyspark.sql import SparkSession

from contract.config import digest
from contract.provenance import software_versions
from contract.reference import GENES_FILE, Reference, open_reference
from etl.cohort.people import person_sex
from etl.export.config import DatasetFacts
from etl.export.covariates import make_covariates
from etl.export.parquet import write_dataset
from etl.export.people_tables import metrics_table
from etl.like.ancestry import MARKERS
from etl.like.people import covariates_like
from etl.steps.aggregation import read_entries
from etl.steps.base import SOFTWARE, Run
from etl.steps.dataset import finished_records, full_ledger, input_digests
from etl.steps.names import SAMPLES
from etl.steps.table import ANCESTRY
from etl.workspace import StepResult

PEOPLE_PER_PARTITION = 500

MARKS = (MARKERS, "common_call_rate")
"""Columns of people_qc.parquet that new people have beside everybody's, and deviations from medians."""


def work(run: Run) -> StepResult:
    """Write and publish the dataset: everybody in the sealed fold, so that nothing can be fitted on them."""
    reference = open_reference(str(run.config.like))
    content = reference.content
    samples = run.read(ANCESTRY, SAMPLES)
    samples["sex"] = person_sex(samples)
    samples["covariates"] = _covariates(samples, run, content)
    samples["sex"] = samples["sex"].where(samples["sex"] != "unknown", None)
    records, genes = finished_records(run), reference.table(GENES_FILE)
    marks = [name for name in samples if name in MARKS or str(name).startswith("deviation_")]
    facts = DatasetFacts(
        reference_genome=content.reference_genome,
        channels=content.channels,
        covariates=content.covariates,
        cohort_covariates=content.cohort_covariates,
        covariate_columns=content.covariate_columns,
        row_group_size=run.config.row_group_size,
        test_fold=content.test_fold,
        fitted_on={what: seen for record in records.values() for what, seen in record.fitted_on.items()},
        counts={
            "people_in": records["ingest"].facts["people"],
            "people_out": len(samples),
            "variants_in": records["ingest"].facts["variants"],
            **{name: value for name, value in records["variant_qc"].facts.items() if isinstance(value, int)},
        },
        ledger=full_ledger(records),
        qc_profile=run.profile.model_dump(mode="json", exclude={"gates"}),
        config=run.config.model_dump(mode="json"),
        software=software_versions(SOFTWARE),
        digests=input_digests(records) | run.inputs | {"config": digest(run.config)},
        seed=run.config.folds.seed,
        scratch=run.output(""),
        people_qc=metrics_table(samples).join(samples[marks]),
        like=reference.digest,
    )
    with _few_partitions(len(samples)):
        manifest = write_dataset(run.config.dataset, samples, read_entries(run), genes, facts=facts)
    return StepResult(facts={"people": manifest.n_samples, "genes": manifest.n_genes})


@contextmanager
def _few_partitions(n_people: int) -> Iterator[None]:
    """Shuffle few people in few partitions: each is a task of its own, whose start is all that it costs."""
    conf, name = SparkSession.builder.getOrCreate().conf, "spark.sql.shuffle.partitions"
    before = conf.get(name)
    conf.set(name, str(min(int(before or 1), 1 + n_people // PEOPLE_PER_PARTITION)))
    try:
        yield
    finally:
        conf.set(name, before)


def _covariates(samples: pd.DataFrame, run: Run, reference: Reference) -> list[list[float]]:
    own = run.config.model_copy(
        update={"covariates": tuple(kind for kind in run.config.covariates if kind != "batch")}
    )
    # Components are those of the reference: people carry no others.
    kept = [name for name in samples if not re.fullmatch(r"pc\d+", str(name)) or name in reference.components]
    found = make_covariates(samples[kept], own, fixed=reference.covariate_columns)
    return covariates_like(found.values, samples["batch"], reference)
