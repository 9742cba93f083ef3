"""Step 9: the dataset of the contract."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from contract.config import digest
from contract.manifest import LedgerEntry
from contract.provenance import software_versions
from contract.storage import absolute
from etl.aggregate.channels import mask_channels
from etl.annotate.properties import property_counts, read_properties
from etl.cohort.people import person_sex
from etl.export.config import DatasetFacts
from etl.export.covariates import doubts, make_covariates
from etl.export.parquet import write_dataset
from etl.export.people_tables import kinship_table, metrics_table
from etl.steps.aggregation import read_entries
from etl.steps.annotation import read_gene_axis
from etl.steps.base import SOFTWARE, Run, Step
from etl.steps.ingest import COHORT, SUMS
from etl.steps.names import KINSHIP, SAMPLES, VARIANTS
from etl.steps.table import (
    AGGREGATION,
    ANCESTRY,
    ANNOTATION,
    INGEST,
    MASKS,
    RELATEDNESS,
    SAMPLE_METRICS,
    VARIANT_QC,
)
from etl.workspace import Record, StepResult

BEFORE = (INGEST, SAMPLE_METRICS, RELATEDNESS, ANCESTRY, VARIANT_QC, ANNOTATION, MASKS, AGGREGATION)


def work(run: Run) -> StepResult:
    """Write and publish the dataset, and the cohort as a MatrixTable where the configuration asks for it."""
    samples = run.read(ANCESTRY, SAMPLES)
    samples["sex"] = person_sex(samples)
    if "matrix_table" in run.config.export:
        _export(run, samples)
    covariates = make_covariates(samples, run.config)
    samples["covariates"] = covariates.values.to_numpy().tolist()
    samples["sex"] = samples["sex"].where(samples["sex"] != "unknown", None)
    # What is fitted for new people is not imported where there are only such.
    from etl.steps.reference import reference_writer

    records, (genes, told) = finished_records(run), _gene_axis(run)
    seen = {what: seen for record in records.values() for what, seen in record.fitted_on.items()}
    if covariates.columns:
        seen["means of covariates"] = "people outside the test fold"
    facts = DatasetFacts(
        reference_genome=run.config.reference,
        channels=mask_channels(run.config.masks.resolved()),
        covariates=[str(name) for name in covariates.values],
        cohort_covariates=covariates.of_this_cohort,
        covariate_columns=covariates.columns,
        row_group_size=run.config.row_group_size,
        test_fold=run.config.folds.test,
        fitted_on=seen,
        counts=cohort_counts(records) | told,
        ledger=full_ledger(records),
        qc_profile=run.profile.model_dump(mode="json", exclude={"gates"}),
        config=run.config.model_dump(mode="json"),
        software=software_versions(SOFTWARE),
        digests=input_digests(records) | run.inputs | {"config": digest(run.config)},
        seed=run.config.folds.seed,
        scratch=run.output(""),
        kinship=_kinship(run, samples),
        people_qc=metrics_table(samples),
        write_reference=reference_writer(run, samples) if run.config.for_new_people.write else None,
    )
    manifest = write_dataset(run.config.dataset, samples, read_entries(run), genes, facts=facts)
    return StepResult(
        facts={
            "people": manifest.n_samples,
            "genes": manifest.n_genes,
            "channels": len(manifest.channels),
            "row_groups": sum(fold.n_row_groups for fold in manifest.folds),
            **told,
            "covariates": covariates.words(),
        },
        warnings=doubts(covariates, samples, samples["fold"] != run.config.folds.test),
    )


def _gene_axis(run: Run) -> tuple[pd.DataFrame, dict[str, int]]:
    """The gene axis with its properties, if there are any, and how many genes have each."""
    genes, config = read_gene_axis(run), run.config.genes.properties
    if config is None:
        return genes, {}
    properties = read_properties(config, genes)
    return genes.join(properties), property_counts(properties)


def _kinship(run: Run, samples: pd.DataFrame) -> pd.DataFrame | None:
    """Relatives who stay; null where kinship was skipped, so that no reader takes it for 'no relatives'."""
    if run.config.kinship == "skip":
        return None
    pairs = run.read(RELATEDNESS, KINSHIP)
    return kinship_table(pairs, samples, run.profile.relatedness.min_kinship_family)


def _export(run: Run, samples: pd.DataFrame) -> None:
    # Hail is imported for this alone: datasets of new people do without it.
    from etl.export.calls import CohortTables, export_matrix_table

    export_matrix_table(
        CohortTables(run.path(INGEST, COHORT), run.path(VARIANT_QC, VARIANTS), run.config.reference),
        run.read(INGEST, SUMS),
        samples,
        absolute(run.config.matrix_table),
    )


def finished_records(run: Run, steps: Iterable[Step] = BEFORE) -> dict[str, Record]:
    """Records of steps, by step name; unless told otherwise, of those before the dataset."""
    records = {step.name: run.workspace.record(step.folder) for step in steps}
    return {name: record for name, record in records.items() if record is not None}


def full_ledger(records: dict[str, Record]) -> list[LedgerEntry]:
    """The attrition ledger over all steps."""
    return [entry for record in records.values() for entry in record.ledger]


def input_digests(records: dict[str, Record]) -> dict[str, str]:
    """Digest of every input file, by path."""
    return {
        path: str(value) for record in records.values() for path, value in record.settings["inputs"].items()
    }


def cohort_counts(records: dict[str, Record]) -> dict[str, int]:
    """People and variants that came in and stayed."""
    return {
        "people_in": records["ingest"].facts["people"],
        "people_out": records["ancestry"].facts["people"],
        "variants_in": records["ingest"].facts["variants"],
        "variants_out": records["variant_qc"].facts["variants_kept"],
        "genotypes_in": records["ingest"].facts["genotypes"],
    }
