"""Step 1: read the calls, apply the genotype rules and split alleles in one pass; write the sparse cohort."""

from __future__ import annotations

import hail as hl
import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.config import EtlConfig
from etl.ingest.files import find_files, missing_fields, read_headers
from etl.ingest.normalise import key_by_minimal, split_alleles
from etl.ingest.vcf import read_vcf
from etl.qc.genotype import genotype_failures, sparse_cohort
from etl.session import small_partitions
from etl.steps.base import Run, Step
from etl.thresholds import Profile
from etl.workspace import StepResult

COHORT, DEPTH = "cohort.mt", "depth.parquet"
UNSORTED = "unsorted.mt"


def work(run: Run) -> StepResult:
    """Write cohort.mt (sparse, keyed by minimal representation) and depth.parquet (per person).

    Of records of the same variant the first stays; the others are counted as repeated.
    """
    config = run.config
    headers = read_headers(config.input, config.reference)
    mt = read_vcf(config.input, headers, config.reference)
    depth = _mean_depth(mt)
    if config.genotype_qc == "apply":
        faults = [text for header in headers for text in missing_fields(header.format_fields, header.path)]
        if faults:
            raise InputError(faults)
    mt = split_alleles(_with_annotation(mt, config))
    failures = genotype_failures(mt, run.profile.genotype) if config.genotype_qc == "apply" else {}
    mt = sparse_cohort(mt, failures)
    mt = mt.select_rows(
        "filters", "annotation", "old_locus", "old_alleles", "a_index", "new_locus", "new_alleles", "calls"
    )
    # Written in the order of the records first: sorting by the new alleles then reads the sparse form only.
    mt.key_rows_by("locus").drop("alleles").write(run.output(UNSORTED))
    unsorted = hl.read_matrix_table(run.output(UNSORTED))
    n_split = unsorted.count_rows()
    n_partitions = small_partitions(n_split * len(headers[0].samples))
    if n_partitions < unsorted.n_partitions():
        unsorted = hl.read_matrix_table(run.output(UNSORTED), _n_partitions=n_partitions)
    key_by_minimal(unsorted).distinct_by_row().write(run.output(COHORT))
    hl.current_backend().fs.rmtree(run.output(UNSORTED))
    if depth is not None:
        depth.to_parquet(run.output(DEPTH))
    return _result(hl.read_matrix_table(run.output(COHORT)), tuple(failures), n_split)


def _with_annotation(mt: hl.MatrixTable, config: EtlConfig) -> hl.MatrixTable:
    field = config.annotation.field
    raw = hl.missing("array<str>")
    if config.annotation.kind == "csq" and field in mt.info:
        raw = mt.info[field] if isinstance(mt.info[field], hl.ArrayExpression) else hl.array([mt.info[field]])
    return mt.annotate_rows(annotation=raw)


def _mean_depth(mt: hl.MatrixTable) -> pd.DataFrame | None:
    """Mean DP and GQ of each person over all calls as they came; None where the files have neither."""
    present = [name for name in ("DP", "GQ") if name in mt.entry]
    if not present:
        return None
    mt = mt.select_entries(*present)
    means = mt.select_cols(**{f"mean_{name.lower()}": hl.agg.mean(mt[name]) for name in present})
    return means.cols().to_pandas().rename(columns={"s": "sample_id"})


def _result(mt: hl.MatrixTable, reasons: tuple[str, ...], n_split: int) -> StepResult:
    rows = mt.rows()
    sums = rows.aggregate(
        hl.struct(
            variants=hl.agg.count(),
            records=hl.agg.filter(rows.a_index == 1, hl.agg.count()),
            genotypes=hl.agg.sum(rows.calls.n),
            not_called=hl.agg.sum(rows.calls.n_not_called),
            failed={reason: hl.agg.sum(rows.calls.failed[reason]) for reason in reasons}
            or hl.empty_dict("str", "int64"),
        )
    )
    if sums.variants == 0:
        raise InputError("input.vcf: records: found none, wanted at least one variant")
    repeated = n_split - sums.variants
    ledger = [
        LedgerEntry(step="ingest", unit="variants", reason="repeated", count=repeated),
        LedgerEntry(step="ingest", unit="genotypes", reason="not_called", count=sums.not_called),
        *(
            LedgerEntry(step="ingest", unit="genotypes", reason=reason, count=count)
            for reason, count in sorted(sums.failed.items())
        ),
    ]
    facts = {
        "people": mt.count_cols(),
        "records": sums.records,
        "variants": sums.variants,
        "genotypes": sums.genotypes,
    }
    return StepResult(ledger=ledger, facts=facts)


def _settings(config: EtlConfig, profile: Profile) -> dict[str, object]:
    return {
        "reference": config.reference,
        "input": config.input.model_dump(mode="json"),
        "annotation": config.annotation.model_dump(mode="json", include={"kind", "field"}),
        "genotype_qc": config.genotype_qc,
        "genotype": profile.genotype.model_dump(mode="json"),
    }


INGEST = Step(
    1,
    "ingest",
    "reading calls, genotype quality control, splitting alleles",
    work,
    _settings,
    packages=("ingest", "qc"),
    inputs=lambda config: find_files(config.input),
)
