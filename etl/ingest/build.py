"""Whether a file's header speaks of the reference genome that the configuration names."""

from __future__ import annotations

import re

from contract.errors import fault
from etl.genome import GENOMES, GenomeName, genome
from etl.ingest.source import CallsHeader

MAX_FAULTS = 3
"""Contigs of another length that are named; one build's all differ."""

_BUILD_NAMES = {
    "GRCh38": r"grch38|hg38|hs38|(?<![a-z0-9])b38",
    "GRCh37": r"grch37|hg19|hs37|(?<![a-z0-9])b37|g1k_v37",
    "NCBI36": r"ncbi_?36|hg18|(?<![a-z0-9])b36|grch36",
}
"""How references are called in headers."""


def check_build(header: CallsHeader, reference: GenomeName, *, names: bool = True) -> list[str]:
    """Faults of a file whose contig names, lengths or reference belong to another genome build.

    Without `names` those are not looked at: in some formats they say nothing of the build.
    """
    return [
        *(_name_faults(header, reference) if names else []),
        *_length_faults(header, reference),
        *_reference_faults(header, reference),
    ]


def _name_faults(header: CallsHeader, reference: GenomeName) -> list[str]:
    """The first contig's style of name; an unplaced one tells nothing."""
    name = header.first_contig or next(iter(header.contig_lengths), None)
    if name is None:
        return []
    known = genome(reference).lengths
    others = {contig for other in GENOMES.values() for contig in other.lengths} | {"chrMT", "M"}
    if name in known or name not in others:
        return []
    wanted = f"names of {reference}, such as '{genome(reference).contig('1')}'"
    return [fault(header.path, "CHROM", found=f"'{name}'", wanted=wanted)]


def _length_faults(header: CallsHeader, reference: GenomeName) -> list[str]:
    lengths = genome(reference).lengths
    faults = []
    for name, length in header.contig_lengths.items():
        bare = "MT" if name in ("chrM", "M", "MT") else name.removeprefix("chr")
        wanted = lengths.get(genome(reference).contig(bare))
        # hg19 brought another mitochondrial sequence to the same build.
        if bare != "MT" and None not in (length, wanted) and length != wanted:
            told = f"{wanted} ({reference})"
            faults.append(
                fault(header.path, f"##contig length of chromosome {bare}", found=length, wanted=told)
            )
    return faults[:MAX_FAULTS]


def _reference_faults(header: CallsHeader, reference: GenomeName) -> list[str]:
    faults = []
    for text in header.references:
        named = {build for build, pattern in _BUILD_NAMES.items() if re.search(pattern, text.lower())}
        if named and reference not in named:
            faults.append(fault(header.path, "##reference", found=text[:80], wanted=f"one of {reference}"))
    return faults[:1]
