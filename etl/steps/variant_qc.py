"""Step 5: measure and flag every variant over the people who stay."""

from __future__ import annotations

import hail as hl
import pandas as pd
from pyspark.sql import SparkSession

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.cohort.passes import read_cohort
from etl.cohort.people import kept_people, person_sex
from etl.ingest.sites import SITE_REASONS
from etl.qc.variant_counts import COUNT_COLUMNS, count_variants, make_strata
from etl.qc.variants import flag_variants, import_counts, measure_variants, variant_failures
from etl.steps.ancestry import SAMPLES
from etl.steps.base import Run
from etl.steps.ingest import COHORT, SUMS
from etl.steps.table import ANCESTRY, INGEST
from etl.workspace import StepResult

VARIANTS, DROPPED = "variants.ht", "dropped.parquet"
COUNTED = "counted.parquet"
HISTOGRAMS = {
    "call_rate": (0.9, 1.0),
    "call_rate_cases": (0.9, 1.0),
    "call_rate_controls": (0.9, 1.0),
    "log10_hwe_p": (-20.0, 0.0),
}
"""Variant metrics drawn in the report, with the range of their axes."""


def work(run: Run) -> StepResult:
    """Write variants.ht (metrics, reasons, passes, allele counts) and dropped.parquet (for any reader)."""
    samples = pd.read_parquet(run.path(ANCESTRY, SAMPLES))
    samples["training"] = samples["fold"] != run.config.folds.test
    samples["sex"] = person_sex(samples)
    people = kept_people(pd.read_parquet(run.path(INGEST, SUMS)), samples)
    cohort = read_cohort(run.path(INGEST, COHORT), COUNT_COLUMNS)
    # Written once: Hail reads what it sorts by key twice.
    count_variants(cohort, people, make_strata(samples)).write.parquet(run.output(COUNTED))
    counted = SparkSession.builder.getOrCreate().read.parquet(run.output(COUNTED))
    variants = measure_variants(import_counts(counted, run.config.reference))
    failures = variant_failures(variants, run.profile.variant)
    variants = flag_variants(variants, failures).checkpoint(run.output(VARIANTS))
    hl.current_backend().fs.rmtree(run.output(COUNTED))
    _write_dropped(variants, run.output(DROPPED))
    return _result(variants, [*SITE_REASONS, *failures])


def _write_dropped(variants: hl.Table, path: str) -> None:
    """contig, position, ref, alt and the comma-separated reasons of variants that do not pass."""
    dropped = variants.filter(~variants.passes).key_by()
    dropped.select(
        contig=dropped.locus.contig,
        position=dropped.locus.position,
        ref=dropped.alleles[0],
        alt=dropped.alleles[1],
        reasons=hl.delimit(dropped.reasons),
    ).to_spark().write.parquet(path)


def _within(value: hl.Float64Expression, low: float, high: float) -> hl.Float64Expression:
    """The value, moved into the range; missing stays missing (`hl.max` alone would give the limit)."""
    return hl.or_missing(hl.is_defined(value), hl.max(hl.min(value, high), low))


def _result(variants: hl.Table, reasons: list[str]) -> StepResult:
    measured = variants.annotate(log10_hwe_p=hl.log10(_within(variants.hwe_p, 1e-20, 1.0)))
    told = measured.aggregate(
        hl.struct(
            n=hl.agg.count(),
            kept=hl.agg.count_where(measured.passes),
            reasons=hl.agg.explode(hl.agg.counter, measured.reasons),
            histograms=hl.struct(
                **{
                    name: hl.agg.hist(_within(measured[name], low, high), low, high, 50)
                    for name, (low, high) in HISTOGRAMS.items()
                }
            ),
        )
    )
    if told.kept == 0:
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(told.reasons.items()))
        raise InputError(f"variant quality control: variants: found none left ({counts}), wanted some")
    ledger = [
        LedgerEntry(step="variant_qc", unit="variants", reason=reason, count=told.reasons.get(reason, 0))
        for reason in reasons
    ]
    histograms = {
        name: {"edges": list(told.histograms[name].bin_edges), "counts": list(told.histograms[name].bin_freq)}
        for name in HISTOGRAMS
    }
    return StepResult(
        ledger=ledger,
        facts={
            "variants": told.n,
            "variants_kept": told.kept,
            "passes_over_calls": 1,
            "histograms": histograms,
        },
        fitted_on={
            "call rates of cases and controls": "people outside the test fold",
            "Hardy-Weinberg test": "controls outside the test fold, within ancestry",
            "batch difference": "controls outside the test fold, within ancestry",
            "allele frequencies": "people outside the test fold",
        },
    )
