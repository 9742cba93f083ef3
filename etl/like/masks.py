"""Step 7 of new people: their variants joined with the first cohort's."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from contract.manifest import LedgerEntry
from contract.reference import GENES_FILE, open_reference
from etl.aggregate.masks import FEATURES_SCHEMA
from etl.annotate.consequence import Annotator
from etl.annotate.csq_format import csq_fields
from etl.annotate.variants import make_annotator
from etl.cohort.passes import Parts, rewrite_parts
from etl.cohort.people import kept_people, person_sex
from etl.config import EtlConfig
from etl.genome import genome
from etl.ingest.files import read_headers
from etl.like.features import CALL_RATE, COLUMNS, FAILED_THERE, SEEN, SITE, UNSEEN, NewFeatures
from etl.like.lookup import VariantTable
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.names import FEATURES, SAMPLES
from etl.steps.table import ANCESTRY, INGEST
from etl.workspace import StepResult

MIN_PEOPLE = 100
"""New people from whom on their own call rate is measured: that of a variant then has an error below 3 %."""


def work(run: Run) -> StepResult:
    """Write features.parquet: what each variant of theirs adds to each channel × gene."""
    reference = open_reference(str(run.config.like))
    samples = pd.read_parquet(run.path(ANCESTRY, SAMPLES))
    samples["sex"] = person_sex(samples)
    measures = len(samples) >= MIN_PEOPLE
    genes = reference.table(GENES_FILE)
    annotated = run.config.unseen_variants == "annotated"
    work = NewFeatures(
        variants=VariantTable.of(reference),
        people=kept_people(pd.read_parquet(run.path(INGEST, SUMS)), samples),
        min_call_rate=run.profile.variant.min_call_rate if measures else None,
        annotator=_annotator(genes, run.config) if annotated else None,
        masks=run.config.masks.resolved(),
        n_genes=len(genes),
        allele_number=2 * reference.content.n_people,
    )
    parts = Parts(run.path(INGEST, COHORT), COLUMNS)
    counts = sum(rewrite_parts(parts, run.output(FEATURES), FEATURES_SCHEMA, work), Counter[str]())
    limit = run.profile.variant.min_call_rate
    judged = f"call rate of at least {limit} among the {len(samples)} new people"
    told = judged if measures else f"not judged: {len(samples)} new people, fewer than {MIN_PEOPLE}"
    return StepResult(
        ledger=[
            LedgerEntry(step="masks", unit="variants", reason=reason, count=counts[reason])
            for reason in (SITE, CALL_RATE, FAILED_THERE)
        ],
        facts={name: counts[name] for name in (SEEN, UNSEEN)},
        warnings=_warnings(counts, annotated=annotated),
        fitted_on={
            "variant quality control": f"the first cohort's; {told}",
            "allele frequencies": "the first cohort outside its test fold",
        },
    )


def _annotator(genes: pd.DataFrame, config: EtlConfig) -> Annotator:
    fields: list[str] = []
    if config.annotation.kind == "csq":
        header = read_headers(config.input, config.reference)[0]
        described = header.info_descriptions.get(config.annotation.field)
        fields = csq_fields(config.annotation, described, header.path)
    return make_annotator(genes, config.annotation, genome(config.reference), fields=fields)


def _warnings(counts: Counter[str], *, annotated: bool) -> list[str]:
    found = []
    if not counts[SEEN]:
        found.append(
            "no variant of these people is one of the first cohort's: nothing but unseen variants is counted"
        )
    if not annotated and counts[UNSEEN]:
        found.append(
            f"{counts[UNSEEN]} variants that nobody of the first cohort carries count nowhere: people of "
            "that cohort have theirs counted, so that burdens of rare variants are lower here"
        )
    return found
