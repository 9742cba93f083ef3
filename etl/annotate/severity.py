"""Consequence terms: how severe each is, and the class that a variant falls into."""

from __future__ import annotations

TERMS = (
    "transcript_ablation", "splice_acceptor_variant", "splice_donor_variant", "stop_gained",
    "frameshift_variant", "stop_lost", "start_lost", "initiator_codon_variant", "transcript_amplification",
    "inframe_insertion", "inframe_deletion", "missense_variant", "protein_altering_variant",
    "splice_donor_5th_base_variant", "splice_region_variant", "splice_donor_region_variant",
    "splice_polypyrimidine_tract_variant", "incomplete_terminal_codon_variant", "start_retained_variant",
    "stop_retained_variant", "synonymous_variant", "coding_sequence_variant", "coding_transcript_variant",
    "mature_miRNA_variant", "5_prime_UTR_variant", "3_prime_UTR_variant",
    "non_coding_transcript_exon_variant", "non_coding_exon_variant", "intron_variant",
    "NMD_transcript_variant", "non_coding_transcript_variant", "nc_transcript_variant",
    "upstream_gene_variant", "downstream_gene_variant", "TFBS_ablation", "TFBS_amplification",
    "TF_binding_site_variant", "regulatory_region_ablation", "regulatory_region_amplification",
    "feature_elongation", "regulatory_region_variant", "feature_truncation", "intergenic_variant",
    "sequence_variant",
)  # fmt: skip
"""Ensembl's consequence terms, the most severe first: gnomad's CSQ_ORDER, written down because gnomad imports
Hail, which tasks on executors have not. A test compares them."""

SEVERITY = {term: rank for rank, term in enumerate(TERMS)}

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
"""Putative loss of function by the term alone: LOFTEE's four classes and whole-transcript loss."""

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
