"""Which allele is the reference, in formats that do not say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from contract.errors import InputError, fault
from etl.genome import Genome, genome
from etl.ingest.source import Reference

if TYPE_CHECKING:
    import pysam

MOST_STRANGE = 0.3
"""Share of SNPs whose alleles the sequence has neither of, above which a file is refused: of another build
half of all SNPs fit by chance, of the same strand and build nearly all do."""

FEWEST_JUDGED = 50
"""SNPs below which that share says nothing."""


@dataclass(frozen=True)
class ReferenceChoice:
    """Chooses a variant's reference allele: by the sequence where there is one, else by its place."""

    reference: Reference
    takes_last: bool
    """Whether the last allele is preferred, not the first."""

    @cached_property
    def genome(self) -> Genome:
        """The reference genome."""
        return genome(self.reference.name)

    def place(self, contig: str, position: int, alleles: Sequence[str]) -> int:
        """Place of the reference among upper-case alleles.

        Where the sequence fits several alleles (an insertion in a repeat) or none (another strand), it is
        the preferred one; what fits none is told by `etl.ingest.sites`.
        """
        preferred = len(alleles) - 1 if self.takes_last else 0
        if self.reference.fasta is None or self.fits(contig, position, alleles[preferred]):
            return preferred
        others = (place for place, allele in enumerate(alleles) if self.fits(contig, position, allele))
        return next(others, preferred)

    def fits(self, contig: str, position: int, allele: str) -> bool:
        """Whether the sequence has the allele at that position."""
        name = self._names.get(contig)
        if name is None:
            return False
        return self._fasta.fetch(name, position - 1, position - 1 + len(allele)).upper() == allele

    def build_faults(self, path: str, snps: Sequence[tuple[str, int, str, str]]) -> list[str]:
        """The fault of a file whose SNPs (contig, position, alleles) are of another build or strand."""
        try:
            judged = [snp for snp in snps if snp[0] in self._names and {*snp[2:]} <= set("ACGT")]
        except InputError:
            return []  # a sequence that can't be read is told by `etl.ingest.sites.check_fasta`
        strange = sum(
            not any(self.fits(contig, position, allele) for allele in alleles)
            for contig, position, *alleles in judged
        )
        if len(judged) < FEWEST_JUDGED or strange <= MOST_STRANGE * len(judged):
            return []
        found = f"neither allele of {strange} of {len(judged)} SNPs in the reference's sequence"
        wanted = f"positions of {self.reference.name} and alleles of its forward strand"
        return [fault(path, "alleles", found=found, wanted=wanted)]

    @cached_property
    def _fasta(self) -> pysam.FastaFile:
        from etl.ingest.sites import open_fasta

        return open_fasta(str(self.reference.fasta))

    @cached_property
    def _names(self) -> dict[str, str]:
        from etl.ingest.sites import fasta_names

        return fasta_names(self._fasta, self.genome)

    def __getstate__(self) -> dict[str, object]:
        """Without the open file: a task opens its own."""
        return {"reference": self.reference, "takes_last": self.takes_last}
