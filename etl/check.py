"""Start-up check: every fault of the configuration and of the inputs, in seconds, without Hail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from contract.errors import InputError, fault
from contract.storage import is_url, open_storage
from etl.aggregate.checks import Offered, check_masks
from etl.annotate.config import AnnotationConfig
from etl.annotate.csq_format import available_classes
from etl.annotate.first_record import check_first_record
from etl.annotate.genes import read_genes
from etl.annotate.group_files import read_mask_words, read_members
from etl.annotate.header import AnnotationHeader, annotation_header
from etl.annotate.intervals import read_parts
from etl.annotate.properties import read_properties
from etl.annotate.score_file import check_scores
from etl.annotate.scores import score_names
from etl.config import EtlConfig
from etl.export.covariates import check_columns
from etl.genome import genome
from etl.ingest.files import inspect_headers, missing_fields, open_source
from etl.ingest.intervals import read_intervals, read_low_complexity
from etl.ingest.kinship_table import read_kinship
from etl.ingest.samples import match_samples, read_samples
from etl.ingest.sites import check_fasta
from etl.ingest.source import CallsHeader
from etl.like.check import check_like

Found = TypeVar("Found")

FIRST_MEMBERS = 1000
"""Members of a group file that are read: the whole file may have millions."""


def check(config: EtlConfig) -> list[str]:
    """All faults that can be seen before any work: an empty list means that a run may start.

    Reads the profile, headers and first records of the calls, the samples table, the gene table and that of
    genes' properties, the beginning of a group file and of a score table, the capture intervals, regions of
    low complexity and the contigs of the reference's sequence.
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
    headers, in_headers = inspect_headers(config.input, config.reference, config.reference_fasta)
    faults += in_headers
    samples = attempt(lambda: read_samples(config.samples))
    attempt(lambda: check_columns(config))
    attempt(lambda: _read_gene_tables(config))
    attempt(lambda: _read_annotation_files(config.annotation))
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
    if headers and headers[0].samples is not None and samples is not None:
        faults += match_samples(
            samples,
            headers[0].samples,
            config.samples.path,
            headers[0].path,
            people_field=open_source(config.input).people_field,
        )
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
    if config.annotation.kind == "intervals":
        read_parts(config.annotation, config.genes, genes, genome(config.reference))


def _read_annotation_files(annotation: AnnotationConfig) -> None:
    """The first rows of what annotation reads beside the variants' files."""
    if annotation.scores is not None:
        check_scores(annotation.scores)
    if annotation.groups is not None:
        for _ in zip(range(FIRST_MEMBERS), read_members(annotation.groups), strict=False):
            pass
        if annotation.groups.masks is not None:
            read_mask_words(annotation.groups.masks)


def _folder_faults(work: str) -> list[str]:
    if is_url(work):
        return []
    path = Path(open_storage(work)[1])
    nearest = next((place for place in (path, *path.parents) if place.exists()), path)
    if nearest.is_dir() or not nearest.exists():
        return []
    return [fault(nearest, "out", found="a file", wanted="a folder, or a name that is free")]


def _content_faults(header: CallsHeader, config: EtlConfig) -> list[str]:
    faults = []
    if config.genotype_qc == "apply":
        faults += missing_fields(header.format_fields, header.path)
    try:
        told = annotation_header(config.annotation, header.info_descriptions, header.path)
        check_masks(config.masks.resolved(), _offered(config.annotation, told), header.path)
        check_first_record(config.annotation, told, header.first_info)
    except InputError as error:
        faults += error.faults
    return faults


def _offered(config: AnnotationConfig, told: AnnotationHeader) -> Offered:
    """What masks may ask for; a group file's classes are only known once it is read."""
    of_groups = config.kind == "groups"
    return Offered(
        classes=None if of_groups else available_classes(config, told.fields, calls_loss=told.calls_loss),
        scores=[*score_names(config, told.fields), *(["weight"] if of_groups else [])],
        loftee=config.kind == "csq" and "LoF" in told.fields,
        terms=config.kind != "intervals",
    )


def _other_annotation(header: CallsHeader, first: CallsHeader, annotation: AnnotationConfig) -> list[str]:
    """The fault of a file whose sub-fields differ from the first file's, in whose order all are read."""
    if annotation.info_field is None or annotation.csq_fields:
        return []
    try:
        own, wanted = (
            annotation_header(annotation, told.info_descriptions, told.path).fields
            for told in (header, first)
        )
    except InputError:
        return []  # told already
    if not own or not wanted or own == wanted:
        return []
    return [
        fault(
            header.path,
            f"INFO {annotation.info_field}",
            found="|".join(own),
            wanted=f"{'|'.join(wanted)} as in {first.path}",
        )
    ]
