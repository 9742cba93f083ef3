"""What a CSQ header offers. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from collections.abc import Collection

from contract.errors import InputError, fault
from etl.annotate.config import AnnotationConfig

REQUIRED = ("Allele", "Consequence")


def csq_format(description: str) -> list[str]:
    """Sub-fields of CSQ in order, from the header's description ('… Format: Allele|Consequence|…')."""
    _, mark, after = description.partition("Format:")
    if not mark and description.count("|") >= len(REQUIRED):
        after = description  # gnomAD v3 writes the list alone
    return [name.strip(' "') for name in after.split("|")] if after.strip(' "') else []


def csq_fields(config: AnnotationConfig, description: str | None, where: object) -> list[str]:
    """Sub-fields of the annotation, from the configuration or else from the header.

    Parameters
    ----------
    config
        Its `csq_fields` win over the header.
    description
        Description of the INFO field in the VCF's header; None when the header has no such field.
    where
        The file, named in the message.

    Raises
    ------
    InputError
        If the header has no such field, no format in it, or a sub-field that is needed is not there.
    """
    name = f"INFO {config.info_field}"
    if description is None:
        raise InputError(fault(where, name, found="no such field in the header", wanted="VEP's annotation"))
    fields = list(config.csq_fields or csq_format(description))
    if not fields:
        raise InputError(
            fault(where, name, found=f"description {description!r}", wanted="'Format: Allele|…'")
        )
    absent = [field for field in REQUIRED if field not in fields]
    if not {"Gene", "SYMBOL"} & set(fields):
        absent.append("Gene or SYMBOL")
    if absent:
        raise InputError(fault(where, name, found="|".join(fields), wanted=f"also {', '.join(absent)}"))
    return fields


def available_classes(config: AnnotationConfig, fields: Collection[str], *, calls_loss: bool) -> set[str]:
    """Variant classes that an annotation can tell apart.

    Parameters
    ----------
    config
        Which annotation is used; of group files, any class may be one.
    fields
        Its sub-fields.
    calls_loss
        Whether SnpEff looked for loss of function.
    """
    if config.kind == "intervals":
        return {"any"}
    classes = {"plof", "other_missense", "synonymous", "other", "any"}
    if config.kind == "groups":
        return classes | {"plof_low_confidence", "damaging_missense"}
    if "LoF" in fields or calls_loss:
        classes.add("plof_low_confidence")
    if {"PolyPhen", "SIFT"} <= set(fields):
        classes.add("damaging_missense")
    return classes
