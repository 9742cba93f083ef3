"""Burden masks by name.

Only masks whose every ingredient our annotation carries are defined. Frequencies are those of the alternate
allele among people outside the test fold. The names say whose classes they are.
"""

from __future__ import annotations

from typing import Any

# regenie's default frequency bin and Genebass' cut are both 1 %.
RARE = 0.01


def _per_class(**limits: Any) -> tuple[dict[str, Any], ...]:
    classes = ("plof", "damaging_missense", "other_missense", "synonymous")
    return tuple({"name": name, "classes": (name,), **limits} for name in classes)


PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    # Classes of BipEx (damaging: PolyPhen probably_damaging and SIFT deleterious). Its cut, a minor allele
    # count of at most 5, belongs to 28,000 people and leaves too little of smaller cohorts: here up to 1 %.
    "bipex": _per_class(max_frequency=RARE),
    # The same classes with the published cut (BipEx, gene_analyses: MAC <= 5).
    "bipex_mac5": _per_class(max_allele_count=5),
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
    # For calls without consequences: every variant in the gene, split by frequency.
    "any": (
        {"name": "any_rare", "classes": ("any",), "max_frequency": RARE},
        {"name": "any_common", "classes": ("any",), "min_frequency": RARE},
    ),
}
