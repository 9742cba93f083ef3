"""What a BCSQ header offers. Imports no Hail: checks run before it starts."""

from __future__ import annotations

from contract.errors import InputError, fault
from etl.annotate.config import AnnotationConfig
from etl.annotate.csq_format import csq_format

WANTED = ("Consequence", "gene", "transcript", "biotype", "strand", "amino_acid_change", "dna_change")


def check_bcsq(config: AnnotationConfig, description: str | None, where: object) -> list[str]:
    """Sub-fields of BCSQ, which bcftools always writes in one order; others may follow.

    Raises
    ------
    InputError
        If the header has no such field, or names other sub-fields.
    """
    fields = list(config.csq_fields or csq_format(description or "") or WANTED)
    if description is None and not config.csq_fields:
        found, wanted = "no such field in the header", "the consequences of bcftools csq"
    elif tuple(fields[: len(WANTED)]) != WANTED:
        found, wanted = "|".join(fields), "|".join(WANTED)
    else:
        return fields
    raise InputError(fault(where, f"INFO {config.info_field}", found=found, wanted=wanted))
