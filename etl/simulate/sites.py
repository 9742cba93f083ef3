"""All alleles of the study in genome order, the bad ones planted among them, and how well each is covered."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from etl.simulate import reference
from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.rng import generator
from etl.simulate.variants import LocusVariants

DEFECTS = (
    "none",
    "excess_heterozygotes",
    "differential_missingness",
    "low_call_rate",
    "batch_artefact",
    "failed_filter",
)


@dataclass(frozen=True)
class Alleles:
    """
    Alternative alleles, one row each, by chromosome and position; equal places are one multi-allelic site.

    `dosage` is uint8, alleles × samples. `defect` indexes `DEFECTS`; `strength` is the share of the affected
    people who show it; `group` is the status (1 case) or the kit that is affected. `depth` is relative to a
    person's mean, alleles × kits; `poor` marks those that a kit covers badly, `off_target` alleles outside
    the capture intervals.
    """

    chromosome: np.ndarray
    position: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    locus: np.ndarray
    consequence: np.ndarray
    low_confidence: np.ndarray
    dosage: np.ndarray
    defect: np.ndarray
    strength: np.ndarray
    group: np.ndarray
    depth: np.ndarray
    poor: np.ndarray
    off_target: np.ndarray

    def __len__(self) -> int:
        return len(self.position)

    def rows(self, chosen: slice | np.ndarray) -> Alleles:
        """Some rows."""
        return Alleles(**{name: values[chosen] for name, values in vars(self).items()})

    def site_starts(self) -> np.ndarray:
        """First row of each site."""
        new = (np.diff(self.chromosome, prepend=-1) != 0) | (np.diff(self.position, prepend=-1) != 0)
        return np.flatnonzero(new)

    def blocks(self, sites: int) -> Iterator[slice]:
        """Consecutive rows of at most so many whole sites, never of two chromosomes."""
        starts = self.site_starts()
        for chromosome in np.unique(self.chromosome):
            own = starts[self.chromosome[starts] == chromosome]
            end = int(np.searchsorted(self.chromosome, chromosome, side="right"))
            edges = [*own[::sites].tolist(), end]
            yield from (slice(first, last) for first, last in itertools.pairwise(edges))


def assemble(
    config: SimulateConfig, loci: list[Locus], parts: list[LocusVariants], causal: set[int]
) -> Alleles:
    """
    Join the loci's variants, plant the bad ones and draw each allele's coverage.

    Where two overlapping genes drew a variant at the same position, the first gene's stays.
    """
    locus = np.repeat([part.locus for part in parts], [len(part) for part in parts])
    chromosome = np.array([item.chromosome for item in loci])[locus]
    position = np.concatenate([part.position for part in parts])
    order = np.lexsort((np.arange(len(position)), locus, position, chromosome))
    same_place = (np.diff(chromosome[order], prepend=-1) == 0) & (np.diff(position[order], prepend=-1) == 0)
    other_locus = np.diff(locus[order], prepend=-1) != 0
    collides = same_place & other_locus
    order = order[~collides]
    columns = {
        "chromosome": chromosome[order],
        "position": position[order],
        "ref": np.array([text for part in parts for text in part.ref], dtype=object)[order],
        "alt": np.array([text for part in parts for text in part.alt], dtype=object)[order],
        "locus": locus[order],
        "consequence": np.concatenate([part.consequence for part in parts])[order],
        "low_confidence": np.concatenate([part.low_confidence for part in parts])[order],
        "dosage": np.concatenate([part.dosage for part in parts])[order],
    }
    spared = [] if config.variant_defects.in_causal_genes else sorted(causal)
    spared += [item.index for item in loci if item.off_target]
    defects = _plant_defects(config, columns, np.isin(columns["locus"], spared))
    depth, poor = _relative_depth(config, len(loci), locus[order])
    off_target = np.array([item.off_target for item in loci])[locus[order]]
    depth[off_target] *= config.sequencing.off_target_depth
    return Alleles(**columns, **defects, depth=depth, poor=poor, off_target=off_target)


def _plant_defects(
    config: SimulateConfig, columns: dict[str, np.ndarray], spared: np.ndarray
) -> dict[str, np.ndarray]:
    """Choose bad variants among biallelic autosomal SNVs that are not spared."""
    rng = generator(config.seed, "variant defects")
    n = len(spared)
    place = columns["chromosome"].astype(np.int64) << 32 | columns["position"]
    _, inverse, copies = np.unique(place, return_inverse=True, return_counts=True)
    is_snv = np.array([len(r) == len(a) for r, a in zip(columns["ref"], columns["alt"], strict=True)])
    on_autosome = ~np.isin(columns["chromosome"], (reference.X, reference.Y))
    candidates = (copies[inverse] == 1) & is_snv & on_autosome & ~spared
    rows = rng.permutation(np.flatnonzero(candidates))
    counts = [round(share * len(rows)) for share in config.variant_defects.shares().values()]
    labels = np.repeat([DEFECTS.index(name) for name in config.variant_defects.shares()], counts)[: len(rows)]
    defect = np.zeros(n, dtype=np.int8)
    defect[rows[: len(labels)]] = labels
    low, high = np.array(
        [(0, 0), (0.45, 0.95), (0.06, 0.25), (0.08, 0.40), (0.10, 0.50), (0, 0)], dtype=float
    ).T
    groups = np.where(defect == DEFECTS.index("batch_artefact"), rng.integers(0, len(config.kits), n), -1)
    groups = np.where(defect == DEFECTS.index("differential_missingness"), rng.integers(0, 2, n), groups)
    strength = rng.uniform(low[defect], high[defect])
    off = [DEFECTS.index(name) for name in config.variant_defects.switched_off]
    return {"defect": np.where(np.isin(defect, off), 0, defect), "strength": strength, "group": groups}


def _relative_depth(config: SimulateConfig, n_loci: int, locus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage of each allele, alleles × kits, relative to the mean, and where a kit covers a locus badly."""
    rng = generator(config.seed, "coverage")
    poor = rng.random((n_loci, len(config.kits))) < np.array([kit.poor_gene_share for kit in config.kits])
    by_locus = np.exp(rng.normal(0, 0.15, poor.shape))
    by_locus[poor] *= config.sequencing.poor_gene_depth
    by_site = np.exp(rng.normal(0, 0.10, (len(locus), 1)))
    return by_locus[locus] * by_site, poor[locus]
