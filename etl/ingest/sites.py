"""What a record says about itself: the rules on variants that need no genotypes and no labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from contract.errors import InputError, fault
from contract.local_copies import shared_copy
from etl.genome import Genome
from etl.ingest.alleles import allele_reasons

if TYPE_CHECKING:
    import pysam

    from etl.ingest.intervals import Intervals
    from etl.ingest.record import Record

RECORD_REASONS = ("contig_outside_reference", "at_telomere", "no_alternate_allele")
"""Records that are left out and counted."""

SITE_REASONS = (
    "not_bases",
    "ref_equals_alt",
    "repeated_allele",
    "ref_differs_from_fasta",
    "too_many_alleles",
    "filter_not_pass",
    "outside_intervals",
    "low_complexity",
)
"""Values of the cohort's column `site_reasons`, in the order in which they are written."""


@dataclass(frozen=True)
class SiteRules:
    """Limits on records."""

    genome: Genome
    max_alleles: int
    require_pass: bool
    intervals: Intervals | None
    low_complexity: Intervals | None
    reference_fasta: str | None

    def reasons(self, record: Record, place: int) -> list[str]:
        """Names of the rules that one alternate allele of a record fails, in the order of SITE_REASONS."""
        last = record.position + len(record.ref) - 1
        found = allele_reasons(record.ref, record.alts, place)
        if self.reference_fasta and self._fasta_differs(record):
            found.append("ref_differs_from_fasta")
        if len(record.alts) + 1 > self.max_alleles:
            found.append("too_many_alleles")
        if self.require_pass and record.filters:
            found.append("filter_not_pass")
        if self.intervals and not self.intervals.overlap(record.contig, record.position, last):
            found.append("outside_intervals")
        if self.low_complexity and self.low_complexity.overlap(record.contig, record.position, last):
            found.append("low_complexity")
        return found

    def at_telomere(self, record: Record) -> bool:
        """Whether a record stands before or behind its contig's bases: VCF's way to name a telomere."""
        return record.position in (0, self.genome.lengths[record.contig] + 1)

    def check_position(self, path: str, record: Record) -> None:
        """Refuse a record of a primary contig that lies outside it.

        Raises
        ------
        InputError
            The calls are of another build.
        """
        length = self.genome.lengths[record.contig]
        if not 1 <= record.position <= length:
            where = f"record {record.contig}:{record.position}"
            wanted = f"1 to {length}, the length of {record.contig} in {self.genome.name}"
            raise InputError(fault(path, where, found=f"position {record.position}", wanted=wanted))

    def _fasta_differs(self, record: Record) -> bool:
        start = record.position - 1
        name = self._fasta_names.get(record.contig)
        if name is None:
            wanted = f"a sequence for {record.contig}, where the calls have records"
            raise InputError(fault(self.reference_fasta, "sequences", found="none", wanted=wanted))
        wanted = self._fasta.fetch(name, start, start + len(record.ref)).upper()
        # Ambiguous bases of either say nothing against the other.
        return len(wanted) != len(record.ref) or any(
            ours != theirs and ours in "ACGT" and theirs in "ACGT"
            for ours, theirs in zip(record.ref, wanted, strict=True)
        )

    @cached_property
    def _fasta(self) -> pysam.FastaFile:
        return open_fasta(str(self.reference_fasta))

    @cached_property
    def _fasta_names(self) -> dict[str, str]:
        return fasta_names(self._fasta, self.genome)


def open_fasta(path: str) -> pysam.FastaFile:
    """A FASTA file, plain or bgzipped; its index is made beside it where it is absent.

    One at a URL is copied to this machine first.

    Raises
    ------
    InputError
        If it is absent, no FASTA, or can't be indexed.
    """
    import pysam

    try:
        return pysam.FastaFile(shared_copy(path, ".fai", ".gzi"))
    except (OSError, ValueError) as error:
        wanted = "a FASTA file, plain or bgzipped, that is indexed or can be"
        raise InputError(
            fault(path, "reference_fasta", found=f"an unreadable file ({error})", wanted=wanted)
        ) from None


def fasta_names(fasta: pysam.FastaFile, reference: Genome) -> dict[str, str]:
    """Contig of the genome -> the file's name for it, with or without 'chr'."""
    bare = {name.removeprefix("chr").replace("MT", "M"): name for name in fasta.references}
    names = {contig: bare.get(contig.removeprefix("chr").replace("MT", "M")) for contig in reference.lengths}
    return {contig: name for contig, name in names.items() if name is not None}


def check_fasta(path: str, reference: Genome) -> list[str]:
    """Faults of a reference sequence: unreadable, without any contig of the genome, or of other lengths."""
    try:
        fasta = open_fasta(path)
    except InputError as error:
        return error.faults
    names = fasta_names(fasta, reference)
    if not names:
        found = ", ".join(fasta.references[:3])
        return [fault(path, "sequences", found=found, wanted=f"contigs of {reference.name}")]
    faults = []
    for contig, name in names.items():
        found, wanted = fasta.get_reference_length(name), reference.lengths[contig]
        if found != wanted and contig not in ("MT", "chrM"):
            faults.append(
                fault(path, f"length of {contig}", found=found, wanted=f"{wanted} ({reference.name})")
            )
    return faults[:3]
