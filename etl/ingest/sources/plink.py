"""PLINK 1: .bed, .bim and .fam. Format: www.cog-genomics.org/plink/1.9/formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.storage import absolute, open_storage
from etl.genome import genome
from etl.ingest.contig_names import contig_of
from etl.ingest.fam import men, read_people_file
from etl.ingest.record import Record, RecordSettings
from etl.ingest.source import CallsHeader, Reference, Source, file_size, find_paths
from etl.ingest.sources.haploid import as_haploid, packed, unpacked
from etl.ingest.sources.reference_allele import ReferenceChoice
from etl.ingest.sources.variant_lines import LineFormat, line_starts, lines_from, summarize

BIM = LineFormat(separator=None, names=("CHROM", "ID", "CM", "POS", "A1", "A2"), alleles=("A1", "A2"))

MAGIC = b"\x6c\x1b"
SNP_MAJOR = b"\x01"
HEAD = 3
"""Bytes before the first variant's row."""

FEWEST_VARIANTS = 1000
MOST_CALLS = 64 * 10**6
"""Of a part: enough to be worth a task, few enough to spread and to repeat."""

_READ_SIZE = 4 * 2**20

# A byte holds four people, the first in its lowest bits. 0: both alleles A1, 1: missing, 2: one of each,
# 3: both A2.
_CODES_256x4 = (np.arange(256)[:, np.newaxis] >> np.array([0, 2, 4, 6])) & 3
_BY_REFERENCE = {
    "A1": np.array([[0, -1, 0, 1], [0, -1, 1, 1]], dtype=np.int8)[:, _CODES_256x4],
    "A2": np.array([[1, -1, 0, 0], [1, -1, 1, 0]], dtype=np.int8)[:, _CODES_256x4],
}
"""Reference allele -> allele numbers by haplotype, byte and person in it."""


@dataclass(frozen=True, kw_only=True)
class PlinkHeader(CallsHeader):
    """What the three files of one set say."""

    samples: tuple[str, ...]
    n_variants: int
    men: bytes
    """Packed, see `etl.ingest.sources.haploid`."""


@dataclass(frozen=True)
class PlinkPart:
    """Consecutive variants of one .bed."""

    number: int
    path: str
    first: int
    count: int
    bim_byte: int
    """Where the first one's line begins."""
    men: bytes
    choice: ReferenceChoice

    def records(self, settings: RecordSettings) -> Iterator[Record]:
        """Its records, the reference allele chosen; calls of men on X and of all on Y and MT are haploid.

        Raises
        ------
        InputError
            If a line is not as it was when the run was planned.
        """
        men_P = unpacked(self.men, settings.n_people)
        rows = self._rows(settings.n_people)
        lines = lines_from(bim_path(self.path), self.bim_byte, self.count)
        for line, row in zip(lines, rows, strict=True):
            yield self._record(line.split(), row, men_P)

    def _record(self, cells: list[str], row: NDArray[np.uint8], men_P: NDArray[np.bool_]) -> Record:
        name, _, _, position, *alleles = cells
        contig = contig_of(name, self.choice.genome)
        a1, a2 = (allele.upper() for allele in alleles)
        last = self.choice.place(contig, int(position), [a1, a2]) == 1
        ref, alt = (a2, a1) if last else (a1, a2)
        padded = _BY_REFERENCE["A2" if last else "A1"][:, row].reshape(2, -1)
        alleles_2P: NDArray[np.integer] = padded[:, : len(men_P)]
        if contig in self.choice.genome.lengths:
            region = self.choice.genome.region(contig, int(position))
            alleles_2P = as_haploid(alleles_2P, region, men_P)
        return Record(
            contig=contig,
            position=int(position),
            ref=ref,
            # PLINK writes 0 for the allele of a variant that nobody has.
            alts=[] if alt in ("0", ".") else [alt],
            filters=[],
            annotation=None,
            alleles_HP=alleles_2P,
            numbers={},
        )

    def _rows(self, n_people: int) -> Iterator[NDArray[np.uint8]]:
        width = row_width(n_people)
        per_read = max(1, _READ_SIZE // width)
        filesystem, path = open_storage(self.path)
        with filesystem.open(path, "rb") as stream:
            stream.seek(HEAD + self.first * width)
            for start in range(0, self.count, per_read):
                n_rows = min(per_read, self.count - start)
                content = stream.read(n_rows * width)
                if len(content) < n_rows * width:
                    found, wanted = "fewer bytes than when the run began", "a file that stays as it is"
                    raise InputError(fault(self.path, "size", found=found, wanted=wanted))
                yield from np.frombuffer(content, dtype=np.uint8).reshape(n_rows, width)


class PlinkSource(Source):
    """Sets of .bed, .bim and .fam."""

    people_field: ClassVar[str] = ".fam"

    def paths(self) -> list[str]:
        """The .bed files."""
        beds = [path if path.endswith(".bed") else f"{path}.bed" for path in self.config.paths]
        return find_paths(beds, "input.plink", "a .bed file, its prefix, or a glob of some")

    def files(self) -> list[str]:
        """All three of each set."""
        return [file for bed in self.paths() for file in (bed, bim_path(bed), fam_path(bed))]

    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """People of the .fam, all lines of the .bim, magic number and size of the .bed."""
        people = read_people_file(fam_path(path))
        variants = summarize(bim_path(path), BIM, genome(reference.name))
        header = PlinkHeader(
            path=path,
            samples=tuple(people["sample_id"]),
            format_fields=("GT",),
            first_contig=variants.first_contig,
            n_variants=variants.n_variants,
            men=packed(men(people)),
        )
        faults = variants.faults + _bed_faults(header)
        if reference.fasta is not None and not faults:
            faults += self._choice(reference).build_faults(bim_path(path), variants.snps)
        return header, faults

    def parts(
        self, headers: Sequence[CallsHeader], n_parts: int, reference: Reference
    ) -> Sequence[PlinkPart]:
        """Runs of variants."""
        sets = [header for header in headers if isinstance(header, PlinkHeader)]
        every = variants_per_part(sum(header.n_variants for header in sets), len(sets[0].samples), n_parts)
        choice = self._choice(reference)
        parts: list[PlinkPart] = []
        for header in sets:
            path = absolute(header.path)
            starts = line_starts(bim_path(path), BIM.first_byte, every)
            for first, start in zip(range(0, header.n_variants, every), starts, strict=False):
                count = min(every, header.n_variants - first)
                parts.append(PlinkPart(len(parts), path, first, count, start, header.men, choice))
        return parts

    def _choice(self, reference: Reference) -> ReferenceChoice:
        return ReferenceChoice(reference, takes_last=self.config.reference_allele != "a1")


def row_width(n_people: int) -> int:
    """Bytes of one variant."""
    return (n_people + 3) // 4


def variants_per_part(n_variants: int, n_people: int, n_parts: int) -> int:
    """How many variants each of about `n_parts` tasks reads."""
    wanted = n_variants // max(n_parts, 1) + 1
    return max(1, min(max(wanted, FEWEST_VARIANTS), MOST_CALLS // n_people))


def bim_path(bed: str) -> str:
    """The .bim of a .bed."""
    return bed.removesuffix(".bed") + ".bim"


def fam_path(bed: str) -> str:
    """The .fam of a .bed."""
    return bed.removesuffix(".bed") + ".fam"


def _bed_faults(header: PlinkHeader) -> list[str]:
    filesystem, path = open_storage(header.path)
    with filesystem.open(path, "rb") as stream:
        head = stream.read(HEAD)
    if head[:2] != MAGIC:
        found, wanted = f"bytes {head.hex(' ')}", f"{MAGIC.hex(' ')} 01, as every .bed of PLINK 1"
        return [fault(header.path, "magic number", found=found, wanted=wanted)]
    if head[2:] == b"\x00":
        wanted = "one row for each variant; `plink --make-bed` writes it so"
        return [fault(header.path, "order", found="one row for each person", wanted=wanted)]
    if head[2:] != SNP_MAJOR:
        wanted = "a .bed of PLINK 1; a file of PLINK 2 is `input.pgen`"
        return [fault(header.path, "magic number", found=f"bytes {head.hex(' ')}", wanted=wanted)]
    n_people = len(header.samples)
    found_size, wanted_size = file_size(header.path), HEAD + header.n_variants * row_width(n_people)
    if found_size == wanted_size:
        return []
    wanted = f"{wanted_size}, for {header.n_variants} variants of the .bim and {n_people} people of the .fam"
    return [fault(header.path, "size", found=f"{found_size} bytes", wanted=wanted)]
