"""bcftools csq's BCSQ: entries without an allele, shortened ones, and references to another record."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import Site
from etl.annotate.dialects import BCFTOOLS
from etl.annotate.judgement import BEHIND_A_STOP, judge
from etl.annotate.transcripts import Candidate, TranscriptAnnotator
from etl.ingest.alleles import minimal_representation

LINK = "@"
LINK_COLUMNS = ("contig", "old_position", "annotation")
"""Columns of the cohort that links are read from."""

Place = tuple[str, int]
"""Contig and position of a record, as it was written."""

Linked = Mapping[Place, list[str]]
"""Entries of the records that others refer to."""


class Entry(NamedTuple):
    """An entry; bcftools leaves the last three sub-fields off where they are empty."""

    consequence: str
    gene: str = ""
    transcript: str = ""
    biotype: str = ""
    strand: str = ""
    amino_acid_change: str = ""
    dna_change: str = ""


class BcsqAnnotator(TranscriptAnnotator):
    """The worst of bcftools' consequences in each gene of the axis.

    An entry is of the variant's own allele if its DNA change names it; one without a DNA change (of introns,
    splice sites and untranslated ends) is of every allele of its record: bcftools writes there no allele. A
    record that takes part in a compound change written in another record (`@position`) has the entries of
    that record which name it in their DNA change. What bcftools marks with `*`, behind a premature stop of
    the same haplotype, keeps the mark and is of class `other`: the stop is counted already.

    Parameters
    ----------
    genes
        The gene axis, which bcftools names by symbol, or by id where the gene has none.
    config
        Which transcripts to use.
    linked
        See `read_linked`.
    """

    def __init__(self, genes: pd.DataFrame, config: AnnotationConfig, linked: Linked) -> None:
        super().__init__(genes)
        self._coding_only = config.protein_coding_only
        self._linked = linked

    def candidates(self, site: Site) -> Iterator[Candidate]:
        """See `TranscriptAnnotator`."""
        for entry in self._own_entries(site):
            gene = self.gene(entry.gene, entry.gene)
            if gene is None or (self._coding_only and entry.biotype not in ("protein_coding", "")):
                continue
            yield Candidate(gene, entry.gene, judge(ensembl_terms(entry.consequence), ""))

    def _own_entries(self, site: Site) -> Iterator[Entry]:
        for text in site.annotation or ():
            if text.startswith(LINK):
                yield from self._linked_entries(site, text)
                continue
            entry = Entry(*text.split("|")[:7])
            # A record that was split or trimmed after annotation has one allele and maybe another name.
            if not entry.dna_change or len(site.old_alleles) == 2 or names_variant(entry.dna_change, site):
                yield entry

    def _linked_entries(self, site: Site, link: str) -> Iterator[Entry]:
        position = link.removeprefix(LINK)
        found = self._linked.get((site.contig, int(position))) if position.isdigit() else None
        if found is None:
            self.counts[UNRESOLVED] += 1
        for text in found or ():
            entry = Entry(*text.split("|")[:7])
            if names_variant(entry.dna_change, site):
                yield entry


UNRESOLVED = "entries that refer to a record which is not in the file"

_CHANGE = re.compile(r"(\d+)([A-Za-z]+)>([A-Za-z]+)")


def names_variant(dna_change: str, site: Site) -> bool:
    """Whether a DNA change ('107G>A+108T>A') names the variant, in any representation."""
    own = (site.position, site.ref, site.alt)
    return any(
        minimal_representation(int(position), ref.upper(), alt.upper()) == own
        for position, ref, alt in _CHANGE.findall(dna_change)
    )


def ensembl_terms(consequence: str) -> str:
    """Terms of Ensembl for bcftools' consequences; the mark of those behind a stop stays."""
    mark = BEHIND_A_STOP if consequence.startswith(BEHIND_A_STOP) else ""
    names = consequence.removeprefix(BEHIND_A_STOP).split("&")
    return "&".join(mark + BCFTOOLS.get(name, name) for name in names)


def linked_places(batches: Iterable[pa.RecordBatch]) -> set[Place]:
    """What a task does first: the records that others refer to; batches of LINK_COLUMNS in."""
    places = set()
    for contig, _, entries in _rows(batches):
        for text in entries:
            if text.startswith(LINK) and text[1:].isdigit():
                places.add((contig, int(text[1:])))
    return places


def entries_of(batches: Iterable[pa.RecordBatch], places: set[Place]) -> dict[Place, list[str]]:
    """What a task does then: entries of the records at those places; batches of LINK_COLUMNS in."""
    found: dict[Place, list[str]] = {}
    for contig, position, entries in _rows(batches):
        if (contig, position) in places:
            held = found.setdefault((contig, position), [])
            held += [text for text in entries if not text.startswith(LINK) and text not in held]
    return found


def merged(found: Iterable[Linked]) -> Linked:
    """What several tasks found: records of one place may lie in two parts."""
    all_found: dict[Place, list[str]] = {}
    for linked in found:
        for place, entries in linked.items():
            held = all_found.setdefault(place, [])
            held += [text for text in entries if text not in held]
    return all_found


def _rows(batches: Iterable[pa.RecordBatch]) -> Generator[tuple[str, int, list[str]], None, None]:
    for batch in batches:
        columns = [batch.column(name).to_pylist() for name in LINK_COLUMNS]
        for contig, position, entries in zip(*columns, strict=True):
            if entries:
                yield contig, position, entries
