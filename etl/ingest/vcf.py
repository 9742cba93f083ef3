"""What a task does with a part of the calls: records in, rows of the sparse cohort and sums out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.storage import join, replaced_whole
from etl.cohort.parts import part_name
from etl.cohort.schema import COHORT_SCHEMA, NOT_CALLED, RULES
from etl.ingest.alleles import minimal_representation
from etl.ingest.record import Record, RecordSettings
from etl.ingest.rows import AlleleRows
from etl.ingest.sites import SiteRules
from etl.ingest.source import CallsPart
from etl.ingest.split import HAPLOID, Genotypes, list_calls
from etl.qc.genotype import judge_calls
from etl.thresholds import GenotypeThresholds

ROWS_PER_GROUP = 16_384
CALLS_PER_GROUP = 1_000_000
"""A row group is written when either is reached: it bounds a task's memory."""


@dataclass(frozen=True)
class ReadSettings:
    """Everything that reading depends on beside the files."""

    records: RecordSettings
    sites: SiteRules
    half_calls: Literal["missing", "haploid"]
    limits: GenotypeThresholds | None
    """None: every call is trusted."""


READ_SUMS = ("n_dp", "sum_dp", "n_gq", "sum_gq", "n_dp_x", "sum_dp_x", "n_dp_y", "sum_dp_y")
"""Numbers and sums of a person's DP and GQ; the last ones are those of X, outside its pseudo-autosomal
regions, and of Y alone."""

Place = tuple[str, int]
"""Contig and position."""


@dataclass
class Totals:
    """Counts of one or several ranges; axis P is people."""

    counts: dict[str, int] = field(default_factory=dict)
    sums_8P: NDArray[np.int64] | None = None
    """READ_SUMS over good sites, before the genotype rules."""
    keys_V: list[NDArray[np.uint64]] = field(default_factory=list)
    """Digests of the variants' names: equal ones are looked at again, so that two rarely need to be."""

    ends: dict[int, tuple[str, Place, Place]] = field(default_factory=dict)
    """Number of a range -> its file, and where its first and its last record stand."""

    @property
    def n_out_of_order(self) -> int:
        """Records that stand before the one that they follow; the same for any ranges of a file."""
        borders = pairwise(ends for _, ends in sorted(self.ends.items()))
        return self.counts.get("records_out_of_order", 0) + sum(
            path == next_path and _is_before(first, last)
            for (path, _, last), (next_path, first, _) in borders
        )

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self.counts[name] = self.counts.get(name, 0) + number

    def __add__(self, other: Totals) -> Totals:
        names = self.counts.keys() | other.counts.keys()
        sums = [sums for sums in (self.sums_8P, other.sums_8P) if sums is not None]
        return Totals(
            {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in sorted(names)},
            np.add.reduce(sums) if sums else None,
            self.keys_V + other.keys_V,
            self.ends | other.ends,
        )


def _is_before(place: Place, other: Place) -> bool:
    return place[0] == other[0] and place[1] < other[1]


def read_range(part: CallsPart, settings: ReadSettings, folder: str) -> Totals:
    """Write the rows of one range into `folder` and return its totals; a range without rows leaves no file.

    Raises
    ------
    InputError
        If the file is damaged or a record can't be used, see `Reading`.
    """
    reading = Reading(part, settings)
    with replaced_whole(join(folder, part_name(part.number))) as path:
        writer: pq.ParquetWriter | None = None
        for table in reading.tables():
            writer = writer or pq.ParquetWriter(str(path), COHORT_SCHEMA, compression="zstd")
            writer.write_table(table)
        if writer:
            writer.close()
    return reading.totals()


class Reading:
    """Turns the records of a range into tables of the cohort and counts what it meets."""

    def __init__(self, part: CallsPart, settings: ReadSettings) -> None:
        self._part = part
        self._settings = settings
        self._keys: list[bytes] = []
        self._first: Place | None = None
        self._last: Place = ("", 0)
        self._totals = Totals(sums_8P=np.zeros((len(READ_SUMS), settings.records.n_people), dtype=np.int64))

    def totals(self) -> Totals:
        """What was counted so far."""
        ends = {self._part.number: (self._part.path, self._first, self._last)} if self._first else {}
        keys_V = [np.frombuffer(b"".join(self._keys), dtype=np.uint64)]
        return replace(self._totals, keys_V=keys_V, ends=ends)

    def tables(self) -> Iterator[pa.Table]:
        """Tables of `COHORT_SCHEMA`, of bounded size.

        Raises
        ------
        InputError
            If a record lies outside its contig, or a call has more than two alleles or one that the record
            does not name.
        """
        rows = AlleleRows()
        for record in self._part.records(self._settings.records):
            self._add(record, rows)
            if len(rows) >= ROWS_PER_GROUP or rows.n_listed >= CALLS_PER_GROUP:
                yield self._judged(rows)
                rows = AlleleRows()
        if len(rows):
            yield self._judged(rows)

    def _judged(self, rows: AlleleRows) -> pa.Table:
        n_people = self._settings.records.n_people
        judged = judge_calls(rows.listed, self._settings.limits)
        self._totals.count("variants", len(rows))
        self._totals.count("genotypes", len(rows) * n_people)
        self._totals.count("not_called", int(judged.count_VC[:, NOT_CALLED].sum()))
        for rule, failed in zip(RULES, judged.failed_VR.sum(axis=0).tolist(), strict=True):
            self._totals.count(f"failed_{rule}", failed)
        return rows.table(judged, n_people)

    def _add(self, record: Record, rows: AlleleRows) -> None:
        sites = self._settings.sites
        self._totals.count("records")
        if record.contig not in sites.genome.lengths:
            self._totals.count("contig_outside_reference")
            return
        if sites.at_telomere(record):
            self._totals.count("at_telomere")
            return
        sites.check_position(self._part.path, record)
        here = (record.contig, record.position)
        if _is_before(here, self._last):
            self._totals.count("records_out_of_order")
        self._first, self._last = self._first or here, here
        if not record.alts:
            self._totals.count("no_alternate_allele")
            return
        region = sites.genome.region(record.contig, record.position)
        genotypes = self._genotypes(record, diploid=region in ("autosome", "par"))
        good = False
        for place, alt in enumerate(record.alts):
            if alt in record.alts[:place]:
                continue
            reasons = sites.reasons(record, place)
            good = good or not reasons
            site = self._site(record, place, region, reasons)
            rows.add(site, list_calls(genotypes, place + 1, len(record.alts) + 1, self._settings.limits))
        if good:
            self._add_sums(genotypes, region)

    def _site(self, record: Record, place: int, region: str, reasons: list[str]) -> dict[str, object]:
        position, ref, alt = minimal_representation(record.position, record.ref, record.alts[place])
        self._keys.append(variant_digest(record.contig, position, ref, alt))
        return {
            "variant": (self._part.number << 32) | (len(self._keys) - 1),
            "contig": record.contig,
            "position": position,
            "ref": ref,
            "alt": alt,
            "region": region,
            "old_position": record.position,
            "old_alleles": [record.ref, *record.alts],
            "a_index": place + 1,
            "filters": record.filters,
            "annotation": record.annotation,
            "site_reasons": reasons,
        }

    def _genotypes(self, record: Record, *, diploid: bool) -> Genotypes:
        n_people = self._settings.records.n_people
        alleles_HP = record.alleles_HP
        if alleles_HP is None:
            alleles_HP = np.full((1, n_people), -1, dtype=np.int16)
        self._check_alleles(record, alleles_HP)
        first_P = alleles_HP[0]
        second_P = alleles_HP[1] if len(alleles_HP) > 1 else np.full(n_people, HAPLOID, dtype=np.int16)
        if self._settings.half_calls == "haploid" and not diploid:
            first_P, second_P = _as_haploid(first_P, second_P)
        numbers = record.numbers
        return Genotypes(
            first_P=first_P,
            second_P=second_P,
            called_P=(first_P >= 0) & (second_P != -1),
            ad_PA=numbers.get("AD"),
            dp_P=numbers["DP"][:, 0] if "DP" in numbers else None,
            gq_P=numbers["GQ"][:, 0] if "GQ" in numbers else None,
            pl_PG=numbers.get("PL"),
        )

    def _check_alleles(self, record: Record, alleles_HP: NDArray[np.integer]) -> None:
        where = f"record {record.contig}:{record.position}"
        if len(alleles_HP) > 2:
            found = f"calls of ploidy {len(alleles_HP)}"
            raise InputError(fault(self._part.path, where, found=found, wanted="haploid and diploid calls"))
        largest = int(alleles_HP.max(initial=0))
        if largest > len(record.alts):
            wanted = f"0 to {len(record.alts)}: the record has {len(record.alts)} alternate alleles"
            raise InputError(fault(self._part.path, where, found=f"GT with allele {largest}", wanted=wanted))

    def _add_sums(self, genotypes: Genotypes, region: str) -> None:
        sums_8P = self._totals.sums_8P
        assert sums_8P is not None
        added = [(0, genotypes.dp_P), (2, genotypes.gq_P)]
        if region in ("x", "y"):
            added.append((4 if region == "x" else 6, genotypes.dp_P))
        for row, values_P in added:
            if values_P is not None:
                sums_8P[row] += values_P >= 0
                sums_8P[row + 1] += np.maximum(values_P, 0)


def variant_digest(contig: str, position: int, ref: str, alt: str) -> bytes:
    """Eight bytes that stand for a variant's name; other names share them once in 10^19 pairs."""
    return blake2b(f"{contig}:{position}:{ref}:{alt}".encode(), digest_size=8).digest()


def _as_haploid(
    first_P: NDArray[np.integer], second_P: NDArray[np.integer]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Half-calls such as 0/. as haploid calls of the allele that is known."""
    left_P, right_P = (first_P >= 0) & (second_P == -1), (first_P == -1) & (second_P >= 0)
    return (
        np.where(right_P, second_P, first_P),
        np.where(left_P | right_P, np.int16(HAPLOID), second_P),
    )
