"""The VCF files of a run, found and checked without Hail."""

from __future__ import annotations

import glob
from pathlib import Path

from contract.errors import InputError, fault
from etl.config import VcfConfig
from etl.ingest.header import VcfHeader, check_build, read_header

GENOTYPE_QC_FIELDS = ("AD", "DP", "GQ", "PL")
"""FORMAT fields that genotype quality control reads besides GT."""


def find_files(config: VcfConfig) -> list[Path]:
    """The files that the paths and globs name, each glob sorted.

    Raises
    ------
    InputError
        If a path or glob matches nothing.
    """
    found: list[Path] = []
    faults = []
    for pattern in config.vcf:
        matches = sorted(glob.glob(pattern)) or ([pattern] if Path(pattern).exists() else [])
        if not matches:
            faults.append(
                fault(pattern, "input.vcf", found="no such file", wanted="a VCF file or a glob of some")
            )
        found += [Path(match) for match in matches]
    if faults:
        raise InputError(faults)
    return found


def read_headers(config: VcfConfig, reference: str) -> list[VcfHeader]:
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


def inspect_headers(config: VcfConfig, reference: str) -> tuple[list[VcfHeader], list[str]]:
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


def missing_fields(found: frozenset[str], path: str) -> list[str]:
    """The fault of a file that lacks FORMAT fields which genotype quality control reads."""
    absent = [name for name in GENOTYPE_QC_FIELDS if name not in found]
    if not absent:
        return []
    shown = ", ".join(sorted(found)) or "none"
    wanted = f"also {', '.join(absent)} for genotype quality control (genotype_qc: skip does without it)"
    return [fault(path, "FORMAT", found=shown, wanted=wanted)]
