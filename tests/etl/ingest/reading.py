"""Reading VCF files as tasks do, without Spark."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from etl.cohort.schema import COHORT_SCHEMA
from etl.genome import GenomeName, genome
from etl.ingest.header import read_header
from etl.ingest.ranges import FileRange, plan_ranges
from etl.ingest.record import NUMBER_FIELDS, RecordSettings
from etl.ingest.sites import SiteRules
from etl.ingest.vcf import Reading, ReadSettings, Totals
from etl.thresholds import GenotypeThresholds

PROFILE = Path(__file__).resolve().parents[3] / "conf" / "profiles" / "bipex.yaml"
CALLS = {0: "./.", 1: "0/1", 2: "1/1", 3: "1", 4: "fail"}


def bipex_limits() -> GenotypeThresholds:
    return GenotypeThresholds.model_validate(yaml.safe_load(PROFILE.read_text())["genotype"])


def settings(
    path: Path, *, reference: GenomeName = "GRCh38", judged: bool = False, **changes: Any
) -> ReadSettings:
    """How to read a file: every call is trusted unless `judged`; `changes` are of SiteRules or half_calls."""
    header = read_header(str(path))
    numbers = tuple(name for name in NUMBER_FIELDS if judged or name != "PL")
    rules = {
        "max_alleles": 6,
        "require_pass": True,
        "intervals": None,
        "low_complexity": None,
        "reference_fasta": None,
    }
    half_calls = changes.pop("half_calls", "missing")
    return ReadSettings(
        records=RecordSettings(
            n_people=len(header.samples),
            annotation_field="CSQ",
            numbers=tuple(name for name in numbers if name in header.format_fields),
            other_formats=tuple(sorted(set(header.format_fields) - {"GT", *NUMBER_FIELDS})),
        ),
        sites=SiteRules(genome=genome(reference), **(rules | changes)),
        half_calls=half_calls,
        limits=bipex_limits() if judged else None,
    )


def whole(path: Path) -> FileRange:
    (part,) = plan_ranges([read_header(str(path))], 1)
    return part


def read(path: Path, **changes: Any) -> tuple[pa.Table, Totals]:
    """Rows and totals of a small file."""
    reading = Reading(whole(path), settings(path, **changes))
    tables = list(reading.tables())
    return pa.concat_tables(tables) if tables else COHORT_SCHEMA.empty_table(), reading.totals()


def calls(table: pa.Table) -> list[list[str]]:
    """Listed calls of each row as 'person:call'."""
    return [
        [f"{person}:{CALLS[call]}" for person, call in zip(row["person"], row["call"], strict=True)]
        for row in table.to_pylist()
    ]
