"""One record of calls as every format hands it on, and what is wanted of records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUMBER_FIELDS = ("AD", "DP", "GQ", "PL")
"""FORMAT fields that are read as numbers; all others pass as text and are not looked at."""

MISSING_NUMBER = -1


@dataclass(frozen=True)
class Record:
    """One record as it is written; axes: H haplotypes, P people."""

    contig: str
    position: int
    ref: str
    alts: list[str]
    filters: list[str]
    """Empty for PASS and for a record that was not filtered."""
    annotation: list[str] | None
    alleles_HP: NDArray[np.integer] | None
    """Allele numbers by haplotype and person: -1 unknown, -2 beyond the ploidy; None without GT."""
    numbers: dict[str, NDArray[np.int32]]
    """AD, DP, GQ, PL as far as the record has them, P × values; negative where missing."""


@dataclass(frozen=True)
class RecordSettings:
    """What is wanted of records."""

    n_people: int
    annotation_field: str | None
    numbers: tuple[str, ...]
    """Of `NUMBER_FIELDS`."""
    other_formats: tuple[str, ...]
    """FORMAT fields of the files beside GT and `NUMBER_FIELDS`."""
    further_fields: tuple[str, ...] = ()
    """INFO fields whose entries follow those of the annotation, as NAME=ENTRY."""
    people: str | None = None
    """`people_digest` of the samples: a second header in a file must name the same. None: not looked at."""
