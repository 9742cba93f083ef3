"""Step 2: measure every person, impute sex, name those outside the hard limits."""

from __future__ import annotations

import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.ingest.files import open_source
from etl.ingest.samples import match_samples, read_samples
from etl.qc.person_sums import Measured, sum_over_people
from etl.qc.sample_metrics import common_call_rate, hard_failures, join_reasons, mean_depth, measure_samples
from etl.qc.sex import call_karyotypes, impute_sex, odd_karyotypes
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.table import INGEST
from etl.thresholds import SampleThresholds
from etl.workspace import StepResult

METRICS = "metrics.parquet"


def work(run: Run) -> StepResult:
    """Write metrics.parquet: one row per person of the samples table, in the order of the calls."""
    samples = read_samples(run.config.samples)
    sums = run.read(INGEST, SUMS)
    calls = run.config.input
    faults = match_samples(
        samples,
        sums["sample_id"].tolist(),
        run.config.samples.path,
        calls.paths[0],
        people_field=open_source(calls).people_field,
    )
    if faults:
        raise InputError(faults)
    measured = sum_over_people(run.path(INGEST, COHORT), len(sums), has_depth=bool((sums["n_dp"] > 0).any()))
    ordered = samples.set_index("sample_id").loc[sums["sample_id"]].reset_index()
    metrics = measured_people(ordered, sums, measured, run.profile.sample)
    failures = hard_failures(metrics, run.profile.sample)
    metrics["reasons"] = join_reasons(failures, metrics.index)
    run.write(METRICS, metrics)
    kept = int((metrics["reasons"] == "").sum())
    ledger = [
        LedgerEntry(step="sample_metrics", unit="samples", reason=reason, count=int(failed.sum()))
        for reason, failed in failures.items()
    ]
    if kept == 0:
        told = ", ".join(f"{entry.reason} {entry.count}" for entry in ledger if entry.count)
        raise InputError(
            f"{run.config.samples.path}: people: found none left after sample quality control ({told}), "
            "wanted some"
        )
    seed = run.config.samples.permute_status
    null_run = f"this is a null run: status was shuffled with the seed {seed} before anything was read"
    return StepResult(
        ledger=ledger,
        facts={"people": len(metrics), "people_kept": kept, "passes_over_calls": 1},
        warnings=[*([] if seed is None else [null_run]), *odd_karyotypes(metrics["karyotype"])],
        fitted_on={
            "people's metrics, sex, contamination": "everybody, without labels: measured before there are "
            "folds; how common a site is counts all people of the file"
        },
    )


def measured_people(
    samples: pd.DataFrame, sums: pd.DataFrame, measured: Measured, thresholds: SampleThresholds
) -> pd.DataFrame:
    """The samples table with all metrics; all tables have a row for each of the VCF's people, in order."""
    sex = impute_sex(measured, thresholds)
    karyotypes = call_karyotypes(sums, sex["imputed_sex"], thresholds)
    metrics = measure_samples(measured).join(common_call_rate(measured))
    return pd.concat([samples, metrics, sex, karyotypes, mean_depth(sums)], axis=1)
