"""Start-up check of new people: the first cohort's reference, headers, samples table and annotation."""

from __future__ import annotations

from contract.errors import InputError, fault
from contract.reference import check_files, open_reference
from etl.annotate.first_record import check_first_record
from etl.annotate.header import annotation_header
from etl.config import EtlConfig
from etl.export.covariates import column_names
from etl.genome import genome
from etl.ingest.files import inspect_headers, missing_fields, open_source
from etl.ingest.intervals import read_intervals, read_low_complexity
from etl.ingest.samples import read_columns
from etl.ingest.sites import check_fasta
from etl.ingest.source import CallsHeader
from etl.like.samples import read_new_people


def check_like(config: EtlConfig) -> list[str]:
    """All faults that can be seen before any work; files of another build are among them."""
    headers, faults = inspect_headers(config.input, config.reference, config.reference_fasta)
    try:
        config.resolved_profile()
        check_files(open_reference(str(config.like)))
        if config.intervals is not None:
            read_intervals(config.intervals, config.reference)
        if config.low_complexity is not None:
            read_low_complexity(config.low_complexity, config.reference)
        if column_names(config.covariates):
            read_columns(config.samples, column_names(config.covariates))
        if headers and headers[0].samples is not None:
            read_new_people(
                config.samples,
                headers[0].samples,
                headers[0].path,
                people_field=open_source(config.input).people_field,
            )
    except InputError as error:
        faults += error.faults
    if config.reference_fasta is not None:
        faults += check_fasta(config.reference_fasta, genome(config.reference))
    for header in headers:
        faults += _header_faults(header, config)
    return faults


def _header_faults(header: CallsHeader, config: EtlConfig) -> list[str]:
    faults = missing_fields(header.format_fields, header.path) if config.genotype_qc == "apply" else []
    if header.first_contig is None:
        faults.append(fault(header.path, "records", found="none", wanted="at least one variant"))
    try:
        told = annotation_header(config.annotation, header.info_descriptions, header.path)
        check_first_record(config.annotation, told, header.first_info)
    except InputError as error:
        remedy = "for variants that nobody of the first cohort carries, or unseen_variants: absent"
        faults += [f"{text} {remedy}" for text in error.faults]
    return faults
