"""Step 2: measure every person, impute sex, name those outside the hard limits."""

from __future__ import annotations

from pathlib import Path

import hail as hl
import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.ingest.samples import match_samples, read_samples
from etl.qc.sample_metrics import hard_failures, join_reasons, measure_samples
from etl.qc.sex import impute_sex
from etl.qc.sites import good_sites
from etl.steps.base import Run
from etl.steps.ingest import COHORT, DEPTH
from etl.steps.table import INGEST
from etl.workspace import StepResult

METRICS = "metrics.parquet"


def work(run: Run) -> StepResult:
    """Write metrics.parquet: one row per person of the samples table, in the order of the VCF."""
    samples = read_samples(run.config.samples)
    mt = hl.read_matrix_table(run.path(INGEST, COHORT))
    in_vcf = mt.s.collect()
    faults = match_samples(samples, in_vcf, run.config.samples.path, run.config.input.vcf[0])
    if faults:
        raise InputError(faults)
    sites = good_sites(mt, run.profile.variant)
    metrics = (
        samples.set_index("sample_id")
        .loc[in_vcf]
        .reset_index()
        .merge(measure_samples(sites.filter_rows(sites.locus.in_autosome())), on="sample_id")
        .merge(impute_sex(sites, run.profile.sample), on="sample_id")
    )
    depth = Path(run.path(INGEST, DEPTH))
    if depth.exists():
        metrics = metrics.merge(pd.read_parquet(depth), on="sample_id")
    failures = hard_failures(metrics, run.profile.sample)
    metrics["reasons"] = join_reasons(failures, metrics.index)
    metrics.to_parquet(run.output(METRICS))
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
    return StepResult(ledger=ledger, facts={"people": len(metrics), "people_kept": kept})
