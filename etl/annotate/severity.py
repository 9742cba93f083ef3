"""Consequence terms: how severe each is, and the class that a variant falls into."""

from __future__ import annotations

from gnomad.utils.vep import CSQ_ORDER

SEVERITY: dict[str, int] = {term: rank for rank, term in enumerate(CSQ_ORDER)}
"""Ensembl's consequence terms with their published rank, 0 the most severe."""

LEAST_SEVERE = len(SEVERITY)
"""Rank of a term that Ensembl does not publish."""

PLOF_TERMS = frozenset(
    {
        "transcript_ablation",
        "splice_acceptor_variant",
        "splice_donor_variant",
        "stop_gained",
        "frameshift_variant",
    }
)
"""Putative loss of function when LOFTEE did not judge: its four classes and whole-transcript loss."""

MISSENSE_TERMS = frozenset({"missense_variant"})

OTHER_MISSENSE_TERMS = frozenset(
    {
        "stop_lost",
        "start_lost",
        "initiator_codon_variant",
        "inframe_insertion",
        "inframe_deletion",
        "protein_altering_variant",
    }
)
"""Changes of the protein that keep its frame: with missense, as in Genebass."""

SYNONYMOUS_TERMS = frozenset({"synonymous_variant", "stop_retained_variant", "start_retained_variant"})
