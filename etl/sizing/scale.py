"""What the costs of a run grow with."""

from __future__ import annotations

from dataclasses import dataclass

EXOME_GENES = 19_000
"""Protein-coding genes of a GTF, nearly."""

MOST_MARKERS = 10_000
"""`relatedness.max_markers` of all profiles in conf/profiles."""

MARKER_SHARE = 0.06
"""Markers of the variants, of the largest run that costs were fitted on, where they are few."""

FAILED_SHARE = 0.032
"""Calls that are absent or fail the genotype rules, of all: as in the runs that costs were fitted on."""

ALTERNATE_SHARE = 0.04
"""Calls with an alternate allele, of all, where variants are few: 0.09 to 0.04 in those runs."""

EXOME_ALTERNATES = 40_000
"""Such calls of a person in a whole exome with the edges of its targets, about: assumed."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of a cohort."""

    people: int
    variants: int
    """Alternate alleles."""
    calls_per_person: float
    """Calls of a person that the cohort lists: all but homozygous reference calls that pass."""
    genes: int = EXOME_GENES
    markers: int = MOST_MARKERS
    """Of kinship and ancestry."""

    @property
    def genotypes(self) -> int:
        """People × variants."""
        return self.people * self.variants

    @property
    def listed(self) -> float:
        """Calls that the cohort lists."""
        return self.people * self.calls_per_person

    @property
    def people_genes(self) -> int:
        """People × genes."""
        return self.people * self.genes

    @property
    def marker_genotypes(self) -> int:
        """People × markers."""
        return self.people * self.markers

    @property
    def marker_pairs(self) -> float:
        """Pairs of people × markers: what kinship compares."""
        return self.people * (self.people + 1) / 2 * self.markers


def scale_of(
    people: int, variants: int, *, calls_per_person: float | None = None, genes: int = EXOME_GENES
) -> Scale:
    """The scale of a cohort of which little is known.

    Parameters
    ----------
    people, variants
        Of the calls.
    calls_per_person
        Calls that are not passing homozygous reference; None: as many as such a cohort is expected to have.
    genes
        On the gene axis.
    """
    if calls_per_person is None:
        alternates = min(ALTERNATE_SHARE * variants, EXOME_ALTERNATES)
        calls_per_person = FAILED_SHARE * variants + alternates
    markers = min(MOST_MARKERS, round(MARKER_SHARE * variants))
    return Scale(
        people=people, variants=variants, calls_per_person=calls_per_person, genes=genes, markers=markers
    )
