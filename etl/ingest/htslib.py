"""Records of VCF text and of BCF files, their genotype columns read by htslib (cyvcf2).

htslib is given a header of ours and, of each line, FORMAT and the samples alone: what may be odd about the
rest of a file (its header, its INFO, letters in another encoding) can't stop it. The first columns are split
here, where a fault can name the record.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from cyvcf2 import VCF, Variant
from numpy.typing import NDArray

from contract.errors import InputError, fault
from contract.local_copies import local_copy
from etl.ingest.header import annotation_entries, decode, info_annotation, people_digest, shown, upper_bases
from etl.ingest.record import MISSING_NUMBER, Record, RecordSettings

_BEYOND_PLOIDY = -(2**31) + 1
"""htslib's mark for the values that a person has fewer of than others."""

_BLANK_COLUMNS = b"1\t1\t.\tA\tC\t.\t.\t.\t"
_COLUMN_WANTED = "eight columns, FORMAT and one column for each sample"


class TextReader:
    """Reads pieces of one VCF's text. Numbers are whole until a piece shows that some are decimal."""

    def __init__(self, path: str, settings: RecordSettings) -> None:
        self._path = path
        self._settings = settings
        self._number_type = "Integer"

    def records(self, text: bytes) -> Iterator[Record]:
        """Records of whole lines.

        Raises
        ------
        InputError
            If a line has another number of columns than the header, a position that is no number or an empty
            allele, or genotype columns that htslib refuses; it names the record.
        """
        heads = [_Head(self._path, text, start, end) for start, end in self._record_lines(text)]
        self._check_columns(text, heads)
        parsed = iter(self._parse([head for head in heads if head.has_genotypes]))
        for head in heads:
            yield head.record(self._settings, next(parsed) if head.has_genotypes else None)

    def _record_lines(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Lines but for comments; files that were put one behind the other bring further headers."""
        for start, end in _lines(text):
            if text[start] != ord("#"):
                yield start, end
            elif text.startswith(b"#CHROM", start) and self._settings.people:
                names = decode(text[start:end]).split("\t")[9:]
                if people_digest(names) != self._settings.people:
                    wanted = "those of the file's first header"
                    found = "other samples, or another order"
                    raise InputError(fault(self._path, "a further #CHROM line", found=found, wanted=wanted))

    def _check_columns(self, text: bytes, heads: Sequence[_Head]) -> None:
        """Htslib takes lines with too many columns: count the tabs of the whole piece, rarely of a line."""
        n_tabs = self._settings.n_people + 8
        if np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == ord("\t")) == n_tabs * len(heads):
            return
        for head in heads:
            if head.n_tabs != n_tabs:
                found = f"{head.n_tabs + 1} columns"
                wanted = f"{n_tabs + 1}: {_COLUMN_WANTED}"
                raise InputError(fault(self._path, head.place, found=found, wanted=wanted))

    def _parse(self, heads: Sequence[_Head]) -> list[Variant]:
        if not heads:
            return []
        body = [piece for head in heads for piece in (_BLANK_COLUMNS, head.genotypes, b"\n")]
        variants, error = _read_memory([self._header(), *body])
        if len(variants) < len(heads) and self._number_type == "Integer":
            # Some callers declare GQ as Integer and write 45.15; reading decimals costs a fifth more.
            self._number_type = "Float"
            variants, error = _read_memory([self._header(), *body])
        if len(variants) < len(heads):
            place = heads[len(variants)].place
            found = error or "columns that can't be read"
            raise InputError(
                fault(self._path, place, found=found, wanted="genotype columns as in the VCF format")
            )
        return variants

    def _header(self) -> bytes:
        settings = self._settings
        lines = ["##fileformat=VCFv4.2", "##contig=<ID=1>", _definition("GT", "1", "String")]
        lines += [_definition(name, ".", self._number_type) for name in settings.numbers]
        lines += [_definition(name, "1", "String") for name in settings.other_formats]
        columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
        # Names of our own: the file's may be repeated or in another encoding.
        columns += [f"s{number}" for number in range(settings.n_people)]
        return ("\n".join([*lines, "\t".join(columns)]) + "\n").encode()


def bcf_records(url: str, settings: RecordSettings) -> Iterator[Record]:
    """Records of a BCF file; a remote one is copied to this machine first.

    Raises
    ------
    InputError
        If htslib can't read a record, or DP, GQ, AD or PL are no numbers.
    """
    last = "its first record"
    with local_copy(url) as path, _messages() as errors:
        try:
            reader = VCF(path)
            if len(reader.samples) != settings.n_people:
                found, wanted = f"{len(reader.samples)} samples", f"{settings.n_people}, as the columns name"
                raise InputError(fault(url, "BCF header", found=found, wanted=wanted))
            for variant in reader:
                yield _bcf_record(url, variant, settings)
                last = f"the record behind {variant.CHROM}:{variant.POS}"
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - cyvcf2 raises bare Exception
            found = errors() or f"content that htslib can't read ({error})"
            raise InputError(fault(url, last, found=found, wanted="a record as in the BCF format")) from None


def _lines(text: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of every line that is not blank."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        # A line may be megabytes: its first letters tell of nearly all that they aren't blank.
        blank = end == start or (text[start : min(end, start + 9)].isspace() and text[start:end].isspace())
        if not blank:
            yield start, end - text.endswith(b"\r", start, end)
        start = end + 1


class _Head:
    """The first columns of a line, and a view of the rest: a line may be megabytes, copies would show."""

    def __init__(self, path: str, text: bytes, start: int, end: int) -> None:
        columns, rest = _columns(text, start, end)
        if len(columns) < 8:
            found = f"{len(columns)} columns in '{shown(decode(text[start : min(end, start + 40)]))}'"
            raise InputError(fault(path, "record", found=found, wanted=_COLUMN_WANTED))
        self.contig, position, self.ref, self.alt = (
            decode(columns[0]), decode(columns[1]), decode(columns[3]).upper(), decode(columns[4]),
        )  # fmt: skip
        self.place = f"record {self.contig}:{position}"
        if not (position.isascii() and position.isdigit() and len(position) < 20):
            place, found = f"record {shown(self.contig)}", f"POS '{shown(position)}'"
            raise InputError(fault(path, place, found=found, wanted="a whole number"))
        self.position = int(position)
        for name, allele in (("REF", self.ref), ("ALT", self.alt)):
            if not allele or allele.startswith(",") or ",," in allele or allele.endswith(","):
                raise InputError(fault(path, self.place, found=f"{name} '{allele}'", wanted="an allele"))
        self.filter, self.info = columns[6], columns[7]
        self.genotypes = memoryview(text)[rest:end]
        self.formats = columns[8].split(b":") if len(columns) == 9 else [b""]
        if len(columns) == 9 and not columns[8]:
            raise InputError(fault(path, self.place, found="FORMAT ''", wanted="names of fields, or a dot"))
        self.has_call = b"GT" in self.formats
        self.has_genotypes = self.formats not in ([b""], [b"."])

    @property
    def n_tabs(self) -> int:
        """Tabs of the whole line."""
        return bytes(self.genotypes).count(b"\t") + (8 if self.genotypes else 7)

    def record(self, settings: RecordSettings, variant: Variant | None) -> Record:
        """The record, its genotypes from htslib."""
        filters = decode(self.filter)
        return Record(
            contig=self.contig,
            position=self.position,
            ref=self.ref,
            alts=[] if self.alt == "." else [upper_bases(allele) for allele in self.alt.split(",")],
            filters=[] if filters in ("PASS", ".") else [name for name in filters.split(";") if name],
            annotation=info_annotation(self.info, settings),
            alleles_HP=_alleles(variant) if variant is not None and self.has_call else None,
            numbers={} if variant is None else _numbers(variant, settings.numbers),
        )


def _columns(text: bytes, start: int, end: int) -> tuple[list[bytes], int]:
    """The first nine columns of a line, and where FORMAT begins."""
    columns: list[bytes] = []
    for _ in range(9):
        tab = text.find(b"\t", start, end)
        columns.append(text[start : end if tab < 0 else tab])
        if tab < 0:
            return columns, start if len(columns) == 9 else end
        format_start, start = start, tab + 1
    return columns, format_start


def _bcf_record(url: str, variant: Variant, settings: RecordSettings) -> Record:
    told = variant.INFO.get(settings.annotation_field) if settings.annotation_field else None
    further = [(name, variant.INFO.get(name)) for name in settings.further_fields]
    numbers = _numbers(variant, settings.numbers)
    place = f"record {variant.CHROM}:{variant.POS}"
    for name, values in numbers.items():
        if values.dtype != np.int32:
            raise InputError(fault(url, place, found=f"{name} that is no number", wanted="numbers"))
    return Record(
        contig=variant.CHROM,
        position=variant.POS,
        ref=variant.REF.upper(),
        alts=[upper_bases(allele) for allele in variant.ALT],
        filters=variant.FILTER.split(";") if variant.FILTER else [],
        annotation=annotation_entries(told, further),
        alleles_HP=_alleles(variant) if "GT" in variant.FORMAT else None,
        numbers=numbers,
    )


def _alleles(variant: Variant) -> NDArray[np.integer] | None:
    """Allele numbers from GT as htslib codes it: twice the number plus two, and one more if phased."""
    if variant.FORMAT[0] != "GT" and not _any_call(variant):
        return None
    coded_HP = variant.format("GT", int).T
    # Large numbers must not come round to small ones; small ones are compared twice as fast in 16 bits.
    narrow = coded_HP.min(initial=0) >= 0 and coded_HP.max(initial=0) < 2**15
    alleles_HP = coded_HP.astype(np.int16 if narrow else np.int32, order="C")
    alleles_HP >>= 1
    alleles_HP -= 1
    if not narrow:
        alleles_HP[coded_HP < 0] = -1
        alleles_HP[coded_HP == _BEYOND_PLOIDY] = -2
    return alleles_HP


def _any_call(variant: Variant) -> bool:
    """Whether anybody has a GT where it isn't the first field: htslib ends the process where nobody has."""
    try:
        return bool((variant.format("GT", str) != "").any())
    except UnicodeDecodeError:
        return True


def _numbers(variant: Variant, names: Sequence[str]) -> dict[str, NDArray[np.int32]]:
    numbers = {}
    for name in names:
        values = variant.format(name)
        if values is not None:
            numbers[name] = _whole(values) if values.dtype.kind == "f" else values
    return numbers


def _whole(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Decimals rounded down; missing ones, which htslib writes as not-a-number, and infinite ones missing."""
    return np.nan_to_num(
        np.floor(values), nan=MISSING_NUMBER, posinf=MISSING_NUMBER, neginf=MISSING_NUMBER
    ).astype(np.int32)


def _definition(name: str, number: str, kind: str) -> str:
    return f'##FORMAT=<ID={name},Number={number},Type={kind},Description="">'


def _read_memory(content: Sequence[bytes | memoryview]) -> tuple[list[Variant], str]:
    """All records that htslib reads of a VCF in memory, and what it says of the first that it refuses.

    A file in memory, not a pipe: cyvcf2 holds the interpreter lock while it reads, so that a thread which
    feeds a pipe would never run.
    """
    handle = os.memfd_create("exoshard")
    try:
        with os.fdopen(os.dup(handle), "wb", buffering=2**20) as stream:
            stream.writelines(content)
        os.lseek(handle, 0, os.SEEK_SET)
        variants: list[Variant] = []
        with _messages() as errors:
            try:
                variants.extend(VCF(f"/proc/self/fd/{handle}"))
            except Exception as error:  # noqa: BLE001 - cyvcf2 raises bare Exception
                return variants, errors() or str(error)
            return variants, errors()
    finally:
        os.close(handle)


@contextmanager
def _messages() -> Iterator:
    """Catch what htslib writes to the process's standard error; gives a function for its last error."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)

        def last_error() -> str:
            caught.seek(0)
            errors = [line for line in decode(caught.read()).splitlines() if line.startswith("[E::")]
            # '[E::vcf_parse] Number of columns … at 1:1 does …': the place is of our blank columns.
            return re.sub(r" at 1:1\b", "", errors[-1].partition("] ")[2]) if errors else ""

        try:
            yield last_error
        finally:
            os.dup2(kept, 2)
            os.close(kept)
