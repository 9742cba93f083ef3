"""How many people and variants a configuration's calls have, without reading them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from contract.errors import InputError, fault
from contract.storage import absolute
from etl.config import EtlConfig
from etl.ingest.files import open_source, read_headers
from etl.ingest.header import VcfHeader
from etl.ingest.ranges import CAN_BE_CUT, FileRange, read_text
from etl.ingest.source import CallsHeader, file_size
from etl.ingest.sources.bgen import BgenCallsHeader
from etl.ingest.sources.pgen import PgenHeader
from etl.ingest.sources.plink import PlinkHeader

SAMPLE_BYTES = 4 * 2**20
"""Of a file, as it is stored, from which its records are counted."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """What a cluster is sized for."""

    people: int
    variants: int
    stored_bytes: float | None
    """Of the calls' files; None where they were not looked at."""
    told: str
    """Where the numbers come from."""
    exports_matrix_table: bool


def cohort_of(config: EtlConfig, *, people: int | None, variants: int | None) -> Cohort:
    """People and variants as named, else as the calls have them; with both named, no file is opened.

    Raises
    ------
    InputError
        If the calls can't be read, or don't tell what was not named.
    """
    exports = "matrix_table" in config.export
    if people is not None and variants is not None:
        told = "both as named"
        return Cohort(
            people=people, variants=variants, stored_bytes=None, told=told, exports_matrix_table=exports
        )
    headers = read_headers(config.input, config.reference)
    sources = (
        "people of the headers" if people is None else "people as named",
        "variants estimated from the first records and the files' size"
        if variants is None
        else "variants as named",
    )
    return Cohort(
        people=_people(headers) if people is None else people,
        variants=_variants(headers) if variants is None else variants,
        stored_bytes=open_source(config.input).size(),
        told=", ".join(sources),
        exports_matrix_table=exports,
    )


def _people(headers: Sequence[CallsHeader]) -> int:
    if headers[0].samples is None:
        raise InputError(
            fault(headers[0].path, "people", found="a table that Hail alone reads", wanted="--people N")
        )
    return len(headers[0].samples)


def _variants(headers: Sequence[CallsHeader]) -> int:
    """Sum over the files: what PLINK and BGEN say, VCFs that can be cut by their first records."""
    return sum(_variants_of(header) for header in headers)


def _variants_of(header: CallsHeader) -> int:
    if isinstance(header, PlinkHeader | PgenHeader):
        return header.n_variants
    if isinstance(header, BgenCallsHeader):
        return header.file.n_variants
    if not isinstance(header, VcfHeader) or header.kind not in CAN_BE_CUT:
        found = "a format whose first records don't tell how many there are"
        raise InputError(fault(header.path, "variants", found=found, wanted="--variants N"))
    return estimated_records(header)


def estimated_records(header: VcfHeader) -> int:
    """Records of a file, from how many its first megabytes hold.

    The header's lines take a part of those megabytes; it is counted as if it packed like the records.
    """
    size = file_size(header.path)
    stop = min(size, SAMPLE_BYTES)
    part = FileRange(0, absolute(header.path), header.kind, 0, stop)
    n_records = sum(1 for line in chain.from_iterable(text.splitlines() for text in read_text(part)) if line)
    return round(n_records * size / stop)
