"""What a record says about itself: the rules on variants that need no genotypes and no labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from contract.errors import InputError, fault
from etl.genome import Genome
from etl.ingest.alleles import allele_reasons

if TYPE_CHECKING:
    import pysam

    from etl.ingest.htslib import Record
    from etl.ingest.intervals import Intervals

SITE_REASONS = (
    "not_bases",
    "ref_equals_alt",
    "repeated_allele",
    "ref_differs_from_fasta",
    "too_many_alleles",
    "filter_not_pass",
    "outside_intervals",
)
"""Values of the cohort's column `site_reasons`, in the order in which they are written."""


@dataclass(frozen=True)
class SiteRules:
    """Limits on records."""

    genome: Genome
    max_alleles: int
    require_pass: bool
    intervals: Intervals | None
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
        return found

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
        wanted = self._fasta.fetch(self._fasta_contig(record.contig), start, start + len(record.ref)).upper()
        # Ambiguous bases of either say nothing against the other.
        return len(wanted) != len(record.ref) or any(
            ours != theirs and ours in "ACGT" and theirs in "ACGT"
            for ours, theirs in zip(record.ref, wanted, strict=True)
        )

    def _fasta_contig(self, contig: str) -> str:
        if contig in self._fasta_names:
            return contig
        bare = contig.removeprefix("chr")
        other = f"chr{contig}" if bare == contig else bare
        if other in self._fasta_names:
            return other
        raise InputError(
            fault(self.reference_fasta, "contigs", found=f"no {contig}", wanted=f"all of {self.genome.name}")
        )

    @cached_property
    def _fasta_names(self) -> set[str]:
        return set(self._fasta.references)

    @cached_property
    def _fasta(self) -> pysam.FastaFile:
        import pysam

        try:
            return pysam.FastaFile(self.reference_fasta)
        except (OSError, ValueError) as error:
            raise InputError(
                fault(self.reference_fasta, "reference_fasta", found=f"unreadable ({error})",
                      wanted="a FASTA file, plain or bgzipped, that is indexed or can be")
            ) from None  # fmt: skip
