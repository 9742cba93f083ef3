"""Step 2 of new people: measure them by the first cohort's frequencies and hard limits."""

from __future__ import annotations

from functools import partial

import pandas as pd
import pyarrow.compute as pc

from contract.errors import InputError
from contract.manifest import LedgerEntry
from contract.reference import open_reference
from etl.cohort.passes import IS_GOOD_SITE, Parts, joined, map_parts
from etl.ingest.files import open_source
from etl.like.lookup import VariantTable
from etl.like.people import METRIC_COLUMNS, sum_calls_by
from etl.like.samples import read_new_people
from etl.qc.person_sums import Measured, Sums
from etl.qc.sample_metrics import hard_failures, join_reasons
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.sample_metrics import METRICS, measured_people
from etl.steps.table import INGEST
from etl.workspace import StepResult

NOT_TOLD = ("n_singleton", "x_copies", "y_copies", "karyotype")
"""What only a cohort can tell of a person."""


def work(run: Run) -> StepResult:
    """Write metrics.parquet: one row per person, in the order of the calls."""
    variants = VariantTable.of(open_reference(str(run.config.like)))
    sums = run.read(INGEST, SUMS)
    calls = run.config.input
    samples = read_new_people(
        run.config.samples,
        sums["sample_id"].tolist(),
        calls.paths[0],
        people_field=open_source(calls).people_field,
    )
    where = IS_GOOD_SITE & pc.field("region").isin(["autosome", "x"])
    has_depth = bool((sums["n_dp"] > 0).any())
    summing = partial(sum_calls_by, variants=variants, n_people=len(sums), has_depth=has_depth)
    found: Sums = joined(map_parts(Parts(run.path(INGEST, COHORT), METRIC_COLUMNS, where), summing))
    measured = Measured(pd.DataFrame(found.people).rename_axis("person"), found.totals)
    metrics = measured_people(samples, sums, measured, run.profile.sample).drop(columns=[*NOT_TOLD])
    failures = hard_failures(metrics, run.profile.sample)
    del failures["status_unknown"]
    metrics["reasons"] = join_reasons(failures, metrics.index)
    run.write(METRICS, metrics)
    kept = int((metrics["reasons"] == "").sum())
    if kept == 0:
        told = ", ".join(f"{reason} {failed.sum()}" for reason, failed in failures.items() if failed.any())
        raise InputError(
            f"{calls.paths[0]}: people: found none left after the first cohort's sample quality control "
            f"({told}), wanted some"
        )
    return StepResult(
        ledger=[
            LedgerEntry(step="sample_metrics", unit="samples", reason=reason, count=int(failed.sum()))
            for reason, failed in failures.items()
        ],
        facts={"people": len(metrics), "people_kept": kept, "passes_over_calls": 1},
        fitted_on={"sex and contamination": "frequencies of common variants in the first cohort"},
    )
