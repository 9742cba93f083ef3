"""Haploid calls in the formats of PLINK, which write them as homozygous ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etl.ingest.split import HAPLOID


def as_haploid(alleles_2P: NDArray[np.integer], region: str, men_P: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Homozygous calls of men on X and of everybody on Y and MT as haploid ones, as plink2 exports them.

    Heterozygous calls there stay as they are: they tell of a wrong sex or of contamination. So do calls of
    people of unknown sex on X. Missing calls stay missing.

    Parameters
    ----------
    alleles_2P
        Allele numbers, -1 where missing; changed in place.
    region
        Of `etl.cohort.schema.REGIONS`: pseudo-autosomal regions are diploid.
    men_P
        People whose file says that they are men.
    """
    if region not in ("x", "y", "mt"):
        return alleles_2P
    haploid_P = (alleles_2P[0] == alleles_2P[1]) & (alleles_2P[0] >= 0)
    if region == "x":
        haploid_P &= men_P
    alleles_2P[1][haploid_P] = HAPLOID
    return alleles_2P


def packed(men_P: NDArray[np.bool_]) -> bytes:
    """An eighth of the bytes, for parts that are sent to tasks."""
    return np.packbits(men_P).tobytes()


def unpacked(men: bytes, n_people: int) -> NDArray[np.bool_]:
    """What `packed` made smaller."""
    return np.unpackbits(np.frombuffer(men, dtype=np.uint8), count=n_people).astype(bool)
