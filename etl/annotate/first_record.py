"""Whether the first record's annotation is as the header says: seen before any work. Imports no Hail."""

from __future__ import annotations

from contract.errors import InputError, fault
from etl.annotate.config import AnnotationConfig
from etl.annotate.header import AnnotationHeader


def check_first_record(config: AnnotationConfig, header: AnnotationHeader, info: str) -> None:
    """Compare the first record's sub-fields with the header's.

    Only an entry that is longer than the header says, or one that stands alone and is shorter, is a fault
    here: commas inside a sub-field may cut entries. All records are looked at when they are annotated.

    Parameters
    ----------
    config
        Which annotation is used.
    header
        What the file's header says of it.
    info
        INFO of the first record; empty where it is not known.

    Raises
    ------
    InputError
        If the record has other sub-fields than the header names.
    """
    if config.kind not in ("csq", "ann"):
        return
    start = f"{config.info_field}="
    texts = [part.removeprefix(start) for part in info.split(";") if part.startswith(start)]
    entries = texts[0].split(",") if texts else []
    sizes = [len(entry.split("|")) for entry in entries]
    wanted = len(header.fields)
    wrong = [size for size in sizes if size > wanted or (size < wanted and len(sizes) == 1)]
    if wrong and entries != ["."]:
        raise InputError(
            fault(
                header.where,
                f"INFO {config.info_field} of the first record",
                found=f"an entry with {wrong[0]} sub-fields",
                wanted=f"{wanted}, as the header names",
            )
        )
