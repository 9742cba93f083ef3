"""What the header of the variants' file says of its annotation. Imports no Hail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from etl.annotate.bcsq_format import check_bcsq
from etl.annotate.config import LOSS_FIELDS, AnnotationConfig
from etl.annotate.csq_format import csq_fields
from etl.annotate.snpeff_format import snpeff_fields


@dataclass(frozen=True)
class AnnotationHeader:
    """What is known of the annotation before any record is read."""

    fields: tuple[str, ...] = ()
    """Sub-fields of an entry in order; none where the annotation is not in the variants' file."""
    calls_loss: bool = False
    """Whether SnpEff looked for loss of function."""
    where: str = "annotation"
    """The file, named in messages."""


def annotation_header(
    config: AnnotationConfig, descriptions: Mapping[str, str], where: str
) -> AnnotationHeader:
    """What a header says of the annotation.

    Parameters
    ----------
    config
        Which annotation is used.
    descriptions
        INFO field -> its description in the header.
    where
        The file, named in messages.

    Raises
    ------
    InputError
        If the annotation is an INFO field that the header does not have, or lacks a sub-field that is needed.
    """
    if config.info_field is None:
        return AnnotationHeader(where=where)
    description = descriptions.get(config.info_field)
    if config.kind == "csq":
        fields = csq_fields(config, description, where)
    elif config.kind == "bcsq":
        fields = check_bcsq(config, description, where)
    else:
        fields = snpeff_fields(config, description, where)
    calls_loss = any(name in descriptions for name in LOSS_FIELDS) and config.kind in ("ann", "eff")
    return AnnotationHeader(tuple(fields), calls_loss, where)
