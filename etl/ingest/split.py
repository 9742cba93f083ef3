"""The calls of a record seen from one of its alternate alleles, as `hl.split_multi_hts` sees them.

Axes: P people, A alleles of the record, G diploid genotypes in the VCF's order, E the people that are listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from etl.cohort.schema import MISSING
from etl.qc.genotype import Flags, ListedCalls, Values, reference_fails
from etl.thresholds import GenotypeThresholds

HAPLOID = -2
"""Second allele of a haploid call."""

MAX_DERIVED_GQ = 99
"""As in Hail's `gq_from_pl` and GATK."""

_UNKNOWN_PL = np.int32(2**30)


@dataclass(frozen=True)
class Genotypes:
    """Genotypes of one record as they came; missing values are negative."""

    first_P: NDArray[np.integer]
    second_P: NDArray[np.integer]
    """Allele numbers; -1 unknown, the second one HAPLOID where there is none."""
    called_P: Flags
    ad_PA: Values | None
    dp_P: Values | None
    gq_P: Values | None
    pl_PG: Values | None


def list_calls(
    genotypes: Genotypes, allele: int, n_alleles: int, limits: GenotypeThresholds | None
) -> ListedCalls:
    """List everybody who, seen from one alternate allele, is no passing homozygous reference.

    Other alternates count as reference: their reads are the reference's, PL is the least of those that look
    alike, GQ follows from PL. A call without all its PLs keeps the record's own GQ.

    Parameters
    ----------
    genotypes
        Of the record.
    allele
        1-based number of the alternate allele.
    n_alleles
        Alleles of the record, the reference counted.
    limits
        Genotype rules; None trusts every call, and no PL is looked at.
    """
    pl_PG, gq_P = genotypes.pl_PG, genotypes.gq_P
    haploid_P = genotypes.second_P == HAPLOID
    if limits and pl_PG is not None and n_alleles > 2:
        pl_PG = _split_likelihoods(pl_PG, haploid_P, allele, n_alleles)
        gq_P = _split_quality(gq_P, pl_PG, haploid_P)
    listed_P = ~genotypes.called_P | (genotypes.first_P == allele) | (genotypes.second_P == allele)
    if limits:
        listed_P |= reference_fails(genotypes.dp_P, gq_P, haploid_P, limits)
    person_E = np.flatnonzero(listed_P)
    called_E, second_E = genotypes.called_P[person_E], genotypes.second_P[person_E]
    n_alt_E = (genotypes.first_P[person_E] == allele).astype(np.int8) + (second_E == allele)
    ad_ref_E, ad_alt_E = _split_reads(genotypes.ad_PA, person_E, allele, n_alleles)
    return ListedCalls(
        person_E=person_E.astype(np.int32),
        called_E=called_E,
        n_alt_E=n_alt_E * called_E,
        haploid_E=haploid_P[person_E],
        ad_ref_E=ad_ref_E,
        ad_alt_E=ad_alt_E,
        dp_E=_taken(genotypes.dp_P, person_E),
        gq_E=_taken(gq_P, person_E),
        pl_ref_E=_taken(None if pl_PG is None else pl_PG[:, 0], person_E),
    )


def _split_reads(
    ad_PA: Values | None, listed: NDArray[np.int64], allele: int, n_alleles: int
) -> tuple[Values, Values]:
    """Reads of all other alleles together, and of this one; both missing where this one's are."""
    if ad_PA is None or ad_PA.shape[1] <= allele:
        unknown = np.full(len(listed), MISSING, dtype=np.int32)
        return unknown, unknown
    ad_EA = np.maximum(ad_PA[listed, :n_alleles], MISSING)
    alternate_E = ad_EA[:, allele]
    if n_alleles == 2:
        return ad_EA[:, 0], alternate_E
    others_E = np.maximum(ad_EA, 0).sum(axis=1, dtype=np.int32) - alternate_E
    return np.where(alternate_E < 0, np.int32(MISSING), others_E), alternate_E


def _split_likelihoods(pl_PG: Values, haploid_P: Flags, allele: int, n_alleles: int) -> Values:
    """PL of none, one and two alternate alleles (P × 3); of a haploid call none, one and missing."""
    pl_PG = np.where(pl_PG < 0, _UNKNOWN_PL, pl_PG)
    width = n_alleles * (n_alleles + 1) // 2
    if pl_PG.shape[1] < width:
        pad = np.full((len(pl_PG), width - pl_PG.shape[1]), _UNKNOWN_PL)
        pl_PG = np.concatenate([pl_PG, pad], axis=1)
    diploid, haploid = _alike(n_alleles, allele)
    split_P3 = np.stack([pl_PG[:, places].min(axis=1) for places in diploid], axis=1)
    if haploid_P.any():
        # A haploid call has one PL for each allele, not for each pair of them.
        split_P3[haploid_P, 2] = _UNKNOWN_PL
        for n_alt, places in enumerate(haploid):
            split_P3[haploid_P, n_alt] = pl_PG[haploid_P][:, places].min(axis=1)
    split_P3[split_P3 == _UNKNOWN_PL] = MISSING
    return split_P3


@lru_cache(maxsize=1024)
def _alike(n_alleles: int, allele: int) -> tuple[list[list[int]], list[list[int]]]:
    """Places of the genotypes with 0, 1, 2 copies of an allele: of diploid calls, of haploid ones."""
    diploid: list[list[int]] = [[], [], []]
    # The VCF's order: 0/0 0/1 1/1 0/2 1/2 2/2 …
    pairs = ((low, high) for high in range(n_alleles) for low in range(high + 1))
    for place, pair in enumerate(pairs):
        diploid[pair.count(allele)].append(place)
    return diploid, [[other for other in range(n_alleles) if other != allele], [allele]]


def _split_quality(gq_P: Values | None, pl_P3: Values, haploid_P: Flags) -> Values:
    """GQ that follows from PL (the second smallest less the smallest, 99 at most), else the record's own."""
    complete_P = (pl_P3 >= 0).sum(axis=1) >= np.where(haploid_P, 2, 3)
    ordered_P3 = np.sort(np.where(pl_P3 < 0, _UNKNOWN_PL, pl_P3), axis=1)
    derived_P = np.minimum(ordered_P3[:, 1] - ordered_P3[:, 0], MAX_DERIVED_GQ)
    own_P = np.full(len(pl_P3), MISSING, dtype=np.int32) if gq_P is None else gq_P
    return np.where(complete_P, derived_P, own_P)


def _taken(values_P: Values | None, listed: NDArray[np.int64]) -> Values:
    if values_P is None:
        return np.full(len(listed), MISSING, dtype=np.int32)
    return np.maximum(values_P[listed], MISSING)
