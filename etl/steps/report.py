"""Step 10: the quality-control report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from contract.provenance import software_versions
from etl.report.burden import burden_by_status, person_burden
from etl.report.data import Cut, Histogram, ReportData
from etl.report.html import write_report
from etl.report.profile import profile_thresholds
from etl.steps.aggregation import read_entries
from etl.steps.ancestry import COMPONENTS, SAMPLES
from etl.steps.annotation import read_gene_axis
from etl.steps.base import SOFTWARE, Run
from etl.steps.dataset import cohort_counts, finished_records, full_ledger, input_digests
from etl.steps.relatedness import DUPLICATES, KINSHIP
from etl.steps.sample_metrics import METRICS
from etl.steps.table import ANCESTRY, RELATEDNESS, SAMPLE_METRICS
from etl.thresholds import Profile
from etl.workspace import Record, StepResult


def work(run: Run) -> StepResult:
    """Write the HTML report."""
    records = finished_records(run)
    genes = read_gene_axis(run)
    samples = pd.read_parquet(run.path(ANCESTRY, SAMPLES))
    channels = [mask.name for mask in run.config.masks.resolved()]
    burden = burden_by_status(
        person_burden(read_entries(run), len(genes)), samples, channels, test_fold=run.config.folds.test
    )
    people = _samples(run)
    data = ReportData(
        title=run.config.out.rstrip("/").rsplit("/", 1)[-1],
        facts={
            **{name.replace("_", " "): count for name, count in cohort_counts(records).items()},
            "genes": len(genes),
            "reference genome": run.config.reference,
            **_reading_facts(records["ingest"]),
            "ancestry components above noise": records["ancestry"].facts["components_above_noise"],
        },
        warnings=[text for record in records.values() for text in record.warnings],
        ledger=full_ledger(records),
        samples=people,
        absent=_absent(people),
        sample_cuts=_sample_cuts(run.profile),
        variants=_variant_histograms(records["variant_qc"], run.profile),
        components=_components(run),
        kinship=pd.read_parquet(run.path(RELATEDNESS, KINSHIP))[["kinship", "relationship"]],
        min_kinship_family=run.profile.relatedness.min_kinship_family,
        burden=burden,
        classes=records["annotation"].facts["classes"],
        thresholds=profile_thresholds(run.profile, run.config.profile_path().read_text(encoding="utf-8")),
        software=software_versions(SOFTWARE),
        digests=input_digests(records),
        fitted_on={what: seen for record in records.values() for what, seen in record.fitted_on.items()},
    )
    write_report(data, run.config.report)
    return StepResult()


def _reading_facts(ingest: Record) -> dict[str, str | int | float]:
    """What a reader of the report should know of how the calls were read."""
    facts: dict[str, str | int | float] = {"mean depth and quality are over": str(ingest.facts["depth_over"])}
    if unordered := int(ingest.facts["records_out_of_order"]):
        facts["records out of order (read like all others)"] = unordered
    return facts


def _samples(run: Run) -> pd.DataFrame:
    """Metrics and all reasons of everybody; no ids."""
    metrics = pd.read_parquet(run.path(SAMPLE_METRICS, METRICS)).set_index("sample_id")
    later = pd.read_parquet(run.path(ANCESTRY, COMPONENTS)).set_index("sample_id")["reasons"]
    duplicates = pd.read_parquet(run.path(RELATEDNESS, DUPLICATES)).set_index("sample_id")["reasons"]
    for reasons in (later, duplicates):
        metrics.loc[reasons.index, "reasons"] = reasons
    return metrics.reset_index(drop=True).drop(columns=["declared_family", "known_ancestry"])


def _absent(people: pd.DataFrame) -> dict[str, str]:
    """What the input did not allow to measure."""
    needs = {
        "mean_dp": "No depth: the calls carry no DP.",
        "charr": "No contamination: the calls carry no AD or GQ.",
    }
    return {f"samples.{name}": text for name, text in needs.items() if name not in people}


def _components(run: Run) -> pd.DataFrame:
    people = pd.read_parquet(run.path(ANCESTRY, COMPONENTS))
    people = people.rename(columns={"pc1": "PC1", "pc2": "PC2"})
    return people[["PC1", "PC2", "ancestry", "batch", "is_case", "is_fitted"]]


def _sample_cuts(profile: Profile) -> dict[str, Cut]:
    limits = profile.sample
    return {
        "call_rate": Cut(low=limits.min_call_rate),
        "mean_dp": Cut(low=limits.min_mean_dp),
        "mean_gq": Cut(low=limits.min_mean_gq),
        "charr": Cut(high=limits.max_charr),
        "f_stat": Cut(low=limits.max_f_female, high=limits.min_f_male),
    }


def _variant_histograms(record: Record, profile: Profile) -> dict[str, Histogram]:
    limits = profile.variant
    hwe = float(np.log10(limits.min_hwe_p)) if limits.min_hwe_p > 0 else None
    cuts = {"log10_hwe_p": Cut(low=hwe)}
    return {
        name: Histogram(
            edges=np.array(told["edges"]),
            counts=np.array(told["counts"]),
            cut=cuts.get(name, Cut(low=limits.min_call_rate)),
        )
        for name, told in record.facts["histograms"].items()
    }
