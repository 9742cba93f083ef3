"""Parts of a simulated cohort, cut out of its VCF: what a run costs on half of it, or on a small file.

Cut and not simulated anew: half the people of another cohort would not carry the same variants.
"""

import gzip
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from deploy.bench.etl import VCF
from etl.bgzf import END_OF_FILE, compress
from etl.ingest.ranges import FileRange, read_text

FIXED_COLUMNS = 9
_REFERENCE = frozenset(b"0/|.\n")
"""What genotypes without an alternate allele are made of."""

OF_GENES = ("genes.gtf", "constraint.tsv")
COMMON = 0.95
"""Share of people without the variant, at most, for a record to be called common here."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What to keep of a cohort."""

    people: int | None = None
    """The first ones; None: all."""
    every: int = 1
    """Every second, third … record."""
    records: int | None = None
    """So many records of the first contig, half of them common where it has them: kinship needs some.

    None: of all contigs, as many as there are.
    """
    carried: bool = False
    """Only records in which somebody of those kept has an alternate allele, as in a person's own file."""


def write_part(cohort: Path, part: Part, out: Path) -> None:
    """Write part of a cohort as a cohort: VCF, samples table, genes and their properties."""
    out.mkdir(parents=True, exist_ok=True)
    header, names = _header(cohort / VCF)
    people = part.people or len(names)
    with (out / VCF).open("wb") as stream:
        columns = header[-1].split(b"\t")[: FIXED_COLUMNS + people]
        stream.write(compress(b"\n".join([*header[:-1], b"\t".join(columns)]) + b"\n"))
        lines = _lines(cohort / VCF, part)
        if part.carried:
            lines = (line for line in lines if _is_carried(line, people))
        for packed in _packed(lines, people if part.people else None):
            stream.write(packed)
        stream.write(END_OF_FILE)
    rows = (cohort / "samples.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = {name.decode() for name in names[:people]}
    column = rows[0].rstrip("\n").split("\t").index("sample_id")
    chosen = [row for row in rows[1:] if row.rstrip("\n").split("\t")[column] in kept]
    (out / "samples.tsv").write_text("".join([rows[0], *chosen]), encoding="utf-8")
    for name in OF_GENES:
        shutil.copy(cohort / name, out / name)


def _header(vcf: Path) -> tuple[list[bytes], list[bytes]]:
    """Lines of the header, without line ends, and the people's names."""
    lines = []
    with gzip.open(vcf) as stream:
        for line in stream:
            lines.append(line.rstrip(b"\n"))
            if line.startswith(b"#CHROM"):
                break
    return lines, lines[-1].split(b"\t")[FIXED_COLUMNS:]


def _lines(vcf: Path, part: Part) -> Iterator[bytes]:
    if part.records is None:
        yield from islice(_records(vcf), 0, None, part.every)
        return
    common = [_is_common(line) for line in _first_contig(vcf)]
    chosen = _choose(common, part.records)
    yield from (line for number, line in enumerate(_first_contig(vcf)) if number in chosen)


def _is_common(line: bytes) -> bool:
    n_people = line.count(b"\t") + 1 - FIXED_COLUMNS
    return line.count(b"\t0/0") < COMMON * n_people


def _is_carried(line: bytes, people: int) -> bool:
    calls = line.split(b"\t", FIXED_COLUMNS + people)[FIXED_COLUMNS : FIXED_COLUMNS + people]
    return any(not _REFERENCE.issuperset(call.split(b":", 1)[0]) for call in calls)


def _choose(common: list[bool], n: int) -> set[int]:
    """Numbers of `n` records, evenly over the common ones and over the others."""
    places = {
        kind: [number for number, is_common in enumerate(common) if is_common is kind]
        for kind in (True, False)
    }
    wanted = min(n // 2, len(places[True]))
    return {*_evenly(places[True], wanted), *_evenly(places[False], n - wanted)}


def _evenly(values: list[int], n: int) -> list[int]:
    return values if n >= len(values) else [values[number * len(values) // n] for number in range(n)]


def _first_contig(vcf: Path) -> Iterator[bytes]:
    contig: bytes | None = None
    for line in _records(vcf):
        if contig is None:
            contig = line[: line.index(b"\t") + 1]
        if not line.startswith(contig):
            return
        yield line


def _records(vcf: Path) -> Iterator[bytes]:
    whole = FileRange(0, str(vcf.resolve()), "bgzip", 0, vcf.stat().st_size)
    for text in read_text(whole):
        yield from text.splitlines(keepends=True)


def _packed(lines: Iterator[bytes], people: int | None) -> Iterator[bytes]:
    """Compressed pieces in order; zlib lets go of the interpreter, so that threads help."""
    n_workers = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(n_workers) as pool:
        while texts := [text for _ in range(n_workers) if (text := _piece(lines, people))]:
            yield from pool.map(compress, texts)


def _piece(lines: Iterator[bytes], people: int | None) -> bytes:
    chosen = islice(lines, 200)
    if people is None:
        return b"".join(chosen)
    wanted = FIXED_COLUMNS + people
    return b"".join(b"\t".join(line.rstrip(b"\n").split(b"\t", wanted)[:wanted]) + b"\n" for line in chosen)
