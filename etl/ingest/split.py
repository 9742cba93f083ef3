"""The calls of a record seen from one of its alternate alleles, as `hl.split_multi_hts` sees them.

Axes: P people, A alleles of the record, G diploid genotypes in the VCF's order, E the people that are listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from etl.cohort.schema import FAILED, HAPLOID_ALT, HET, HOM_ALT, MISSING, NOT_CALLED, RULES
from etl.qc.genotype import AlternateCalls, alternate_failures, reference_failures
from etl.thresholds import GenotypeThresholds

Values = NDArray[np.int32]
Flags = NDArray[np.bool_]

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


@dataclass(frozen=True)
class AlleleCalls:
    """What is kept of one alternate allele: the cohort's counts and listed calls."""

    n_called: int
    n_het: int
    n_hom_alt: int
    n_haploid_alt: int
    n_not_called: int
    failed_R: list[int]
    person_E: Values
    call_E: NDArray[np.int8]
    ad_ref_E: Values
    ad_alt_E: Values
    dp_E: Values
    gq_E: Values


def split_allele(
    genotypes: Genotypes, allele: int, n_alleles: int, limits: GenotypeThresholds | None
) -> AlleleCalls:
    """Judge and list the calls of one alternate allele.

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
    carries_P = (genotypes.first_P == allele) | (genotypes.second_P == allele)
    reference_P = genotypes.called_P & ~carries_P
    pl_P3 = genotypes.pl_PG
    gq_P = genotypes.gq_P
    if limits and pl_P3 is not None and n_alleles > 2:
        pl_P3 = _split_likelihoods(pl_P3, genotypes.second_P == HAPLOID, allele, n_alleles)
        gq_P = _split_quality(gq_P, pl_P3, genotypes.second_P == HAPLOID)
    failed_R = np.zeros(len(RULES), dtype=np.int64)
    failing_P = np.zeros(len(reference_P), dtype=bool)
    if limits:
        by_depth, by_quality = reference_failures(
            _or_missing(genotypes.dp_P, reference_P), _or_missing(gq_P, reference_P), limits
        )
        failing_P = reference_P & (by_depth | by_quality)
        failed_R[:2] = np.count_nonzero(reference_P & by_depth), np.count_nonzero(reference_P & by_quality)
    listed = np.flatnonzero(~reference_P | failing_P)
    reads = _split_reads(genotypes.ad_PA, listed, allele, n_alleles)
    pl_ref_E = _taken(None if pl_P3 is None else pl_P3[:, 0], listed)
    calls = AlternateCalls(
        n_alt_E=_carried(genotypes, allele, listed),
        haploid_E=genotypes.second_P[listed] == HAPLOID,
        ad_ref_E=reads[0],
        ad_alt_E=reads[1],
        dp_E=_taken(genotypes.dp_P, listed),
        pl_ref_E=pl_ref_E,
    )
    code_E = _codes(calls, failing_P[listed])
    if limits:
        fails_RE = alternate_failures(calls, limits)
        failed_R += np.count_nonzero(fails_RE, axis=1)
        code_E[fails_RE.any(axis=0)] = FAILED
    counts = np.bincount(code_E, minlength=5)
    return AlleleCalls(
        n_called=len(reference_P) - int(counts[NOT_CALLED] + counts[FAILED]),
        n_het=int(counts[HET]),
        n_hom_alt=int(counts[HOM_ALT]),
        n_haploid_alt=int(counts[HAPLOID_ALT]),
        n_not_called=int(counts[NOT_CALLED]),
        failed_R=failed_R.tolist(),
        person_E=listed.astype(np.int32),
        call_E=code_E,
        ad_ref_E=calls.ad_ref_E,
        ad_alt_E=calls.ad_alt_E,
        dp_E=calls.dp_E,
        gq_E=_taken(gq_P, listed),
    )


def _codes(calls: AlternateCalls, failing_E: Flags) -> NDArray[np.int8]:
    """Codes before the rules: `failing_E` are reference calls that are listed because they fail."""
    code_E = np.full(len(calls.n_alt_E), NOT_CALLED, dtype=np.int8)
    code_E[calls.het_E] = HET
    code_E[calls.n_alt_E == 2] = HOM_ALT
    code_E[calls.haploid_E & calls.called_E] = HAPLOID_ALT
    code_E[failing_E] = FAILED
    return code_E


def _carried(genotypes: Genotypes, allele: int, listed: NDArray[np.int64]) -> NDArray[np.int8]:
    """Alternate alleles of the listed people; 0 for those without a call."""
    n_alt_E = (genotypes.first_P[listed] == allele).astype(np.int8) + (genotypes.second_P[listed] == allele)
    return np.where(genotypes.called_P[listed], n_alt_E, np.int8(0))


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


def _or_missing(values_P: Values | None, like: Flags) -> Values:
    return np.full(len(like), MISSING, dtype=np.int32) if values_P is None else values_P
