"""The same file stored in other ways and cut into other ranges gives the same rows."""

import gzip
import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from etl.bgzf import END_OF_FILE, compress
from etl.ingest.header import read_header
from etl.ingest.ranges import FileRange
from tests.etl.ingest.outcome import Outcome, best_outcome, outcome
from tests.etl.ingest.test_bcftools import vcf_files

LARGEST_TEXT = 30_000
"""Bytes: thousands of ranges in some seconds."""


def bgzipped(text: bytes) -> bytes:
    """Blocks of a few hundred bytes, of unequal size: lines cross them and end with them."""
    sizes = random.Random(len(text))
    blocks, start = [], 0
    while start < len(text):
        size = sizes.choice([1, 50, 300, 301, 900, text.find(b"\n", start) + 1 - start])
        blocks.append(text[start : start + max(size, 1)])
        start += len(blocks[-1])
    return b"".join(compress(block) for block in blocks) + END_OF_FILE


def gzipped(text: bytes) -> bytes:
    """Two members."""
    return gzip.compress(text[: len(text) // 3]) + gzip.compress(text[len(text) // 3 :])


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "a.vcf": lambda text: text,
    "b.vcf": lambda text: text.rstrip(b"\n"),
    "c.vcf": lambda text: text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "a.vcf.gz": bgzipped,
    "b.vcf.gz": gzipped,
}


def cut(path: Path, seed: int) -> list[FileRange]:
    """Ranges of a few hundred bytes; a file that can't be cut stays whole."""
    kind, size = read_header(str(path)).kind, path.stat().st_size
    borders = [0, size]
    if kind in ("text", "bgzip"):
        content = path.read_bytes()
        line_ends = [found.end() for found in re.finditer(b"\n", content)] if kind == "text" else []
        steps = random.Random(seed)
        awkward = [place + step for place in line_ends[::11] for step in (-1, 0, 1)]
        borders += [place for place in awkward if 0 < place < size]
        borders += [steps.randrange(size) for _ in range(size // 800)]
    places = sorted(set(borders))
    return [
        FileRange(number, str(path), kind, start, stop)
        for number, (start, stop) in enumerate(pairwise(places))
    ]


def same(found: Outcome, wanted: Outcome) -> bool:
    """Equal but for the rows' own numbers."""
    assert found.rows is not None, found.faults
    assert wanted.rows is not None
    counts, wanted_counts = (
        # What is counted within ranges; with the borders it is among the reasons.
        {name: count for name, count in told.totals.counts.items() if name != "records_out_of_order"}
        for told in (found, wanted)
    )
    return (
        found.rows.drop(["variant"]).equals(wanted.rows.drop(["variant"]))
        and (counts, found.reasons) == (wanted_counts, wanted.reasons)
        and np.array_equal(found.totals.sums_8P, wanted.totals.sums_8P)
    )


def test_every_small_file__in_any_form_and_ranges(shared_data: Path, tmp_path: Path):
    n_files = n_ranges = 0
    for number, source in enumerate(vcf_files(shared_data)):
        text = source.read_bytes()
        text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
        if len(text) > LARGEST_TEXT:
            continue
        for genotype_qc in ("skip", "apply"):
            reference, wanted = best_outcome(source, genotype_qc)
            n_files += not wanted.faults
            for name, stored in FORMS.items():
                path = tmp_path / name
                path.write_bytes(stored(text))
                if wanted.faults:
                    told = outcome(path, reference, genotype_qc).faults
                    assert told == [fault.replace(str(source), str(path)) for fault in wanted.faults]
                    continue
                ranges = cut(path, number)
                n_ranges += len(ranges)
                assert same(outcome(path, reference, genotype_qc), wanted), (source, name)
                assert same(outcome(path, reference, genotype_qc, ranges), wanted), (source, name, ranges)
    assert n_files > 200
    assert n_ranges > 4_000
