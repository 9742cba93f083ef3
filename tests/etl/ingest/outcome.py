"""What a run does with a VCF file, without Spark: read, read with reasons counted, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from contract.config import build_config
from contract.errors import InputError
from etl.cohort.schema import COHORT_SCHEMA, KEY
from etl.config import EtlConfig
from etl.genome import GenomeName
from etl.ingest.files import missing_fields, read_headers
from etl.ingest.header import VcfHeader, read_header
from etl.ingest.ranges import FileRange, plan_ranges
from etl.ingest.samples import match_samples
from etl.ingest.sites import RECORD_REASONS
from etl.ingest.sources.vcf import VcfSource
from etl.ingest.vcf import Reading, Totals
from etl.steps.ingest import read_settings
from etl.thresholds import Profile


@dataclass
class Outcome:
    """What became of a file: faults, or rows and the reasons that were counted."""

    faults: list[str] = field(default_factory=list)
    rows: pa.Table | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    n_people: int = 0

    @property
    def n_rows(self) -> int:
        """-1 for a file that is refused."""
        return self.rows.num_rows if self.rows is not None else -1

    @property
    def kind(self) -> str:
        if self.faults:
            return "refused"
        return "read, with reasons counted" if self.reasons else "read"


def config_for(path: Path | str, reference: GenomeName, genotype_qc: str = "skip") -> EtlConfig:
    """A configuration with one file of calls; the other inputs are never opened."""
    settings: dict[str, Any] = {
        "out": "unused",
        "reference": reference,
        "input": {"vcf": str(path)},
        "samples": {"path": "unused", "status": {"column": "s", "case": ["1"], "control": ["0"]}},
        "genes": {"path": "unused"},
        "annotation": {"kind": "csq"},
        "masks": {"preset": "bipex"},
        "genotype_qc": genotype_qc,
    }
    return build_config(EtlConfig, settings, "configuration")


def outcome(
    path: Path, reference: GenomeName, genotype_qc: str = "skip", ranges: Sequence[FileRange] | None = None
) -> Outcome:
    """As the step ingest does, but for Spark; anything but an InputError is passed on."""
    config = config_for(path, reference, genotype_qc)
    try:
        (header,) = read_headers(config.input, reference)
        # The samples table is taken to name the people of the file, each once.
        table = pd.DataFrame({"sample_id": list(dict.fromkeys(header.samples))})
        if faults := match_samples(
            table, header.samples, "samples.tsv", header.path, people_field=VcfSource.people_field
        ):
            raise InputError(faults)
        if genotype_qc == "apply" and (faults := missing_fields(header.format_fields, header.path)):
            raise InputError(faults)
        return _read(config, header, ranges or plan_ranges([header], 1))
    except InputError as error:
        return Outcome(faults=error.faults)


@cache
def _profile() -> Profile:
    return config_for("unused", "GRCh38").resolved_profile()


def _read(config: EtlConfig, header: VcfHeader, ranges: Sequence[FileRange]) -> Outcome:
    settings = read_settings(config, _profile(), [header])
    tables, totals = [], Totals()
    for part in ranges:
        reading = Reading(part, settings)
        tables += list(reading.tables())
        totals += reading.totals()
    rows = pa.concat_tables([COHORT_SCHEMA.empty_table(), *tables])
    return Outcome(rows=rows, reasons=_reasons(rows, totals), totals=totals, n_people=len(header.samples))


def _reasons(rows: pa.Table, totals: Totals) -> dict[str, int]:
    reasons = Counter(reason for found in rows.column("site_reasons").to_pylist() for reason in found)
    reasons += Counter({name: totals.counts.get(name, 0) for name in RECORD_REASONS})
    reasons["records_out_of_order"] += totals.n_out_of_order
    keys = Counter(zip(*(rows.column(name).to_pylist() for name in KEY), strict=True))
    reasons["repeated"] += sum(count - 1 for count in keys.values())
    return {reason: count for reason, count in sorted(reasons.items()) if count}


def best_outcome(path: Path, genotype_qc: str = "skip") -> tuple[GenomeName, Outcome]:
    """Of the two genomes the one that reads more: what a user does who knows the build of the calls."""
    found: list[tuple[GenomeName, Outcome]] = [
        (name, outcome(path, name, genotype_qc)) for name in ("GRCh37", "GRCh38")
    ]
    return max(found, key=lambda pair: pair[1].n_rows)


def forced_outcome(path: Path, reference: GenomeName) -> Outcome:
    """The same, whatever the header says of the build: shows how records are read that a run refuses."""
    config = config_for(path, reference)
    try:
        return _read(config, header := read_header(str(path)), plan_ranges([header], 1))
    except InputError as error:
        return Outcome(faults=error.faults)
