"""Every file of the shared data against bcftools, call by call.

Axis P is people. A call is compared as its code: how many alternate alleles of how many, or no call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from etl.cohort.schema import HAPLOID_ALT, HET, HOM_ALT, NOT_CALLED
from etl.genome import GENOMES, GenomeName
from etl.ingest.alleles import minimal_representation
from etl.ingest.header import decode
from tests.etl.ingest.bcftools import Answer, answers
from tests.etl.ingest.outcome import Outcome, best_outcome, forced_outcome

REFERENCE = 9
"""Code of people that a row does not list."""

LARGE = ("05_1kg_phase3_genomewide_1126/", "06_1kg_phase3_chr22_2504/")
"""Files with most of the calls; of them chromosome X alone is compared by default."""

LARGEST_AS_BCF = 200_000
"""Bytes of a file that is compared as BCF too."""

Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Wanted:
    """One alternate allele of one record, as bcftools reads it."""

    contig: str
    position: int
    ref: str
    alts: tuple[str, ...]
    place: int
    code_P: Codes


def vcf_files(folder: Path) -> list[Path]:
    """All VCF and BCF files, and the random bytes."""
    found = [path for path in folder.rglob("*") if re.search(r"\.[bv]cf(\.b?gz)?$", path.name)]
    return sorted([*found, *folder.rglob("randomBytes")])


class _Texts(dict[bytes, int]):
    """GT as text -> its place in `alleles`: allele numbers, -1 for unknown ones."""

    def __init__(self) -> None:
        self.alleles: list[tuple[int, ...]] = []

    def __missing__(self, text: bytes) -> int:
        parts = re.split(rb"[/|]", text.strip(b"/|"))
        self.alleles.append(tuple(-1 if part in (b".", b"") else int(part) for part in parts))
        self[text] = len(self.alleles) - 1
        return self[text]


def code(alleles: tuple[int, ...], allele: int) -> int:
    """Code of a call seen from one alternate allele."""
    if -1 in alleles:
        return NOT_CALLED
    n_alt = alleles.count(allele)
    if not n_alt:
        return REFERENCE
    return HAPLOID_ALT if len(alleles) == 1 else (HET, HOM_ALT)[n_alt - 1]


def wanted_rows(lines: Path) -> Iterator[Wanted]:
    """Rows in the order of records and of their alleles; no row where there is no alternate allele."""
    texts = _Texts()
    with lines.open("rb") as stream:
        for line in stream:
            contig, position, ref, alt, *calls = line.rstrip(b"\n").split(b"\t")
            if alt == b".":
                continue
            alts = tuple(upper(part) for part in decode(alt).split(","))
            about = (decode(contig), int(position), decode(ref).upper(), alts)
            text_P = np.fromiter(map(texts.__getitem__, calls), dtype=np.int32, count=len(calls))
            for place in range(len(alts)):
                codes = [code(alleles, place + 1) for alleles in texts.alleles]
                yield Wanted(*about, place, np.array(codes, dtype=np.int8)[text_P])


def upper(allele: str) -> str:
    return allele.upper() if allele.isalpha() else allele


def found_codes(rows: pa.Table, n_people: int) -> Iterator[Codes]:
    """Codes of everybody, of each row."""
    for person, call in zip(rows.column("person"), rows.column("call"), strict=True):
        code_P = np.full(n_people, REFERENCE, dtype=np.int8)
        code_P[np.asarray(person.values)] = np.asarray(call.values)
        yield code_P


def stays(row: Wanted, reference: GenomeName) -> bool:
    """Whether a record lies on a contig of the genome, and not at the contig's telomeres."""
    length = GENOMES[reference].lengths.get(row.contig)
    return length is not None and row.position not in (0, length + 1)


def compare(lines: Path, found: Outcome, reference: GenomeName) -> int:
    """Number of calls compared; every difference is an assertion."""
    wanted = [
        row
        for row in wanted_rows(lines)
        if stays(row, reference) and row.alts[row.place] not in row.alts[: row.place]
    ]
    assert found.rows is not None
    names = found.rows.select(["contig", "old_position", "old_alleles", "a_index"]).to_pylist()
    assert [(row["contig"], row["old_position"], *row["old_alleles"], row["a_index"]) for row in names] == [
        (row.contig, row.position, row.ref, *row.alts, row.place + 1) for row in wanted
    ]
    for row, code_P in zip(wanted, found_codes(found.rows, found.n_people), strict=True):
        assert np.array_equal(row.code_P, code_P), f"{row.contig}:{row.position} {row.alts}"
    return sum(len(row.code_P) for row in wanted)


def compare_split(split: Path, found: Outcome, reference: GenomeName) -> None:
    """The same against the alleles that bcftools split: keys in minimal representation, order aside."""
    assert found.rows is not None
    rows = found.rows.to_pylist()
    repeated = {
        (row["contig"], row["position"], row["ref"], row["alt"])
        for row in rows
        if "repeated_allele" in row["site_reasons"]
    }
    ours = Counter(
        (row["contig"], row["position"], row["ref"], row["alt"], _digest(code_P))
        for row, code_P in zip(rows, found_codes(found.rows, found.n_people), strict=True)
    )
    theirs: Counter[tuple[object, ...]] = Counter()
    for row in wanted_rows(split):
        if stays(row, reference):
            key = (row.contig, *minimal_representation(row.position, row.ref, row.alts[0]))
            theirs[(*key, _digest(row.code_P))] += 1
    assert {key: count for key, count in ours.items() if key[:4] not in repeated} == {
        key: count for key, count in theirs.items() if key[:4] not in repeated
    }


def _digest(code_P: Codes) -> bytes:
    return blake2b(code_P.tobytes(), digest_size=8).digest()


@dataclass
class Compared:
    """What was compared of several files."""

    calls: int = 0
    files: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path, answer: Answer) -> None:
        """Compare one file; a fault must name it and say what was found and wanted."""
        reference, found = best_outcome(path)
        for told in (found, best_outcome(path, "apply")[1]):
            assert all(
                f"{path}: " in text and ": found " in text and ", wanted " in text for text in told.faults
            )
        self.files[f"{'read' if answer.lines else 'refused'} by bcftools, {found.kind} by us"] += 1
        if found.faults and answer.lines:
            # A wrong build stops a run; its calls are compared all the same.
            reference, found = max(
                ((name, forced_outcome(path, name)) for name in GENOMES), key=lambda pair: pair[1].n_rows
            )
        if found.rows is None or not found.n_people or not answer.lines:
            return
        self.files["compared"] += 1
        self.calls += compare(answer.lines, found, reference)
        if answer.split:
            self.files["compared with norm"] += 1
            compare_split(answer.split, found, reference)
        if answer.bcf and path.stat().st_size < LARGEST_AS_BCF:
            self.files["compared as BCF"] += 1
            compare_rows(found, forced_outcome(answer.bcf, reference))


def compare_rows(found: Outcome, other: Outcome) -> None:
    """Equal but for the rows' own numbers."""
    assert found.rows is not None
    assert other.rows is not None, other.faults
    assert other.rows.drop(["variant"]).equals(found.rows.drop(["variant"]))
    assert other.totals.counts == found.totals.counts
    assert np.array_equal(other.totals.sums_8P, found.totals.sums_8P)


def compare_all(paths: list[Path], folder: Path) -> Compared:
    compared = Compared()
    for path, answer in zip(paths, answers(paths, folder), strict=True):
        try:
            compared.add(path, answer)
        except Exception as error:
            error.add_note(str(path))
            raise
    return compared


def is_large(path: Path) -> bool:
    return any(folder in str(path) for folder in LARGE)


def test_every_file__equals_bcftools_or_says_why(shared_data: Path, tmp_path: Path):
    paths = [path for path in vcf_files(shared_data) if not is_large(path) or "chrX" in path.name]
    compared = compare_all(paths, tmp_path)
    assert compared.calls > 1_700_000
    assert compared.files["compared"] >= 270
    assert compared.files["compared with norm"] >= 65
    assert compared.files["compared as BCF"] >= 65
    assert compared.files["read by bcftools, read by us"] >= 100


@pytest.mark.slow
def test_every_file__equals_bcftools_on_all_chromosomes(shared_data: Path, tmp_path: Path):
    paths = [path for path in vcf_files(shared_data) if is_large(path)]
    compared = compare_all(paths, tmp_path)
    assert compared.files["compared"] == len(paths) == 24
    assert compared.calls > 50_000_000
