"""Rows of the cohort as lines of a VCF, and a kernel that writes them.

Axes: E listed calls of the people who stay, in the order of variants and, within one, of sample_index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import TaskContext

from contract.storage import replaced_whole
from etl.bgzf import END_OF_FILE, compress
from etl.cohort.calls import FEMALE, MALE, Calls, flat
from etl.cohort.people import CALL_COLUMNS, KeptPeople
from etl.cohort.schema import HAPLOID_ALT, HET, HOM_ALT

SITE = ("contig", "position", "ref", "alt", "filters")
NUMBERS = ("ad_ref", "ad_alt", "dp", "gq")
LINE_COLUMNS = (*SITE, *CALL_COLUMNS, *NUMBERS)
"""Columns of the cohort that lines are made of."""

BUFFER_CHARACTERS = 2**22
"""Text that a task gathers before it compresses it."""

CALLED = {HET: "0/1", HOM_ALT: "1/1", HAPLOID_ALT: "1"}
DESCRIPTION = """\
##fileformat=VCFv4.2
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype; missing if not called or failed">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of the reference and the alternate allele">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Reads">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Phred quality of the genotype">
"""


def vcf_header(sample_ids: Sequence[str]) -> str:
    """The lines before the records."""
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *sample_ids]
    return DESCRIPTION + "\t".join(columns) + "\n"


def vcf_lines(batch: pa.RecordBatch, people: KeptPeople) -> Iterator[str]:
    """One line for each variant of a batch with LINE_COLUMNS.

    People who are not listed get their reference call alone, without AD, DP and GQ: diploid, of men haploid
    on X and Y outside the pseudo-autosomal regions, of women none on Y. Calls that failed or were not made
    are missing.
    """
    calls, numbers = _ordered(batch, people)
    texts, people_E = _call_texts(calls, numbers), calls.person_E.tolist()
    ends = np.searchsorted(calls.variant_E, np.arange(batch.num_rows), side="right").tolist()
    references: dict[str, _ReferenceCalls] = {}
    start = 0
    for end, site in zip(ends, batch.select(["region", *SITE]).to_pylist(), strict=True):
        region = site["region"]
        if region not in references:
            references[region] = _reference_calls(region, people.sex_K)
        filters = ";".join(site["filters"]) or "PASS"
        columns = (site["contig"], str(site["position"]), ".", site["ref"], site["alt"], ".", filters, ".")
        yield (
            "\t".join(columns)
            + "\tGT:AD:DP:GQ"
            + _cells(references[region], people_E[start:end], texts[start:end])
        )
        start = end


def write_part(
    batches: Iterator[pa.RecordBatch], people: KeptPeople, header: str, folder: str
) -> Iterator[pa.RecordBatch]:
    """Write a task's rows as a bgzipped VCF of its own, and tell its path; without rows, write nothing."""
    task = TaskContext.get()
    # A task that is tried again writes another file: only the one that finished tells its name.
    url = f"{folder}/part-{task.partitionId():05d}-{task.taskAttemptId()}.vcf.bgz"
    lines = (line for batch in batches for line in vcf_lines(batch, people))
    first = next(lines, None)
    if first is None:
        return
    with replaced_whole(url) as path, path.open("wb") as stream:
        buffer, size = [header, first], 0
        for line in lines:
            buffer.append(line)
            size += len(line)
            if size > BUFFER_CHARACTERS:
                stream.write(compress("".join(buffer).encode()))
                buffer, size = [], 0
        stream.write(compress("".join(buffer).encode()) + END_OF_FILE)
    yield pa.RecordBatch.from_pydict({"path": [url]})


@dataclass(frozen=True)
class _ReferenceCalls:
    """Everybody's reference call as text, each with its tab before it."""

    text: str
    starts: list[int]
    """Where each person's begins, and at last the end."""


def _reference_calls(region: str, sex_K: NDArray[np.int8]) -> _ReferenceCalls:
    of_men = "0" if region in ("x", "y") else "0/0"
    of_women = "." if region == "y" else "0/0"
    cells = [f"\t{ {MALE: of_men, FEMALE: of_women}.get(sex, '0/0') }" for sex in sex_K.tolist()]
    return _ReferenceCalls("".join(cells), np.cumsum([0, *map(len, cells)]).tolist())


def _cells(reference: _ReferenceCalls, people: Sequence[int], texts: Sequence[str]) -> str:
    # Between two listed people stands a run of reference calls, copied as one piece.
    pieces, place = [], 0
    for person, text in zip(people, texts, strict=True):
        pieces += [reference.text[place : reference.starts[person]], text]
        place = reference.starts[person + 1]
    return "".join([*pieces, reference.text[place:], "\n"])


def _ordered(batch: pa.RecordBatch, people: KeptPeople) -> tuple[Calls, dict[str, NDArray[np.int32]]]:
    """Calls and their numbers in the order of the columns: sample_index need not follow the VCF's header."""
    calls = people.calls(batch)
    stays_E = people.index_P[flat(batch, "person")] >= 0
    order = np.lexsort((calls.person_E, calls.variant_E))
    return calls.where(order), {name: flat(batch, name)[stays_E][order] for name in NUMBERS}


def _call_texts(calls: Calls, numbers: dict[str, NDArray[np.int32]]) -> list[str]:
    ad_ref, ad_alt, dp, gq = (_texts(numbers[name]) for name in NUMBERS)
    return [
        f"\t{CALLED[code]}:{f'{reference},{alternate}' if alternate != '.' else '.'}:{depth}:{quality}"
        if code in CALLED
        else "\t./."
        for code, reference, alternate, depth, quality in zip(
            calls.call_E.tolist(), ad_ref, ad_alt, dp, gq, strict=True
        )
    ]


def _texts(values_E: NDArray[np.int32]) -> list[str]:
    return [str(value) if value >= 0 else "." for value in values_E.tolist()]
