"""Step 11: the quality-control report, and the attrition ledger as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from contract.page.panel import Cut
from contract.provenance import software_versions
from contract.storage import write_whole
from etl.associate.inflation import Inflation
from etl.cohort.passes import Parts, joined, map_parts
from etl.ingest.sites import SITE_REASONS
from etl.qc.variants import VARIANT_REASONS
from etl.report.allele_balance import high_balance_share
from etl.report.attrition import people_flow, people_ledger, removal_tests, variant_ledger
from etl.report.burden import burden_by_status, person_burden
from etl.report.data import AssociationPart, Attrition, Histogram, ReportData
from etl.report.gates import judge
from etl.report.html import write_report
from etl.report.people import SEALED, report_people
from etl.report.profile import profile_thresholds
from etl.report.variants import READ_COLUMNS, VariantSums, sum_variants
from etl.report.words import suspicions
from etl.steps.aggregation import read_entries
from etl.steps.annotation import read_gene_axis
from etl.steps.association import read_associations, synonymous_channels
from etl.steps.base import SOFTWARE, Run
from etl.steps.dataset import BEFORE, cohort_counts, finished_records, full_ledger, input_digests
from etl.steps.ingest import COHORT, SUMS
from etl.steps.names import COMPONENTS, KINSHIP, SAMPLES, VARIANTS
from etl.steps.relatedness import DUPLICATES, PEOPLE
from etl.steps.sample_metrics import METRICS
from etl.steps.table import ANCESTRY, ASSOCIATION, DATASET, INGEST, RELATEDNESS, SAMPLE_METRICS, VARIANT_QC
from etl.thresholds import Profile
from etl.workspace import Record, StepResult

PEOPLE_LEDGER, REMOVAL_TESTS, VARIANT_LEDGER = "people_ledger.csv", "removal_tests.csv", "variant_ledger.csv"


def work(run: Run) -> StepResult:
    """Write the HTML report, and the ledger beside the step's record."""
    records = finished_records(run, (*BEFORE, DATASET, ASSOCIATION))
    people = _people(run)
    sums = _variant_sums(run)
    attrition = _attrition(people, sums, records)
    _write_csv(run.output(PEOPLE_LEDGER), attrition.people)
    _write_csv(run.output(REMOVAL_TESTS), attrition.tests)
    _write_csv(run.output(VARIANT_LEDGER), attrition.variants)
    data = ReportData(
        title=run.config.out.rstrip("/").rsplit("/", 1)[-1],
        facts=_facts(run, records),
        genotypes_judged=run.config.genotype_qc == "apply",
        warnings=[text for record in records.values() for text in record.warnings],
        attrition=attrition,
        lines=[entry for entry in full_ledger(records) if entry.step not in _IN_TABLES],
        n_genotypes=int(records["ingest"].facts["genotypes"]),
        people=people,
        absent=_absent(people),
        sample_cuts=_sample_cuts(run.profile),
        variants=_variant_histograms(records["variant_qc"], run.profile),
        variant_sums=sums,
        max_call_rate_difference=run.profile.variant.max_call_rate_difference,
        classes=records["annotation"].facts["classes"],
        thresholds=profile_thresholds(run.profile, run.config.profile_path().read_text(encoding="utf-8")),
        numbers=_numbers(run, records),
        software=software_versions(SOFTWARE),
        digests=input_digests(records),
        fitted_on={what: seen for record in records.values() for what, seen in record.fitted_on.items()}
        | {"cases against controls in this report": "people outside the test fold"},
    )
    data = _with_association(_with_burden(_with_relatives(data, run, records), run), run, records)
    data = replace(data, gates=judge(data, run.profile.gates))
    write_report(data, run.config.report)
    verdicts = [gate.verdict for gate in data.gates]
    return StepResult(
        warnings=suspicions(data),
        facts={f"gates_{verdict}": verdicts.count(verdict) for verdict in ("pass", "warn", "fail")},
    )


NO_PAIRS = "No two people are related."

_IN_TABLES = ("sample_metrics", "relatedness", "ancestry", "variant_qc")
"""Steps whose ledger lines the attrition tables hold in full."""


def _write_csv(place: str, table: pd.DataFrame) -> None:
    write_whole(place, table.to_csv(index=False).encode())


def _people(run: Run) -> pd.DataFrame:
    """Metrics and reasons of everybody; no ids, no status of the sealed fold."""
    metrics = run.read(SAMPLE_METRICS, METRICS)
    components = run.read(ANCESTRY, COMPONENTS)
    people = report_people(
        metrics.drop(columns=["declared_family", "known_ancestry"]),
        run.read(RELATEDNESS, DUPLICATES),
        run.read(RELATEDNESS, PEOPLE),
        components,
        test_fold=run.config.folds.test,
    )
    people["in_end"] = metrics["sample_id"].isin(run.read(ANCESTRY, SAMPLES)["sample_id"])
    sums = run.read(INGEST, SUMS, columns=["sample_id", "person"]).set_index("sample_id")
    share_P = high_balance_share(run.path(INGEST, COHORT), len(sums))
    people["high_balance"] = share_P[sums.loc[metrics["sample_id"], "person"]]
    return people


def _variant_sums(run: Run) -> VariantSums:
    summing = partial(sum_variants, site_reasons=frozenset(SITE_REASONS))
    sums: VariantSums = joined(map_parts(Parts(run.path(VARIANT_QC, VARIANTS), READ_COLUMNS), summing))
    return sums


def _attrition(people: pd.DataFrame, sums: VariantSums, records: Mapping[str, Record]) -> Attrition:
    ledger, flow = people_ledger(people), people_flow(people)
    counts = cohort_counts(dict(records))
    n_variants = counts["variants_in"], counts["variants_out"]
    every = {reason: sums.every[reason] for reason in (*SITE_REASONS, *VARIANT_REASONS)}
    return Attrition(
        people=ledger,
        flow=flow,
        tests=removal_tests(flow, ledger),
        variants=variant_ledger(sums.first, every, n_in=n_variants[0], n_out=n_variants[1]),
        n_people=(len(people), int(people["in_end"].sum())),
        n_variants=n_variants,
    )


def _facts(run: Run, records: dict[str, Record]) -> dict[str, str | int | float]:
    ingest = records["ingest"].facts
    facts: dict[str, str | int | float] = {
        **{name.replace("_", " "): count for name, count in cohort_counts(records).items()},
        "genes": records["annotation"].facts["genes"],
        **{
            name.replace("_", " "): count
            for name, count in records["dataset"].facts.items()
            if name.startswith("genes_with_")
        },
        "reference genome": run.config.reference,
        "mean depth and quality are over": str(ingest["depth_over"]),
        "ancestry components kept": records["ancestry"].facts["components_kept"],
    }
    if unordered := int(ingest["records_out_of_order"]):
        facts["records out of order (read like all others)"] = unordered
    return facts


def _with_relatives(data: ReportData, run: Run, records: dict[str, Record]) -> ReportData:
    """Pairs, components, and what is said of them; no ids."""
    pairs = run.read(RELATEDNESS, KINSHIP)
    fold = run.read(RELATEDNESS, PEOPLE).set_index("sample_id")["fold"]
    limit = run.profile.relatedness.min_kinship_family
    ends = (
        pairs[pairs["kinship"] >= limit][["first", "second"]].apply(lambda column: column.map(fold)).dropna()
    )
    people = run.read(ANCESTRY, COMPONENTS)
    status = people["is_case"].map({1: "case", 0: "control"}).astype(object)
    sealed = people["fold"] == run.config.folds.test
    facts, skipped = records["ancestry"].facts, run.config.kinship == "skip"
    tested = people[(people["reasons"] == "") & ~sealed & (people["is_case"] == 0)]
    return replace(
        data,
        kinship=pairs[[name for name in ("kinship", "ibs0", "relationship") if name in pairs]],
        min_kinship_family=limit,
        n_pairs_across_folds=None if skipped else int((ends["first"] != ends["second"]).sum()),
        absent={
            **data.absent,
            "kinship": "Kinship was not estimated: kinship: skip." if skipped else NO_PAIRS,
        },
        components=people[["pc1", "pc2", "ancestry", "batch", "is_fitted"]].assign(
            status=status.where(~sealed, SEALED)
        ),
        eigenvalues=pd.DataFrame(
            {"eigenvalue": facts["eigenvalues"], "noise": facts["eigenvalues_of_noise"]}
        ),
        n_tested_groups=int(tested["ancestry"].nunique()),
    )


def _with_burden(data: ReportData, run: Run) -> ReportData:
    masks = run.config.masks.resolved()
    samples = run.read(ANCESTRY, SAMPLES)
    by_person = person_burden(read_entries(run), len(read_gene_axis(run)))
    names = [mask.name for mask in masks]
    return replace(
        data,
        burden=burden_by_status(by_person, samples, names, test_fold=run.config.folds.test),
        synonymous=synonymous_channels(run.config),
    )


def _with_association(data: ReportData, run: Run, records: dict[str, Record]) -> ReportData:
    facts = records["association"].facts
    if facts["untested"]:
        return replace(data, absent={**data.absent, "association": f"Not tested: {facts['untested']}."})
    table = read_associations(run.config.associations)
    return replace(
        data,
        association=AssociationPart(
            table[table["test"].notna()].reset_index(drop=True),
            [Inflation(**each) for each in facts["inflation"]],
            facts["cases"],
            facts["controls"],
            facts["relatives_left_out"],
            records["dataset"].facts["covariates"],
        ),
    )


def _numbers(run: Run, records: dict[str, Record]) -> dict[str, object]:
    """What the methods paragraph cites."""
    software, ancestry = software_versions(SOFTWARE), records["ancestry"].facts
    return {
        **cohort_counts(records),
        "profile": run.profile.name,
        "kinship": run.config.kinship if isinstance(run.config.kinship, str) else "table",
        "markers": records["relatedness"].facts["markers"],
        "fitted_on": ancestry["fitted_on"],
        "components_above_noise": ancestry["components_above_noise"],
        "components_kept": ancestry["components_kept"],
        "n_components": len(ancestry["eigenvalues"]),
        "hail": software["hail"],
        "spark": software["pyspark"],
    }


def _absent(people: pd.DataFrame) -> dict[str, str]:
    """What the input did not allow to measure."""
    needs = {
        "mean_dp": "No depth: the calls carry no DP.",
        "charr": "No contamination: the calls carry no AD or GQ.",
        "high_balance": "No allele balance: the calls carry no AD.",
    }
    return {
        f"samples.{name}": text
        for name, text in needs.items()
        if name not in people or people[name].isna().all()
    }


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
