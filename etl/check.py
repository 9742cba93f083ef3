"""Start-up check: every fault of the configuration and of the inputs, in seconds, without Hail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from contract.errors import InputError, fault
from etl.aggregate.config import check_masks
from etl.annotate.config import AnnotationConfig
from etl.annotate.csq_format import available_classes, csq_fields, csq_format
from etl.annotate.genes import read_genes
from etl.annotate.properties import read_properties
from etl.config import EtlConfig
from etl.export.covariates import check_columns
from etl.genome import genome
from etl.ingest.files import inspect_headers, missing_fields
from etl.ingest.header import VcfHeader
from etl.ingest.intervals import read_intervals, read_low_complexity
from etl.ingest.kinship_table import read_kinship
from etl.ingest.samples import match_samples, read_samples
from etl.ingest.sites import check_fasta
from etl.like.check import check_like

Found = TypeVar("Found")


def check(config: EtlConfig) -> list[str]:
    """All faults that can be seen before any work: an empty list means that a run may start.

    Reads the profile, the VCF headers and first records, the samples table, the gene table and that of genes'
    properties, the capture intervals, regions of low complexity and the contigs of the reference's sequence.
    New people: see `etl.like.check`.
    """
    if config.like is not None:
        return [*_folder_faults(config.work), *check_like(config)]
    return _cohort_faults(config)


def _cohort_faults(config: EtlConfig) -> list[str]:
    faults: list[str] = []

    def attempt(read: Callable[[], Found]) -> Found | None:
        try:
            return read()
        except InputError as error:
            faults.extend(error.faults)
            return None

    attempt(config.resolved_profile)
    faults += _folder_faults(config.work)
    headers, in_headers = inspect_headers(config.input, config.reference)
    faults += in_headers
    samples = attempt(lambda: read_samples(config.samples))
    attempt(lambda: check_columns(config))
    attempt(lambda: _read_gene_tables(config))
    intervals = config.intervals
    if intervals is not None:
        attempt(lambda: read_intervals(intervals, config.reference))
    regions = config.low_complexity
    if regions is not None:
        attempt(lambda: read_low_complexity(regions, config.reference))
    kinship = config.kinship
    if samples is not None and not isinstance(kinship, str):
        attempt(lambda: read_kinship(kinship.table, samples["sample_id"].tolist()))
    if config.reference_fasta is not None:
        faults += check_fasta(config.reference_fasta, genome(config.reference))
    if headers and samples is not None:
        faults += match_samples(samples, headers[0].samples, config.samples.path, headers[0].path)
    if headers and all(header.first_contig is None for header in headers):
        paths = ", ".join(header.path for header in headers)
        faults.append(fault(paths, "records", found="none", wanted="at least one variant"))
    for header in headers:
        faults += _content_faults(header, config)
        faults += _other_annotation(header, headers[0], config.annotation)
    return list(dict.fromkeys(faults))  # a table that two readers need is told once


def _read_gene_tables(config: EtlConfig) -> None:
    genes, _ = read_genes(config.genes, config.reference)
    if config.genes.properties is not None:
        read_properties(config.genes.properties, genes)


def _folder_faults(work: str) -> list[str]:
    path = Path(work)
    nearest = next((place for place in (path, *path.parents) if place.exists()), path)
    if nearest.is_dir() or not nearest.exists():
        return []
    return [fault(nearest, "out", found="a file", wanted="a folder, or a name that is free")]


def _content_faults(header: VcfHeader, config: EtlConfig) -> list[str]:
    faults = []
    if config.genotype_qc == "apply":
        faults += missing_fields(header.format_fields, header.path)
    try:
        fields = None
        if config.annotation.kind == "csq":
            told = header.info_descriptions.get(config.annotation.field)
            fields = csq_fields(config.annotation, told, header.path)
        check_masks(config.masks.resolved(), available_classes(fields), header.path)
    except InputError as error:
        faults += error.faults
    return faults


def _other_annotation(header: VcfHeader, first: VcfHeader, annotation: AnnotationConfig) -> list[str]:
    """The fault of a file whose sub-fields differ from the first file's, in whose order all are read."""
    if annotation.kind != "csq" or annotation.csq_fields:
        return []
    own, wanted = (csq_format(told.info_descriptions.get(annotation.field, "")) for told in (header, first))
    if not own or not wanted or own == wanted:
        return []
    return [
        fault(
            header.path,
            f"INFO {annotation.field}",
            found="|".join(own),
            wanted=f"{'|'.join(wanted)} as in {first.path}",
        )
    ]
