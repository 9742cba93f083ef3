"""Genotypes of a drawn family among strangers."""

import numpy as np
import pandas as pd

from etl.qc.plink import HET_BITS, HOM_ALT_BITS, HOM_REF_BITS, MISSING_BITS, Markers, pack

BITS = {0: HOM_REF_BITS, 1: HET_BITS, 2: HOM_ALT_BITS, -1: MISSING_BITS}


def markers_of(dosage_MP: np.ndarray) -> Markers:
    bits = np.vectorize(BITS.get)(dosage_MP).astype(np.uint8)
    places = np.arange(len(dosage_MP))
    sites = pd.DataFrame({"contig": "chr1", "position": 1000 + 10 * places, "ref": "A", "alt": "C"})
    return Markers(sites, tuple(f"P{number:03d}" for number in range(dosage_MP.shape[1])), pack(bits))


def family(n_markers: int, n_strangers: int) -> np.ndarray:
    """Dosages of two parents, their two children, a twin of the first and strangers; some calls missing."""
    rng = np.random.default_rng(3)
    frequency = rng.uniform(0.1, 0.5, n_markers)
    parents = rng.random((n_markers, 2, 2)) < frequency[:, None, None]
    children = [
        np.stack([parents[np.arange(n_markers), side, rng.integers(0, 2, n_markers)] for side in (0, 1)], 1)
        for _ in range(2)
    ]
    strangers = (rng.random((n_markers, n_strangers, 2)) < frequency[:, None, None]).sum(axis=2)
    people = [parents[:, 0].sum(1), parents[:, 1].sum(1), *(child.sum(1) for child in children)]
    dosage = np.column_stack([*people, children[0].sum(1), strangers]).astype(int)
    dosage[rng.random(dosage.shape) < 0.01] = -1
    return dosage


def half_siblings(n_markers: int, n_strangers: int) -> np.ndarray:
    """Dosages of children of one mother, with fathers of her and of another ancestry in turn; then strangers.

    Six mothers have two children each. Half of the strangers are of either ancestry; F_ST is 0.2.
    """
    rng = np.random.default_rng(5)
    ancestral = rng.uniform(0.1, 0.9, (n_markers, 1))
    hers, others = rng.beta(ancestral * 4, (1 - ancestral) * 4, (n_markers, 2)).T[:, :, None]
    mothers = rng.random((2, n_markers, 6)) < hers
    children = [
        np.where(rng.random((n_markers, 6)) < 0.5, *mothers).astype(int) + (rng.random((n_markers, 6)) < of)
        for of in (hers, others)
    ]
    strangers = [rng.binomial(2, of, (n_markers, n_strangers // 2)) for of in (hers, others)]
    return np.column_stack([np.stack(children, axis=2).reshape(n_markers, 12), *strangers])
