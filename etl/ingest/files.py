"""The calls of a run, found and checked without Hail and Spark, whatever their format."""

from __future__ import annotations

from collections.abc import Collection

from contract.errors import InputError, fault
from etl.config import Format, InputConfig
from etl.genome import GenomeName
from etl.ingest.source import CallsHeader, Reference, Source
from etl.ingest.sources.bgen import BgenSource
from etl.ingest.sources.matrix_table import MatrixTableSource
from etl.ingest.sources.pgen import PgenSource
from etl.ingest.sources.plink import PlinkSource
from etl.ingest.sources.vcf import VcfSource
from etl.ingest.sources.vds import VdsSource

SOURCES: dict[Format, type[Source]] = {
    "vcf": VcfSource,
    "plink": PlinkSource,
    "pgen": PgenSource,
    "bgen": BgenSource,
    "matrix_table": MatrixTableSource,
    "vds": VdsSource,
}

GENOTYPE_QC_FIELDS = ("AD", "DP", "GQ", "PL")
"""FORMAT fields that genotype quality control reads besides GT."""


def open_source(config: InputConfig) -> Source:
    """The calls in the format that the configuration names; opens no file."""
    return SOURCES[config.format](config)


def find_files(config: InputConfig) -> list[str]:
    """Files whose content tells whether the calls changed.

    Raises
    ------
    InputError
        If a path or glob matches nothing.
    """
    return open_source(config).files()


def read_headers(config: InputConfig, reference: GenomeName, fasta: str | None = None) -> list[CallsHeader]:
    """Read and check all headers together.

    Raises
    ------
    InputError
        With every fault of every file, see `inspect_headers`.
    """
    headers, faults = inspect_headers(config, reference, fasta)
    if faults:
        raise InputError(faults)
    return headers


def inspect_headers(
    config: InputConfig, reference: GenomeName, fasta: str | None = None
) -> tuple[list[CallsHeader], list[str]]:
    """The headers that can be read, and every fault of every file; see `Source.inspect`.

    With `fasta`, the sequence of the reference, alleles of formats that don't name one are held against it.
    """
    return open_source(config).inspect(Reference(reference, fasta))


def missing_fields(found: Collection[str], path: str) -> list[str]:
    """The fault of a file that lacks FORMAT fields which genotype quality control reads."""
    absent = [name for name in GENOTYPE_QC_FIELDS if name not in found]
    if not absent:
        return []
    shown = ", ".join(sorted(found)) or "none"
    wanted = f"also {', '.join(absent)} for genotype quality control (genotype_qc: skip does without it)"
    return [fault(path, "FORMAT", found=shown, wanted=wanted)]
