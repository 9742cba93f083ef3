"""The VCF files of a run, found and checked without Hail and Spark."""

from __future__ import annotations

import os
from collections.abc import Collection

from contract.errors import InputError, fault
from contract.storage import open_storage
from etl.config import VcfConfig
from etl.genome import GenomeName
from etl.ingest.build import check_build
from etl.ingest.header import VcfHeader, read_header

GENOTYPE_QC_FIELDS = ("AD", "DP", "GQ", "PL")
"""FORMAT fields that genotype quality control reads besides GT."""


def find_files(config: VcfConfig) -> list[str]:
    """The files that the paths, URLs and globs name, each glob sorted, each file once where first named.

    Raises
    ------
    InputError
        If a path or glob matches nothing.
    """
    found: dict[str, str] = {}
    faults = []
    for pattern in config.vcf:
        matches = _matches(pattern)
        if not matches:
            faults.append(
                fault(pattern, "input.vcf", found="no such file", wanted="a VCF file or a glob of some")
            )
        for match in matches:
            found.setdefault(_identity(match), match)
    if faults:
        raise InputError(faults)
    return list(found.values())


def _identity(url: str) -> str:
    """The same for all names of a file, links among them."""
    filesystem, path = open_storage(url)
    return str(filesystem.unstrip_protocol(os.path.realpath(path) if os.path.exists(path) else path))


def _matches(pattern: str) -> list[str]:
    """Files of a glob, in the way of writing that the pattern has: with a scheme or without."""
    filesystem, path = open_storage(pattern)
    if filesystem.exists(path):
        return [pattern]
    paths = sorted(str(match) for match in filesystem.glob(path))
    return [str(filesystem.unstrip_protocol(match)) for match in paths] if "://" in pattern else paths


def read_headers(config: VcfConfig, reference: GenomeName) -> list[VcfHeader]:
    """Read and check all headers together.

    Raises
    ------
    InputError
        With every fault of every file, see `inspect_headers`.
    """
    headers, faults = inspect_headers(config, reference)
    if faults:
        raise InputError(faults)
    return headers


def inspect_headers(config: VcfConfig, reference: GenomeName) -> tuple[list[VcfHeader], list[str]]:
    """The headers that can be read, and every fault of every file.

    A fault is a path that matches nothing, an unreadable file, another build, other people or another
    order of them.
    """
    headers: list[VcfHeader] = []
    try:
        paths, faults = find_files(config), []
    except InputError as error:
        return [], error.faults
    for path in paths:
        try:
            header = read_header(path)
        except InputError as error:
            faults += error.faults
            continue
        headers.append(header)
        faults += check_build(header, reference)
        if not header.samples:
            faults.append(
                fault(path, "#CHROM line", found="no samples", wanted="genotypes of at least one person")
            )
        elif header.samples != headers[0].samples:
            faults.append(
                fault(
                    path,
                    "#CHROM line",
                    found="other samples, or another order",
                    wanted=f"those of {headers[0].path}",
                )
            )
    return headers, faults


def missing_fields(found: Collection[str], path: str) -> list[str]:
    """The fault of a file that lacks FORMAT fields which genotype quality control reads."""
    absent = [name for name in GENOTYPE_QC_FIELDS if name not in found]
    if not absent:
        return []
    shown = ", ".join(sorted(found)) or "none"
    wanted = f"also {', '.join(absent)} for genotype quality control (genotype_qc: skip does without it)"
    return [fault(path, "FORMAT", found=shown, wanted=wanted)]
