"""Genotype calls: likelihoods of the read counts, and the VCF text of every entry."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from etl.simulate.reads import MAXIMUM_DEPTH

FORMAT = "GT:AD:DP:GQ:PL"
MAXIMUM_GQ = 99
MISSING = -1


@dataclass(frozen=True)
class CallTable:
    """
    What a biallelic entry says, by reference reads × (MAXIMUM_DEPTH + 1) + alternative reads.

    `text` is the entry in the VCF; `copies` the called alternative alleles, -1 where the call is missing;
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


def entry_texts(reads: np.ndarray, error_rate: float) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """
    Call each entry: the most likely genotype of its reads (no prior), as HaplotypeCaller does.

    Parameters
    ----------
    reads
        Entries × alleles; an entry without reads is missing.
    error_rate
        See `phred_likelihoods`.

    Returns
    -------
    VCF texts, called genotypes (index in `genotype_order`, -1 where missing), and likelihoods.
    """
    likelihoods = phred_likelihoods(reads, error_rate)
    best = np.where(reads.sum(axis=1) > 0, likelihoods.argmin(axis=1), MISSING)
    quality = genotype_quality(likelihoods)
    genotypes = genotype_order(reads.shape[1])
    no_call = f"./.:{','.join('0' * reads.shape[1])}:0:.:.".encode()
    texts = []
    rows = zip(reads.tolist(), best.tolist(), quality.tolist(), likelihoods.tolist(), strict=True)
    for counts, call, gq, pl in rows:
        if call == MISSING:
            texts.append(no_call)
            continue
        first, second = genotypes[call]
        ad, scores = ",".join(map(str, counts)), ",".join(map(str, pl))
        texts.append(f"{first}/{second}:{ad}:{sum(counts)}:{gq}:{scores}".encode())
    return texts, best, likelihoods


@functools.lru_cache(maxsize=2)
def call_table(error_rate: float) -> CallTable:
    """All biallelic entries of at most MAXIMUM_DEPTH reads."""
    size = MAXIMUM_DEPTH + 1
    ref, alt = np.divmod(np.arange(size * size), size)
    valid = np.flatnonzero(ref + alt <= MAXIMUM_DEPTH)
    texts, best, likelihoods = entry_texts(np.stack([ref[valid], alt[valid]], axis=1), error_rate)
    text = np.full(size * size, b"", dtype=object)
    text[valid] = np.array(texts, dtype=object)
    copies = np.full(size * size, MISSING, dtype=np.int64)
    copies[valid] = best
    reference_pl = np.zeros(size * size, dtype=np.int64)
    reference_pl[valid] = likelihoods[:, 0]
    return CallTable(text, copies, reference_pl)
