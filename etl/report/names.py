"""The report's words for the names of reasons, steps and metrics."""

from __future__ import annotations

WORDS = {
    "plof": "pLoF",
    "charr": "contamination (CHARR)",
    "dp": "depth",
    "gq": "genotype quality",
    "hwe": "Hardy-Weinberg equilibrium",
}
PHRASES = {
    "outlier_ancestry": "ancestry that hardly anybody shares",
    "outlier_n_singleton": "outlier in singletons",
    "outlier_r_het_hom_var": "outlier in heterozygous / homozygous",
    "outlier_r_insertion_deletion": "outlier in insertions / deletions",
    "outlier_r_ti_tv": "outlier in transitions / transversions",
    "filter_not_pass": "FILTER is not PASS",
    "ref_equals_alt": "REF equals ALT",
    "ref_differs_from_fasta": "REF differs from the reference",
    "call_rate_cases": "call rate in cases",
    "call_rate_controls": "call rate in controls",
    "call_rate_difference": "call rate differs between cases and controls",
    "batch_difference": "difference between batches",
    "duplicate_other_status": "duplicate with another status",
    "duplicate_other_sex": "duplicate with another sex",
}


def reason_words(name: object) -> str:
    """A name as a reader sees it; names that stand in no list lose their underscores."""
    text = str(name)
    return PHRASES.get(text) or " ".join(WORDS.get(part, part) for part in text.split("_"))
