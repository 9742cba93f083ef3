"""Burden masks by name, with their sources; docs/masks.md shows them as a table.

Frequencies are those among all other people outside the test fold. A preset that needs what the annotation
lacks is refused with the names of it.
"""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]

# regenie's default frequency bin and Genebass' cut are both 1 %.
RARE = 0.01

SYNONYMOUS_TERMS = ("synonymous_variant", "stop_retained_variant", "start_retained_variant")
"""Terms of variants that leave the protein as it is."""

# BRaVa, variant-annotation, SAIGE_annotations/scripts/brava_create_annot.py: its lists of terms and cuts. The
# cuts of REVEL and CADD are ClinGen's for moderate evidence (Pejaver et al. 2022).
_BRAVA_PROTEIN_ALTERING = (
    "stop_lost", "start_lost", "transcript_amplification", "inframe_insertion", "inframe_deletion",
    "missense_variant", "protein_altering_variant",
)  # fmt: skip
_BRAVA_SYNONYMOUS = ("synonymous_variant", "stop_retained_variant")
_BRAVA_NON_CODING = (
    "mature_miRNA_variant", "5_prime_UTR_variant", "3_prime_UTR_variant",
    "non_coding_transcript_exon_variant", "intron_variant", "NMD_transcript_variant",
    "non_coding_transcript_variant", "upstream_gene_variant", "downstream_gene_variant", "TFBS_ablation",
    "TFBS_amplification", "TF_binding_site_variant", "regulatory_region_ablation",
    "regulatory_region_amplification", "feature_elongation", "regulatory_region_variant",
    "feature_truncation", "intergenic_variant",
)  # fmt: skip
_REVEL: Settings = {"scores": {"revel": {"min": 0.773}}}
_CADD: Settings = {"scores": {"cadd": {"min": 28.1}}}
_SPLICEAI: Settings = {"scores": {"spliceai": {"min": 0.2}}}
_HIGH_CONFIDENCE: Settings = {"loftee": ("HC",)}
_LOW_CONFIDENCE: Settings = {"loftee": ("LC",)}


def _per_class(**limits: Any) -> tuple[Settings, ...]:
    classes = ("plof", "damaging_missense", "other_missense", "synonymous")
    return tuple({"name": name, "classes": (name,), **limits} for name in classes)


def _brava() -> tuple[Settings, ...]:
    altering: Settings = {"terms": _BRAVA_PROTEIN_ALTERING}
    damaging = (altering | _REVEL, altering | _CADD, _SPLICEAI, _LOW_CONFIDENCE)
    masks: tuple[Settings, ...] = (
        {"name": "plof", "any_of": (_HIGH_CONFIDENCE,)},
        {"name": "damaging_missense", "any_of": damaging, "none_of": (_HIGH_CONFIDENCE,)},
        {"name": "other_missense", "any_of": (altering,), "none_of": (_HIGH_CONFIDENCE, *damaging)},
        {
            "name": "synonymous",
            "any_of": ({"terms": _BRAVA_SYNONYMOUS},),
            "none_of": (_HIGH_CONFIDENCE, *damaging, altering, {"terms": _BRAVA_NON_CODING}),
        },
    )
    # The larger of the meta-analysis' two cuts, and gnomAD's popmax below 1 %.
    limits = {"frequency": "minor", "max_frequency": 0.001, "max_external_frequency": 0.01}
    return tuple(mask | limits for mask in masks)


def _schema() -> tuple[Settings, ...]:
    missense: Settings = {"terms": ("missense_variant",)}
    above: Settings = {"scores": {"mpc": {"above": 3}}}
    between: Settings = {"scores": {"mpc": {"min": 2, "max": 3}}}
    masks: tuple[Settings, ...] = (
        {"name": "ptv", "any_of": (_HIGH_CONFIDENCE,)},
        {"name": "missense_mpc_3", "any_of": (missense | above,), "none_of": (_HIGH_CONFIDENCE,)},
        {"name": "missense_mpc_2", "any_of": (missense | between,), "none_of": (_HIGH_CONFIDENCE,)},
        {"name": "synonymous", "classes": ("synonymous",)},
    )
    return tuple(mask | {"max_allele_count": 5} for mask in masks)


def _regenie() -> tuple[Settings, ...]:
    classes = {
        "plof": ("plof",),
        "plof_missense": ("plof", "damaging_missense", "other_missense"),
        "synonymous": ("synonymous",),
    }
    bins: dict[str, Settings] = {"": {"max_frequency": RARE}, "_singleton": {"max_allele_count": 0}}
    return tuple(
        {"name": name + suffix, "classes": of_mask, "combine": "max", **limits}
        for name, of_mask in classes.items()
        for suffix, limits in bins.items()
    )


PRESETS: dict[str, tuple[Settings, ...]] = {
    # Classes of BipEx (damaging: PolyPhen probably_damaging and SIFT deleterious). Its cut, a minor allele
    # count of at most 5, belongs to 28,000 people and leaves too little of smaller cohorts: here up to 1 %.
    "bipex": _per_class(max_frequency=RARE),
    # The same classes with the published cut (BipEx, gene_analyses: MAC <= 5).
    "bipex_mac5": _per_class(max_allele_count=5),
    # SCHEMA (Singh et al. 2022): MAC <= 5; class I is PTVs of LOFTEE and missense of MPC > 3, class II
    # missense of MPC 2 to 3 (exome-results-browsers, schema/content/results.md).
    "schema": _schema(),
    # BRaVa's consensus classes.
    "brava": _brava(),
    # Groups of Genebass; its union of the first two is their sum and is left out.
    "genebass": (
        {"name": "plof", "classes": ("plof",), "max_frequency": RARE},
        {
            "name": "missense_or_low_confidence",
            "classes": ("damaging_missense", "other_missense", "plof_low_confidence"),
            "max_frequency": RARE,
        },
        {"name": "synonymous", "classes": ("synonymous",), "max_frequency": RARE},
    ),
    # regenie's defaults: masks M1 (pLoF) and M2 (pLoF, missense) of its example, the largest allele count
    # over variants, up to 1 % and singletons, which here are what nobody else outside the test fold carries.
    "regenie": _regenie(),
    # What should tell nothing: synonymous variants in ranges that do not overlap.
    "synonymous-control": (
        {"name": "synonymous_0.1_percent", "classes": ("synonymous",), "max_frequency": 0.001},
        {
            "name": "synonymous_1_percent",
            "classes": ("synonymous",),
            "min_frequency": 0.001,
            "max_frequency": RARE,
        },
    ),
    # For calls without consequences: every variant in the gene, split by frequency.
    "any": (
        {"name": "any_rare", "classes": ("any",), "max_frequency": RARE},
        {"name": "any_common", "classes": ("any",), "min_frequency": RARE},
    ),
}
"""Settings of the masks by the preset's name."""
