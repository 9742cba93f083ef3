"""What headers of SnpEff's ANN and EFF offer. Imports no Hail: checks run before it starts."""

from __future__ import annotations

import re

from contract.errors import InputError, fault
from etl.annotate.config import AnnotationConfig

_OTHER_NAMES = {
    "effect": "annotation",
    "effect_impact": "annotation_impact",
    "putative_impact": "annotation_impact",
    "gene_biotype": "transcript_biotype",
    "genotype": "genotype_number",
    "genotype_num": "genotype_number",
}
"""Names of EFF and of older versions -> those of ANN."""


def normal(name: str) -> str:
    """Name of a sub-field in the words of ANN, whatever the version wrote."""
    plain = name.strip().lower().replace(" ", "_")
    return _OTHER_NAMES.get(plain, plain)


def snpeff_format(description: str) -> list[str]:
    """Sub-fields in order, from the header's description.

    Parameters
    ----------
    description
        "… 'Allele | Annotation | …'" of ANN, or "… 'Effect ( Effect_Impact | … [ | ERRORS | WARNINGS ] )'"
        of EFF.
    """
    quoted = re.search(r"'(.*)'", description)
    listed = quoted.group(1) if quoted else description.rpartition(":")[2]
    if "|" not in listed:
        return []
    return [name.strip() for name in re.split(r"[|(]", re.sub(r"[\[\])]", " ", listed)) if name.strip()]


def snpeff_fields(config: AnnotationConfig, description: str | None, where: object) -> list[str]:
    """Sub-fields of ANN or EFF, from the configuration or else from the header.

    Raises
    ------
    InputError
        If the header has no such field, or a sub-field that is needed is not there.
    """
    name = f"INFO {config.info_field}"
    if description is None and not config.csq_fields:
        raise InputError(
            fault(where, name, found="no such field in the header", wanted="SnpEff's annotation")
        )
    fields = list(config.csq_fields or snpeff_format(description or ""))
    names = {normal(field) for field in fields}
    absent = [] if "annotation" in names else ["Annotation (in EFF: Effect)"]
    if config.kind == "ann" and "allele" not in names:
        absent.append("Allele")
    if not {"gene_id", "gene_name"} & names:
        absent.append("Gene_ID or Gene_Name")
    if absent:
        found = "|".join(fields) or f"description {description!r}"
        raise InputError(fault(where, name, found=found, wanted=f"also {', '.join(absent)}"))
    return fields
