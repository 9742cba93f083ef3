"""The VCF files of a run, found and checked without Hail."""

from __future__ import annotations

import glob
from collections.abc import Collection
from pathlib import Path

from contract.errors import InputError, fault
from etl.config import VcfConfig
from etl.ingest.header import VcfHeader, check_build, read_header

GENOTYPE_QC_FIELDS = ("AD", "DP", "GQ", "PL")
"""FORMAT fields that genotype quality control reads besides GT."""


def find_files(config: VcfConfig) -> list[Path]:
    """The files that the paths and globs name, each glob sorted, each file once where it is first named.

    Raises
    ------
    InputError
        If a path or glob matches nothing.
    """
    found: dict[Path, Path] = {}
    faults = []
    for pattern in config.vcf:
        matches = sorted(glob.glob(pattern)) or ([pattern] if Path(pattern).exists() else [])
        if not matches:
            faults.append(
                fault(pattern, "input.vcf", found="no such file", wanted="a VCF file or a glob of some")
            )
        for match in matches:
            found.setdefault(Path(match).resolve(), Path(match))
    if faults:
        raise InputError(faults)
    return list(found.values())


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
    order of them, or genotype fields of another type than in the first file, whose header all are read by.
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
        faults += _other_types(header, headers[0])
    return headers, faults


def missing_fields(found: Collection[str], path: str) -> list[str]:
    """The fault of a file that lacks FORMAT fields which genotype quality control reads."""
    absent = [name for name in GENOTYPE_QC_FIELDS if name not in found]
    if not absent:
        return []
    shown = ", ".join(sorted(found)) or "none"
    wanted = f"also {', '.join(absent)} for genotype quality control (genotype_qc: skip does without it)"
    return [fault(path, "FORMAT", found=shown, wanted=wanted)]


def _other_types(header: VcfHeader, first: VcfHeader) -> list[str]:
    return [
        fault(
            header.path,
            f"FORMAT {name}",
            found=header.format_fields[name] or "no Number and Type",
            wanted=f"{first.format_fields[name] or 'no Number and Type'} as in {first.path}",
        )
        for name in ("GT", *GENOTYPE_QC_FIELDS)
        if name in header.format_fields
        and name in first.format_fields
        and _read_as(name, header.format_fields[name]) != _read_as(name, first.format_fields[name])
    ]


def _read_as(name: str, declared: str) -> tuple[bool, str]:
    """One value or several, and of what type: R, G and . are all lists; GQ is read as decimal anyhow."""
    kind = declared.rpartition("Type=")[2]
    return "Number=1," in f"{declared},", "Float" if name == "GQ" and kind == "Integer" else kind
