"""PLINK 2: .pgen, .pvar and .psam, through pgenlib. Format: github.com/chrchang/plink-ng, pgen_spec."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.local_copies import shared_copy
from contract.storage import absolute, open_storage
from etl.genome import GenomeName, genome
from etl.ingest.build import check_build
from etl.ingest.contig_names import contig_of
from etl.ingest.fam import men, read_people_file
from etl.ingest.header import HeaderLines, decode, info_annotation, shown, upper_bases
from etl.ingest.record import Record, RecordSettings
from etl.ingest.source import CallsHeader, Reference, Source, find_paths
from etl.ingest.sources.haploid import as_haploid, packed, unpacked
from etl.ingest.sources.pgen_size import variants_end
from etl.ingest.sources.plink import variants_per_part
from etl.ingest.sources.variant_lines import LineFormat, line_starts, lines_from, summarize

MAGIC = b"\x6c\x1b"
COUNTED_MODES = range(2, 0x20)
"""Storage modes whose header holds the numbers of variants and people."""

MISSING_ALLELE = -9


@dataclass(frozen=True, kw_only=True)
class PgenHeader(CallsHeader):
    """What the three files of one set say."""

    samples: tuple[str, ...]
    n_variants: int
    men: bytes
    """Packed, see `etl.ingest.sources.haploid`."""
    lines: LineFormat
    """Of the .pvar."""
    has_several_alternates: bool
    """Whether any variant has more than one alternate allele."""


@dataclass(frozen=True)
class PgenPart:
    """Consecutive variants of one .pgen."""

    number: int
    path: str
    header: PgenHeader
    first: int
    count: int
    pvar_byte: int
    """Where the first one's line begins."""
    reference: GenomeName

    def records(self, settings: RecordSettings) -> Iterator[Record]:
        """Its records, with hard calls as they are stored; men's on X and all on Y and MT are haploid."""
        men_P = unpacked(self.header.men, settings.n_people)
        reader = _open(self.path, self.header, settings.n_people)
        coded = np.empty(2 * settings.n_people, dtype=np.int32)
        lines = lines_from(pvar_path(self.path), self.pvar_byte, self.count)
        try:
            for place, line in enumerate(lines, start=self.first):
                _read_alleles(self.path, reader, place, coded)
                alleles_2P = coded.reshape(-1, 2).T.astype(np.int16)
                alleles_2P[alleles_2P == MISSING_ALLELE] = -1
                yield self._record(line, settings, alleles_2P, men_P)
        finally:
            reader.close()

    def _record(
        self,
        line: str,
        settings: RecordSettings,
        alleles_2P: NDArray[np.integer],
        men_P: NDArray[np.bool_],
    ) -> Record:
        cells = dict(zip(self.header.lines.names, line.split("\t"), strict=True))
        reference = genome(self.reference)
        contig, position = contig_of(cells["CHROM"], reference), int(cells["POS"])
        if contig in reference.lengths:
            alleles_2P = as_haploid(alleles_2P, reference.region(contig, position), men_P)
        filters, alt = cells.get("FILTER", "."), cells["ALT"]
        return Record(
            contig=contig,
            position=position,
            ref=cells["REF"].upper(),
            alts=[] if alt == "." else [upper_bases(allele) for allele in alt.split(",")],
            filters=[] if filters in ("PASS", ".") else [name for name in filters.split(";") if name],
            annotation=info_annotation(cells.get("INFO", ".").encode(), settings),
            alleles_HP=alleles_2P,
            numbers={},
        )


class PgenSource(Source):
    """Sets of .pgen, .pvar and .psam."""

    people_field: ClassVar[str] = ".psam"

    def paths(self) -> list[str]:
        """The .pgen files."""
        pgens = [path if path.endswith(".pgen") else f"{path}.pgen" for path in self.config.paths]
        return find_paths(pgens, "input.pgen", "a .pgen file, its prefix, or a glob of some")

    def files(self) -> list[str]:
        """All three of each set."""
        return [file for pgen in self.paths() for file in (pgen, pvar_path(pgen), psam_path(pgen))]

    def read_header(self, path: str, reference: Reference) -> tuple[CallsHeader, list[str]]:
        """People of the .psam, all lines of the .pvar, the numbers that the .pgen begins with, its size."""
        _require_pgenlib(path)
        people = read_people_file(psam_path(path))
        head, lines = _read_pvar_head(pvar_path(path))
        variants = summarize(pvar_path(path), lines, genome(reference.name))
        told = head.finish("text", variants.first_contig, [])
        header = PgenHeader(
            path=path,
            samples=tuple(people["sample_id"]),
            format_fields=("GT",),
            info_descriptions=told.info_descriptions,
            contig_lengths=told.contig_lengths,
            first_contig=variants.first_contig,
            references=told.references,
            first_info=_first_info(pvar_path(path), lines),
            n_variants=variants.n_variants,
            men=packed(men(people)),
            lines=lines,
            has_several_alternates=variants.has_several_alternates,
        )
        # Names of contigs say nothing of the build: PLINK writes numbers.
        in_pvar = check_build(replace(header, path=pvar_path(path)), reference.name, names=False)
        return header, variants.faults + in_pvar + _pgen_faults(header)

    def parts(self, headers: Sequence[CallsHeader], n_parts: int, reference: Reference) -> Sequence[PgenPart]:
        """Runs of variants."""
        sets = [header for header in headers if isinstance(header, PgenHeader)]
        every = variants_per_part(sum(header.n_variants for header in sets), len(sets[0].samples), n_parts)
        parts: list[PgenPart] = []
        for header in sets:
            path, total = absolute(header.path), header.n_variants
            sent = replace(header, samples=(), info_descriptions={})  # names of people would be many
            starts = line_starts(pvar_path(path), header.lines.first_byte, every)
            for first, start in zip(range(0, total, every), starts, strict=False):
                count = min(every, total - first)
                parts.append(PgenPart(len(parts), path, sent, first, count, start, reference.name))
        return parts


def pvar_path(pgen: str) -> str:
    """The .pvar of a .pgen."""
    return pgen.removesuffix(".pgen") + ".pvar"


def psam_path(pgen: str) -> str:
    """The .psam of a .pgen."""
    return pgen.removesuffix(".pgen") + ".psam"


def _command(path: str, pfile: str = "--pfile") -> str:
    prefix = path.removesuffix(".pgen")
    return f"`plink2 {pfile} {prefix} --export vcf bgz --out {prefix}`, which makes a file for `input.vcf`"


def _require_pgenlib(path: str) -> None:
    if find_spec("pgenlib") is None:
        found, wanted = "no package pgenlib to read it with", f"that package, or {_command(path)}"
        raise InputError(fault(path, "input.pgen", found=found, wanted=wanted))


def _read_pvar_head(url: str) -> tuple[HeaderLines, LineFormat]:
    """Lines that begin with ##, and the columns of the others."""
    filesystem, path = open_storage(url)
    if not filesystem.exists(path):
        found, wanted = "no such file", "the variants of the .pgen"
        if filesystem.exists(f"{path}.zst"):
            prefix = url.removesuffix(".pvar")
            found = "a compressed one (.pvar.zst) only"
            wanted = f"`plink2 --pfile {prefix} vzs --make-just-pvar --out {prefix}` to unpack it"
        elif filesystem.exists(f"{path.removesuffix('.pvar')}.bim"):
            found, wanted = "a .bim only", _command(url.removesuffix(".pvar"), "--bpfile")
        raise InputError(fault(url, "input.pgen", found=found, wanted=wanted))
    head = HeaderLines(url)
    with filesystem.open(path, "rb") as stream:
        while (line := decode(stream.readline()).rstrip("\r\n")).startswith("##"):
            head.define(line)
        first_byte = stream.tell()
    columns = line.split("\t")
    if columns[:5] != ["#CHROM", "POS", "ID", "REF", "ALT"]:
        found, wanted = f"'{shown(line.expandtabs(1))}'", "#CHROM POS ID REF ALT …, separated by tabs"
        raise InputError(fault(url, "column line", found=found, wanted=wanted))
    names = ("CHROM", *columns[1:])
    return head, LineFormat("\t", names, ("REF", "ALT"), first_byte)


def _first_info(url: str, form: LineFormat) -> str:
    cells = form.split(next(lines_from(url, form.first_byte, 1)))
    return dict(zip(form.names, cells, strict=False)).get("INFO", "")


def _pgen_faults(header: PgenHeader) -> list[str]:
    filesystem, path = open_storage(header.path)
    with filesystem.open(path, "rb") as stream:
        head = stream.read(11)
    if head[:2] != MAGIC or len(head) < 11 or head[2] not in COUNTED_MODES:
        found = f"bytes {head[:3].hex(' ')}"
        wanted = f"{MAGIC.hex(' ')} and a mode of 02 to 1f, as in a .pgen with its index inside"
        return [fault(header.path, "magic number", found=found, wanted=wanted)]
    n_variants, n_people = struct.unpack("<2I", head[3:])
    faults = []
    for name, found_number, wanted_number, file in (
        ("variants", n_variants, header.n_variants, ".pvar"),
        ("people", n_people, len(header.samples), ".psam"),
    ):
        if found_number != wanted_number:
            wanted = f"{wanted_number}, as in the {file}"
            faults.append(fault(header.path, name, found=found_number, wanted=wanted))
    return faults or _size_faults(header.path)


def _size_faults(path: str) -> list[str]:
    filesystem, inside = open_storage(path)
    size = int(filesystem.size(inside))
    try:
        with filesystem.open(inside, "rb") as stream:
            end = variants_end(stream)
    except EOFError:
        found, wanted = f"{size} bytes, which end within its index", "a whole .pgen"
        return [fault(path, "size", found=found, wanted=wanted)]
    if end is None or size >= end:
        return []
    wanted = f"{end}, where its index has the last variant's end"
    return [fault(path, "size", found=f"{size} bytes", wanted=wanted)]


def _open(path: str, header: PgenHeader, n_people: int) -> Any:
    import pgenlib

    try:
        # Which alleles a record has is in the .pvar alone; reading that again is for those who need it.
        variants = (
            {"pvar": pgenlib.PvarReader(shared_copy(pvar_path(path)).encode())}
            if header.has_several_alternates
            else {"variant_ct": header.n_variants}
        )
        return pgenlib.PgenReader(shared_copy(path).encode(), raw_sample_ct=n_people, **variants)
    except RuntimeError as error:
        found = f"a file that pgenlib can't read ({error})"
        raise InputError(fault(path, "content", found=found, wanted="a whole .pgen")) from None


def _read_alleles(path: str, reader: Any, place: int, coded: NDArray[np.int32]) -> None:
    try:
        reader.read_alleles(place, coded)
    except RuntimeError as error:
        found = f"content that pgenlib can't read ({error})"
        raise InputError(fault(path, f"variant {place + 1}", found=found, wanted="a whole .pgen")) from None
