"""VCF files into a Hail MatrixTable."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import hail as hl

from etl.config import VcfConfig
from etl.ingest.header import VcfHeader, with_decimal_quality
from etl.session import small_partitions

log = logging.getLogger(__name__)

HALF_CALL = r"\t(\d+)[/|]\.(?=[:\t]|$)"
"""A genotype with one known and one unknown allele, at the start of a sample's field."""


def read_vcf(config: VcfConfig, headers: Sequence[VcfHeader], reference: str) -> hl.MatrixTable:
    """Import VCF files: rows keyed by locus and alleles, columns by `s`, entries and INFO as in the files.

    Files in plain gzip are read with a warning: they can't be split, so each is one partition.
    Half-calls such as `0/.` become haploid calls when the configuration says so, and stay no call where
    everybody is diploid; Hail alone reads them as missing, which would leave men without any call on X.
    GQ is rounded down to a whole number.
    """
    plain = [header.path for header in headers if header.compression == "gzip"]
    if plain:
        log.warning(
            "%d of %d files are plain gzip (first: %s): they can't be split, one task reads each; bgzip them",
            len(plain),
            len(headers),
            plain[0],
        )
    groups = [plain, [header.path for header in headers if header.compression != "gzip"]]
    header_path = hl.utils.new_temp_file("header", "vcf")
    with hl.hadoop_open(header_path, "w") as stream:
        stream.write(with_decimal_quality(headers[0].text))
    settings = {
        "reference_genome": reference,
        "array_elements_required": False,
        "entry_float_type": hl.tfloat32,
        "find_replace": (HALF_CALL, "\t$1") if config.half_calls == "haploid" else None,
        "header_file": header_path,
    }
    parts = [_import(config, paths, settings, plain_gzip=paths is plain) for paths in groups if paths]
    mt = reduce(lambda left, right: left.union_rows(right), parts)
    if config.half_calls == "haploid":
        diploid_here = mt.locus.in_autosome_or_par() & (mt.GT.ploidy == 1)
        mt = mt.annotate_entries(GT=hl.or_missing(~hl.or_else(diploid_here, False), mt.GT))
    return mt.annotate_entries(GQ=hl.int32(hl.floor(mt.GQ))) if "GQ" in mt.entry else mt


def _import(
    config: VcfConfig, paths: list[str], settings: dict[str, Any], *, plain_gzip: bool
) -> hl.MatrixTable:
    return hl.import_vcf(
        [str(Path(path).resolve()) for path in paths],
        force=plain_gzip,
        force_bgz=not plain_gzip,
        min_partitions=None if plain_gzip else config.min_partitions or small_partitions(0),
        **settings,
    )
