"""VCF and BCF files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar

from etl.ingest.build import check_build
from etl.ingest.header import VcfHeader, read_header
from etl.ingest.ranges import CAN_BE_CUT, FileRange, plan_ranges
from etl.ingest.source import CallsHeader, Reference, Source, find_paths

log = logging.getLogger(__name__)


class VcfSource(Source):
    """VCF as text, gzipped or bgzipped, and BCF."""

    people_field: ClassVar[str] = "#CHROM line"

    def paths(self) -> list[str]:
        """The files."""
        return find_paths(self.config.paths, "input.vcf", "a VCF file or a glob of some")

    def files(self) -> list[str]:
        """The files."""
        return self.paths()

    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """Header and first record."""
        header = read_header(path)
        return header, check_build(header, reference.name)

    def parts(
        self, headers: Sequence[CallsHeader], n_parts: int, reference: Reference
    ) -> Sequence[FileRange]:
        """Byte ranges; plain gzip and BCF can't be cut."""
        vcf_headers = [header for header in headers if isinstance(header, VcfHeader)]
        whole = [header for header in vcf_headers if header.kind not in CAN_BE_CUT]
        if whole:
            log.warning(
                "%d of %d files are plain gzip or BCF (first: %s): they can't be split, one task reads each; "
                "bgzip them as VCF to use every core",
                len(whole),
                len(headers),
                whole[0].path,
            )
        return plan_ranges(vcf_headers, n_parts)
