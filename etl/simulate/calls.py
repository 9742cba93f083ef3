"""Genotype calls: likelihoods of the read counts, and the VCF text of every entry."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etl.simulate.reads import MAXIMUM_DEPTH

FORMAT = "GT:AD:DP:GQ:PL"
MAXIMUM_GQ = 99

Form = Literal["diploid", "haploid", "half_call"]
"""How the entries of a site are written."""


@dataclass(frozen=True)
class CallTable:
    """
    What a biallelic entry says, by reference reads × (MAXIMUM_DEPTH + 1) + alternative reads.

    `text` is the entry in the VCF; `copies` the called copies of both alleles, 0 where the call is missing;
    `reference_pl` the phred-scaled likelihood of no alternative allele, relative to the best.
    """

    text: np.ndarray
    copies: np.ndarray
    reference_pl: np.ndarray


def phred_likelihoods(reads: np.ndarray, error_rate: float) -> np.ndarray:
    """
    Phred-scaled genotype likelihoods of read counts, the best set to 0.

    Parameters
    ----------
    reads
        Entries × alleles.
    error_rate
        Probability that a read shows another allele than the one it was copied from.

    Returns
    -------
    Integers, entries × genotypes, in VCF order: 0/0, 0/1, 1/1, 0/2, 1/2, 2/2. Each read is drawn from
    either chromosome with probability 1/2 (McKenna et al. 2010, Genome Res. 20:1297).
    """
    n_alleles = reads.shape[1]
    genotypes = genotype_order(n_alleles)
    share = np.array([[((a == i) + (b == i)) / 2 for i in range(n_alleles)] for a, b in genotypes])
    per_read = -10 * np.log10(share * (1 - error_rate) + (1 - share) * error_rate)
    raw = reads @ per_read.T
    return np.rint(raw - raw.min(axis=1, keepdims=True)).astype(np.int64)


@functools.cache
def genotype_order(n_alleles: int) -> tuple[tuple[int, int], ...]:
    """Genotypes in the order of the VCF specification's PL."""
    pairs = itertools.combinations_with_replacement(range(n_alleles), 2)
    return tuple(sorted(pairs, key=lambda pair: (pair[1], pair[0])))


def genotype_quality(likelihoods: np.ndarray) -> np.ndarray:
    """GQ: the second smallest PL, at most 99."""
    return np.minimum(np.partition(likelihoods, 1, axis=1)[:, 1], MAXIMUM_GQ)


@dataclass(frozen=True)
class CalledEntries:
    """Entries of one site.

    `text` is what the VCF says, `copies` the called copies of each allele, entries × alleles, all 0 where the
    call is missing; `reference_pl` as in `CallTable`.
    """

    text: np.ndarray
    copies: np.ndarray
    reference_pl: np.ndarray


def call_entries(
    reads: np.ndarray, error_rate: float, form: Form = "diploid", *, partial_pl: bool = False
) -> CalledEntries:
    """
    Call each entry: the most likely genotype of its reads (no prior), as HaplotypeCaller does.

    Parameters
    ----------
    reads
        Entries × alleles; an entry without reads is missing.
    error_rate
        See `phred_likelihoods`.
    form
        `haploid`: one allele, `1`, with a PL for each; `half_call`: the same call as `1/.`, with the PL of
        diploid genotypes.
    partial_pl
        Leave out the PL of genotypes with an allele beyond the second, as merges of files do.
    """
    n_alleles = reads.shape[1]
    diploid, genotypes = phred_likelihoods(reads, error_rate), genotype_order(n_alleles)
    if form == "diploid":
        judged, candidates = diploid, np.array(genotypes)
        names = [f"{a}/{b}" for a, b in genotypes]
    else:
        homozygous = [genotypes.index((allele, allele)) for allele in range(n_alleles)]
        judged = diploid[:, homozygous] - diploid[:, homozygous].min(axis=1, keepdims=True)
        candidates = np.arange(n_alleles)[:, None]
        names = [f"{allele}" if form == "haploid" else f"{allele}/." for allele in range(n_alleles)]
    shown = judged if form == "haploid" else diploid
    known = np.array([not partial_pl or max(pair) <= 1 for pair in genotypes])
    no_call = f"{'.' if form == 'haploid' else './.'}:{','.join('0' * n_alleles)}:0:.:.".encode()
    called, best, quality = reads.sum(axis=1) > 0, judged.argmin(axis=1), genotype_quality(judged)
    text = np.full(len(reads), no_call, dtype=object)
    for i in np.flatnonzero(called).tolist():
        scores = [str(value) for value in shown[i].tolist()]
        if form != "haploid" and not known.all():
            scores = [score if told else "." for score, told in zip(scores, known, strict=True)]
        ad = ",".join(map(str, reads[i].tolist()))
        text[i] = f"{names[best[i]]}:{ad}:{reads[i].sum()}:{quality[i]}:{','.join(scores)}".encode()
    copies = (candidates[best][..., None] == np.arange(n_alleles)).sum(axis=1) * called[:, None]
    return CalledEntries(text, copies, judged[:, 0])


@functools.lru_cache(maxsize=4)
def call_table(error_rate: float, form: Form = "diploid") -> CallTable:
    """All biallelic entries of at most MAXIMUM_DEPTH reads."""
    size = MAXIMUM_DEPTH + 1
    ref, alt = np.divmod(np.arange(size * size), size)
    valid = np.flatnonzero(ref + alt <= MAXIMUM_DEPTH)
    entries = call_entries(np.stack([ref[valid], alt[valid]], axis=1), error_rate, form)
    text = np.full(size * size, b"", dtype=object)
    text[valid] = entries.text
    copies = np.zeros((size * size, 2), dtype=np.int64)
    copies[valid] = entries.copies
    reference_pl = np.zeros(size * size, dtype=np.int64)
    reference_pl[valid] = entries.reference_pl
    return CallTable(text, copies, reference_pl)
