"""Step 5 of new people: which of their variants the first cohort knows, and which are to be annotated."""

from __future__ import annotations

from collections import Counter
from functools import partial

from contract.manifest import LedgerEntry
from contract.reference import open_reference
from etl.aggregate.masks import FEATURES_SCHEMA
from etl.cohort.passes import Parts, rewrite_parts
from etl.cohort.people import kept_people, person_sex
from etl.like.features import (
    CALL_RATE,
    COLUMNS,
    FAILED_THERE,
    SEEN,
    SITE,
    UNSEEN,
    VariantJoin,
    known_features,
    unseen_variants,
)
from etl.like.lookup import VariantTable
from etl.qc.variants import VARIANT_SCHEMA
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.names import SAMPLES, VARIANTS
from etl.steps.table import ANCESTRY, INGEST
from etl.workspace import StepResult

KNOWN = "known.parquet"
"""Features of the first cohort's variants."""

MIN_PEOPLE = 100
"""New people from whom on their own call rate is measured: that of a variant then has an error below 3 %."""


def work(run: Run) -> StepResult:
    """Write known.parquet (features of known variants) and variants.parquet (others, to be annotated)."""
    reference = open_reference(str(run.config.like))
    samples = run.read(ANCESTRY, SAMPLES)
    samples["sex"] = person_sex(samples)
    n_people = reference.content.n_people
    measures, limit = len(samples) >= MIN_PEOPLE, run.profile.variant.min_call_rate
    join = VariantJoin(
        variants=VariantTable.of(reference),
        people=kept_people(run.read(INGEST, SUMS), samples),
        min_call_rate=limit if measures else None,
        n_people=n_people,
        n_men=n_people // 2 if reference.content.n_men is None else reference.content.n_men,
        annotated=run.config.unseen_variants == "annotated",
    )
    cohort = Parts(run.path(INGEST, COHORT), COLUMNS)
    by_part = rewrite_parts(cohort, run.output(KNOWN), FEATURES_SCHEMA, partial(known_features, join=join))
    counts = sum(by_part, Counter[str]())
    rewrite_parts(cohort, run.output(VARIANTS), VARIANT_SCHEMA, partial(unseen_variants, join=join))
    judged = f"call rate of at least {limit} among the {len(samples)} new people"
    told = judged if measures else f"not judged: {len(samples)} new people, fewer than {MIN_PEOPLE}"
    return StepResult(
        ledger=[
            LedgerEntry(step="variant_qc", unit="variants", reason=reason, count=counts[reason])
            for reason in (SITE, CALL_RATE, FAILED_THERE)
        ],
        facts={name: counts[name] for name in (SEEN, UNSEEN)},
        warnings=_warnings(counts, annotated=join.annotated),
        fitted_on={
            "variant quality control": f"the first cohort's; {told}",
            "allele frequencies": "the first cohort outside its test fold",
        },
    )


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
