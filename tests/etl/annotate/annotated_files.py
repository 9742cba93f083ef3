"""Annotated files as a dozen lines of plain parsing read them, with nothing of the project's own reading."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from etl.annotate.consequence import Site
from etl.ingest.alleles import minimal_representation


@dataclass
class PlainFile:
    """Descriptions of INFO fields, and records as lists of columns."""

    path: Path
    descriptions: dict[str, str]
    records: list[list[str]]

    def values(self, record: list[str], field: str) -> list[str]:
        """Entries of an INFO field."""
        found = [part[len(field) + 1 :] for part in record[7].split(";") if part.startswith(f"{field}=")]
        return found[0].split(",") if found else []

    def sites(self, field: str, further: tuple[str, ...] = ()) -> Iterator[tuple[Site, list[str]]]:
        """Each alternate allele as annotators see it, and its record."""
        for record in self.records:
            position, ref, old = int(record[1]), record[3], [record[3], *record[4].split(",")]
            entries = self.values(record, field)
            entries += [f"{name}={one}" for name in further for one in self.values(record, name)]
            for place in range(1, len(old)):
                minimal = minimal_representation(position, ref, old[place])
                yield Site(record[0], *minimal, old, place, entries or None), record


def plain_file(path: Path) -> PlainFile:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("latin-1")
    descriptions = dict(re.findall(r'^##INFO=<ID=([^,]+).*Description="([^"]*)"', text, re.MULTILINE))
    rows = [line.split("\t") for line in text.splitlines() if line[:1] not in ("#", "")]
    return PlainFile(path, descriptions, [row for row in rows if len(row) > 7])


def axis(names: set[str]) -> pd.DataFrame:
    """A gene axis of these ids, in their order."""
    ids = sorted(names - {""})
    return pd.DataFrame(
        {"position": range(len(ids)), "gene_id": ids, "symbol": None, "contig": "1", "start": 1, "end": 2}
    )
