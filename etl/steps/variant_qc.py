"""Step 5: measure and flag every variant over the people who stay."""

from __future__ import annotations

from functools import partial, reduce
from operator import add

import numpy as np

from contract.errors import InputError
from contract.manifest import LedgerEntry
from contract.storage import remove
from etl.cohort.passes import Parts, rewrite_parts
from etl.cohort.people import kept_people, person_sex
from etl.ingest.sites import SITE_REASONS
from etl.qc.exact import hardy_weinberg_p
from etl.qc.variant_counts import COUNTED_SCHEMA, READ_COLUMNS, count_variants, make_strata
from etl.qc.variants import (
    HISTOGRAMS,
    N_BINS,
    VARIANT_REASONS,
    VARIANT_SCHEMA,
    VariantTotals,
    flag_variants,
)
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.names import SAMPLES, VARIANTS
from etl.steps.table import ANCESTRY, INGEST
from etl.workspace import StepResult

COUNTED = "counted.parquet"


def work(run: Run) -> StepResult:
    """Write variants.parquet: a row for each variant with metrics, reasons, passes and allele counts."""
    samples = run.read(ANCESTRY, SAMPLES)
    samples["training"] = samples["fold"] != run.config.folds.test
    samples["sex"] = person_sex(samples)
    people = kept_people(run.read(INGEST, SUMS), samples)
    counting = partial(count_variants, people=people, strata=make_strata(samples))
    counted = run.output(COUNTED)
    genotypes = rewrite_parts(
        Parts(run.path(INGEST, COHORT), READ_COLUMNS), counted, COUNTED_SCHEMA, counting
    )
    tested = np.unique(np.concatenate(genotypes), axis=0)
    exact_p = hardy_weinberg_p(tested)
    flagging = partial(flag_variants, exact_p=exact_p, thresholds=run.profile.variant)
    totals = rewrite_parts(
        Parts(counted, COUNTED_SCHEMA.names), run.output(VARIANTS), VARIANT_SCHEMA, flagging
    )
    remove(counted)
    return _result(reduce(add, totals))


def _result(totals: VariantTotals) -> StepResult:
    if totals.n_passing == 0:
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(totals.reasons.items()))
        raise InputError(f"variant quality control: variants: found none left ({counts}), wanted some")
    ledger = [
        LedgerEntry(step="variant_qc", unit="variants", reason=reason, count=totals.reasons[reason])
        for reason in (*SITE_REASONS, *VARIANT_REASONS)
    ]
    histograms = {
        name: {
            "edges": np.linspace(*limits, N_BINS + 1).tolist(),
            "counts": totals.histograms[name].tolist(),
        }
        for name, limits in HISTOGRAMS.items()
    }
    return StepResult(
        ledger=ledger,
        facts={
            "variants": totals.n,
            "variants_kept": totals.n_passing,
            "passes_over_calls": 1,
            "histograms": histograms,
        },
        fitted_on={
            "call rates of variants": "people outside the test fold",
            "Hardy-Weinberg test": "controls outside the test fold, within ancestry",
            "batch difference": "controls outside the test fold, within ancestry",
            "allele frequencies": "people outside the test fold",
            "variants without carriers": "everybody who stays: they add nothing to anybody's features",
        },
    )
