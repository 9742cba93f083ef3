"""BGEN files with an optional .sample file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.storage import absolute, open_storage
from etl.ingest.contig_names import contig_of
from etl.ingest.header import decode, shown
from etl.ingest.record import Record, RecordSettings
from etl.ingest.source import CallsHeader, Reference, Source, find_paths
from etl.ingest.sources.bgen_file import (
    BgenHeader,
    read_bgen_header,
    read_variant,
    size_faults,
    variant_starts,
)
from etl.ingest.sources.hard_calls import hard_calls
from etl.ingest.sources.plink import variants_per_part
from etl.ingest.sources.reference_allele import ReferenceChoice

ANONYMOUS = "(anonymous_sample_"
"""How tools of BGEN begin ids of people without names."""


@dataclass(frozen=True, kw_only=True)
class BgenCallsHeader(CallsHeader):
    """The header of one file."""

    samples: tuple[str, ...]
    file: BgenHeader


@dataclass(frozen=True)
class BgenPart:
    """Consecutive variants of one file."""

    number: int
    path: str
    first_byte: int
    count: int
    compression: int
    min_probability: float
    choice: ReferenceChoice

    def records(self, settings: RecordSettings) -> Iterator[Record]:
        """Its records: the reference allele chosen, calls by their probability.

        Raises
        ------
        InputError
            If a variant is damaged, of a width or ploidy that is not read, or of other people.
        """
        filesystem, path = open_storage(self.path)
        with filesystem.open(path, "rb") as stream:
            stream.seek(self.first_byte)
            for _ in range(self.count):
                variant = read_variant(self.path, stream, self.compression)
                place = f"variant {variant.contig}:{variant.position}"
                if len(variant.ploidy_P) != settings.n_people:
                    found, wanted = f"{len(variant.ploidy_P)} people", f"{settings.n_people}"
                    raise InputError(fault(self.path, place, found=found, wanted=wanted))
                try:
                    alleles_2P = hard_calls(variant, self.min_probability)
                except ValueError as error:
                    wanted = "probabilities as in BGEN 1.2"
                    raise InputError(fault(self.path, place, found=str(error), wanted=wanted)) from None
                yield self._record(variant.contig, variant.position, variant.alleles, alleles_2P)

    def _record(self, name: str, position: int, written: list[str], alleles_2P: NDArray[np.int8]) -> Record:
        contig = contig_of(name, self.choice.genome)
        alleles = [allele.upper() for allele in written]
        place = self.choice.place(contig, position, alleles)
        order = [place, *(other for other in range(len(alleles)) if other != place)]
        if place:
            # Allele number -> number in the new order; the marks below zero stay, at the end.
            new_numbers = np.empty(len(alleles) + 2, dtype=np.int8)
            new_numbers[order] = np.arange(len(alleles))
            new_numbers[-2:] = (-2, -1)
            alleles_2P = new_numbers[alleles_2P]
        ref, *alts = (alleles[number] for number in order)
        return Record(
            contig=contig,
            position=position,
            ref=ref,
            alts=alts,
            filters=[],
            annotation=None,
            alleles_HP=alleles_2P,
            numbers={},
        )


class BgenSource(Source):
    """BGEN 1.2 and 1.3."""

    people_field: ClassVar[str] = "sample ids"

    def paths(self) -> list[str]:
        """The .bgen files."""
        return find_paths(self.config.paths, "input.bgen", "a BGEN file or a glob of some")

    def files(self) -> list[str]:
        """The same and the .sample file."""
        return self.paths() + ([self.config.sample] if self.config.sample else [])

    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """Header block, sample ids, the first variant and, where that is cheap, the end of the last one."""
        file = read_bgen_header(path)
        header = BgenCallsHeader(
            path=path,
            samples=self._samples(path, file),
            format_fields=("GT",),
            first_contig=_first_contig(path, file),
            file=file,
        )
        return header, size_faults(path, file)

    def parts(self, headers: Sequence[CallsHeader], n_parts: int, reference: Reference) -> Sequence[BgenPart]:
        """Runs of variants; finding them reads through each file's variants, not their probabilities."""
        files = [header for header in headers if isinstance(header, BgenCallsHeader)]
        n_variants = sum(header.file.n_variants for header in files)
        every = variants_per_part(n_variants, len(files[0].samples), n_parts)
        choice = ReferenceChoice(reference, takes_last=self.config.reference_allele == "last")
        parts: list[BgenPart] = []
        for header in files:
            path, file = absolute(header.path), header.file
            for number, start in enumerate(variant_starts(path, file, every)):
                count = min(every, file.n_variants - number * every)
                least = self.config.min_probability
                parts.append(BgenPart(len(parts), path, start, count, file.compression, least, choice))
        return parts

    def _samples(self, path: str, file: BgenHeader) -> tuple[str, ...]:
        if self.config.sample is None:
            if file.samples is None:
                found, wanted = "no ids in the file", "`input.sample`, the .sample file that belongs to it"
                raise InputError(fault(path, "sample ids", found=found, wanted=wanted))
            return file.samples
        first, second = read_sample_file(self.config.sample)
        if len(second) != file.n_people:
            found, wanted = f"{len(second)} people", f"{file.n_people}, as in {path}"
            raise InputError(fault(self.config.sample, "people", found=found, wanted=wanted))
        named = file.samples is not None and not file.samples[0].startswith(ANONYMOUS)
        if named and file.samples not in (first, second):
            both = tuple(f"{one}_{other}" for one, other in zip(first, second, strict=True))
            if file.samples != both:
                found, wanted = "other ids than in the file, or another order", f"those of {path}"
                raise InputError(fault(self.config.sample, "people", found=found, wanted=wanted))
        return second


def read_sample_file(url: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """ID_1 and ID_2 of a .sample file (www.cog-genomics.org/plink/2.0/formats#sample).

    A file of QCTOOL 2 has one column of ids, which stands for both.

    Raises
    ------
    InputError
        If it is absent or its first two lines are not those of a .sample file.
    """
    filesystem, path = open_storage(url)
    try:
        with filesystem.open(path, "rb") as stream:
            rows = [line.split() for line in decode(stream.read()).splitlines() if line.strip()]
    except OSError as error:
        found = f"no readable file ({error.strerror or error})"
        raise InputError(fault(url, "input.sample", found=found, wanted="a .sample file")) from None
    wanted = "two lines of names and types, the first with ID_1 and ID_2, then a line for each person"
    if len(rows) < 2 or rows[0][0] not in ("ID", "ID_1") or rows[1][0] != "0":
        found = shown(" ".join(rows[0])) if rows else "an empty file"
        raise InputError(fault(url, "first lines", found=found, wanted=wanted))
    for number, row in enumerate(rows[2:], start=1):
        if len(row) != len(rows[0]):
            found, wanted = f"{len(row)} columns", f"{len(rows[0])}, as its first line has"
            raise InputError(fault(url, f"person {number}", found=found, wanted=wanted))
    second = 1 if rows[0][1:2] == ["ID_2"] else 0
    return tuple(row[0] for row in rows[2:]), tuple(row[second] for row in rows[2:])


def _first_contig(path: str, file: BgenHeader) -> str | None:
    if file.n_variants == 0:
        return None
    filesystem, inner = open_storage(path)
    with filesystem.open(inner, "rb") as stream:
        stream.seek(file.first_byte)
        try:
            return read_variant(path, stream, file.compression).contig
        except EOFError:
            found, wanted = "the file's end", f"the first of {file.n_variants} variants"
            raise InputError(fault(path, "variant 1", found=found, wanted=wanted)) from None
