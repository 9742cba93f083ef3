"""Step 1: one pass over the calls: genotype rules, split alleles, counts, and the sparse cohort."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from contract.errors import InputError
from contract.manifest import LedgerEntry
from contract.storage import absolute, make_folder
from etl.cohort.passes import joined
from etl.cohort.schema import RULES
from etl.config import EtlConfig
from etl.genome import genome
from etl.ingest.files import missing_fields, open_source, read_headers
from etl.ingest.header import people_digest
from etl.ingest.intervals import read_intervals, read_low_complexity
from etl.ingest.record import NUMBER_FIELDS, RecordSettings
from etl.ingest.repeats import remove_repeats
from etl.ingest.sites import RECORD_REASONS, SiteRules
from etl.ingest.source import CallsHeader, Reference, Source
from etl.ingest.vcf import READ_SUMS, ReadSettings, Totals, read_range
from etl.steps.base import Run
from etl.thresholds import Profile
from etl.workspace import StepResult

COHORT, SUMS = "cohort", "sums.parquet"
RANGES_PER_CORE = 8
"""Ranges of a file that is large enough: they end at different times, so that no core waits long."""


def work(run: Run) -> StepResult:
    """Write the cohort (a folder of Parquet files) and sums.parquet (depth and quality by person)."""
    config = run.config
    headers = read_headers(config.input, config.reference, config.reference_fasta)
    if config.genotype_qc == "apply":
        faults = [text for header in headers for text in missing_fields(header.format_fields, header.path)]
        if faults:
            raise InputError(faults)
    folder = run.output(COHORT)
    make_folder(folder)
    source, field = open_source(config.input), config.annotation.info_field
    fields = [field, *config.annotation.further_fields] if field else []
    with source.prepared(run.out, fields, run.profile.variant.max_alleles) as readable:
        # What was made of a source has headers of its own, with its people.
        if readable is not source:
            headers = _headers_of(readable, config)
        totals = _read(readable, headers, run, folder)
    samples = _samples(headers)
    if not totals.counts.get("variants"):
        found = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in totals.counts.items())
        raise InputError(
            f"{config.input.paths[0]}: records: found none that can be used ({found or 'no records'}), "
            "wanted at least one variant"
        )
    spark = SparkSession.builder.getOrCreate()
    repeats = remove_repeats(spark, folder, np.concatenate(totals.keys_V))
    run.write(SUMS, _sums(samples, totals))
    return _result(totals, repeats, len(samples), config)


def read_settings(config: EtlConfig, profile: Profile, headers: Sequence[CallsHeader]) -> ReadSettings:
    """What reading depends on beside the files.

    Raises
    ------
    InputError
        If the capture intervals or the regions of low complexity can't be read.
    """
    judged = config.genotype_qc == "apply"
    formats = {name for header in headers for name in header.format_fields}
    samples = _samples(headers)
    return ReadSettings(
        records=RecordSettings(
            n_people=len(samples),
            annotation_field=config.annotation.info_field,
            further_fields=config.annotation.further_fields,
            # Calls that are trusted as they are need no likelihoods: nothing odd in them can stop the run.
            numbers=tuple(name for name in NUMBER_FIELDS if name in formats and (judged or name != "PL")),
            other_formats=tuple(sorted(formats - {"GT", "", "."} - set(NUMBER_FIELDS))),
            people=people_digest(samples),
        ),
        sites=SiteRules(
            genome=genome(config.reference),
            max_alleles=profile.variant.max_alleles,
            require_pass=profile.variant.require_pass,
            intervals=read_intervals(config.intervals, config.reference) if config.intervals else None,
            low_complexity=(
                read_low_complexity(absolute(config.low_complexity), config.reference)
                if config.low_complexity
                else None
            ),
            reference_fasta=absolute(config.reference_fasta) if config.reference_fasta else None,
        ),
        half_calls=config.input.half_calls,
        limits=profile.genotype if judged else None,
    )


def _headers_of(source: Source, config: EtlConfig) -> list[CallsHeader]:
    headers, faults = source.inspect(Reference(config.reference, config.reference_fasta))
    if faults:
        raise InputError(faults)
    return headers


def _samples(headers: Sequence[CallsHeader]) -> tuple[str, ...]:
    samples = headers[0].samples
    assert samples is not None
    return samples


def _read(source: Source, headers: Sequence[CallsHeader], run: Run, folder: str) -> Totals:
    context = SparkSession.builder.getOrCreate().sparkContext
    settings = read_settings(run.config, run.profile, headers)
    wanted = run.config.input.min_partitions or RANGES_PER_CORE * int(context.defaultParallelism)
    fasta = settings.sites.reference_fasta
    parts = source.parts(headers, wanted, Reference(run.config.reference, fasta))
    if not parts:
        return Totals()
    read = partial(read_range, settings=settings, folder=folder)
    totals: Totals = joined(context.parallelize(parts, len(parts)).map(read))
    return totals


def _sums(samples: Sequence[str], totals: Totals) -> pd.DataFrame:
    frame = pd.DataFrame({"person": range(len(samples)), "sample_id": samples}).astype({"person": "int32"})
    assert totals.sums_8P is not None
    for name, values in zip(READ_SUMS, totals.sums_8P, strict=True):
        frame[name] = values
    return frame


def _result(totals: Totals, repeats: dict[str, int], n_people: int, config: EtlConfig) -> StepResult:
    counts = totals.counts
    lines = [
        *(("records", name, counts.get(name, 0)) for name in RECORD_REASONS),
        *(("variants", name, count) for name, count in repeats.items()),
        ("genotypes", "not_called", counts["not_called"]),
    ]
    if config.genotype_qc == "apply":
        lines += [("genotypes", rule, counts[f"failed_{rule}"]) for rule in sorted(RULES)]
    where = "good sites" if config.intervals is None else "good sites inside the capture intervals"
    return StepResult(
        ledger=[
            LedgerEntry(step="ingest", unit=unit, reason=reason, count=count) for unit, reason, count in lines
        ],
        facts={
            "people": n_people,
            "records": counts["records"],
            "variants": counts["variants"] - sum(repeats.values()),
            "genotypes": counts["genotypes"],
            "records_out_of_order": totals.n_out_of_order,
            "passes_over_vcf": 1,
            "depth_over": where,
        },
    )
