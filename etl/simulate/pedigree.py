"""Family units: who descends from whom, and which founder haplotype each person carries at each locus."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.rng import generator

MALE, FEMALE, EITHER = 0, 1, 2

# Members of a unit: (father, mother, sex); founders have -1. Then the two (or one) whom the study may see.
_Member = tuple[int, int, int]
_TEMPLATES: dict[str, tuple[tuple[_Member, ...], tuple[int, ...]]] = {
    "single": (((-1, -1, EITHER),), (0,)),
    "duplicate": (((-1, -1, EITHER),), (0,)),
    "parent_child": (((-1, -1, MALE), (-1, -1, FEMALE), (0, 1, EITHER)), (1, 2)),
    "siblings": (((-1, -1, MALE), (-1, -1, FEMALE), (0, 1, EITHER), (0, 1, EITHER)), (2, 3)),
    "half_siblings": (
        ((-1, -1, MALE), (-1, -1, FEMALE), (-1, -1, FEMALE), (0, 1, EITHER), (0, 2, EITHER)),
        (3, 4),
    ),
    "avuncular": (
        (
            (-1, -1, MALE),
            (-1, -1, FEMALE),
            (0, 1, EITHER),
            (0, 1, MALE),
            (-1, -1, FEMALE),
            (3, 4, EITHER),
        ),
        (2, 5),
    ),
}
KINSHIP = {
    "duplicate": 0.5,
    "parent_child": 0.25,
    "siblings": 0.25,
    "half_siblings": 0.125,
    "avuncular": 0.125,
}
KINDS = tuple(_TEMPLATES)
_MOST_PAIRS = 100  # drawn for one pair sampled


@dataclass(frozen=True)
class Pedigree:
    """
    People in family units, one entry for each person.

    `father` and `mother` are indices of people, -1 for founders; parents stand before their children.
    `visible` marks those whom a study could sample. `transmitted[locus, i, side]` says which haplotype (0
    paternal, 1 maternal) the father and the mother of person `children[i]` passed on;
    `african[locus, i, haplotype]` is the ancestry of person `admixed_founders[i]` (0 European-like, which
    all other founders are).
    """

    kind: np.ndarray
    unit: np.ndarray
    father: np.ndarray
    mother: np.ndarray
    female: np.ndarray
    visible: np.ndarray
    admixed: np.ndarray
    children: np.ndarray
    transmitted: np.ndarray
    admixed_founders: np.ndarray
    african: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def restrict(self, units: np.ndarray) -> tuple[Pedigree, np.ndarray]:
        """The pedigree of some units alone, and the old indices of its people."""
        kept = np.flatnonzero(np.isin(self.unit, units))
        new_index = np.full(len(self) + 1, -1)
        new_index[kept] = np.arange(len(kept))
        kept_children = new_index[self.children] >= 0
        kept_admixed = new_index[self.admixed_founders] >= 0
        pedigree = Pedigree(
            kind=self.kind[kept],
            unit=self.unit[kept],
            father=new_index[self.father[kept]],
            mother=new_index[self.mother[kept]],
            female=self.female[kept],
            visible=self.visible[kept],
            admixed=self.admixed[kept],
            children=new_index[self.children[kept_children]],
            transmitted=self.transmitted[:, kept_children],
            admixed_founders=new_index[self.admixed_founders[kept_admixed]],
            african=self.african[:, kept_admixed],
        )
        return pedigree, kept

    def haplotypes_at(self, locus: Locus) -> np.ndarray:
        """Founder haplotype (2 × founder + 0 or 1) of each person, people × (paternal, maternal).

        In a man on the non-pseudo-autosomal X both columns hold the one that he has.
        """
        haplotypes = 2 * np.arange(len(self))[:, None] + np.array([0, 1])
        if locus.hemizygous_in_men:
            haplotypes[~self.female, 0] = haplotypes[~self.female, 1]
        for rows in self._generations:
            children = self.children[rows]
            sides = self.transmitted[locus.index, rows]
            haplotypes[children, 0] = haplotypes[self.father[children], sides[:, 0]]
            haplotypes[children, 1] = haplotypes[self.mother[children], sides[:, 1]]
            if locus.hemizygous_in_men:
                sons = children[~self.female[children]]
                haplotypes[sons, 0] = haplotypes[sons, 1]
        return haplotypes

    def ancestry_at(self, locus: Locus) -> np.ndarray:
        """Ancestry of every founder haplotype (index as in `haplotypes_at`), 1 = African-like."""
        ancestry = np.zeros((len(self), 2), dtype=np.uint8)
        ancestry[self.admixed_founders] = self.african[locus.index]
        return ancestry.ravel()

    def african_ancestry(self) -> np.ndarray:
        """Share of African-like ancestry over all loci; a child has the mean of its parents."""
        share = np.zeros(len(self))
        share[self.admixed_founders] = self.african.mean(axis=(0, 2))
        for rows in self._generations:
            children = self.children[rows]
            share[children] = (share[self.father[children]] + share[self.mother[children]]) / 2
        return share

    @functools.cached_property
    def _generations(self) -> list[np.ndarray]:
        """Rows of `children` by generation, parents' generations first."""
        depth = np.zeros(len(self), dtype=int)
        parents = np.stack([self.father[self.children], self.mother[self.children]])
        for _ in range(3):
            depth[self.children] = 1 + depth[parents].max(axis=0)
        return [np.flatnonzero(depth[self.children] == level) for level in range(1, int(depth.max()) + 1)]


def draw_population(config: SimulateConfig, loci: list[Locus]) -> Pedigree:
    """
    A population large enough to ascertain the sample from, with the sample's share of each family unit.

    Founders of a unit are all admixed or all not. Chromosomes cross over by Haldane's map function;
    ancestry of an admixed founder's haplotype switches along the genome as a Markov chain (one pulse of
    admixture some generations ago).
    """
    units = _unit_counts(config)
    rng = generator(config.seed, "pedigree")
    people = _people(rng, units, config)
    founder = people["father"] < 0
    children = np.flatnonzero(~founder)
    admixed_founders = np.flatnonzero(founder & people["admixed"])
    return Pedigree(
        **people,
        children=children,
        transmitted=_transmissions(rng, loci, config, len(children)),
        admixed_founders=admixed_founders,
        african=_ancestries(rng, loci, config, len(admixed_founders)),
    )


def _unit_counts(config: SimulateConfig) -> dict[str, int]:
    """Units in the population: enough to find the sample's cases, and its pairs with two of them."""
    prevalence, share = config.phenotype.prevalence, config.case_share
    enrichment = max(share / prevalence, (1 - share) / (1 - prevalence))
    margin = config.phenotype.pool_margin
    pairs = config.relatives.pairs()
    singles = config.people - 2 * sum(pairs.values())
    units = {kind: int(np.ceil(margin * min(enrichment**2, _MOST_PAIRS) * n)) for kind, n in pairs.items()}
    return {"single": int(np.ceil(margin * enrichment * singles)), **units}


def _people(rng: np.random.Generator, units: dict[str, int], config: SimulateConfig) -> dict[str, np.ndarray]:
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("kind", "unit", "father", "mother", "female", "visible", "admixed")
    }
    first_person = first_unit = 0
    for kind, n in units.items():
        members, visible = _TEMPLATES[kind]
        offset = first_person + len(members) * np.arange(n)[:, None]
        father, mother, sex = (np.array([member[i] for member in members]) for i in range(3))
        admixed = rng.random(n) < config.population.admixed_share
        either = rng.integers(0, 2, size=(n, len(members)))
        new = {
            "kind": np.full((n, len(members)), KINDS.index(kind)),
            "unit": np.broadcast_to(first_unit + np.arange(n)[:, None], (n, len(members))),
            "father": np.where(father >= 0, father + offset, -1),
            "mother": np.where(mother >= 0, mother + offset, -1),
            "female": np.where(sex == EITHER, either, sex) == FEMALE,
            "visible": np.broadcast_to(np.isin(np.arange(len(members)), visible), (n, len(members))),
            "admixed": np.broadcast_to(admixed[:, None], (n, len(members))),
        }
        for name, values in new.items():
            columns[name].append(values.ravel())
        first_person += n * len(members)
        first_unit += n
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _genetic_distances(loci: list[Locus], config: SimulateConfig) -> np.ndarray:
    """Morgans from the locus before; infinite at the first of each linkage group."""
    middle = np.array([(locus.start + locus.end) / 2 for locus in loci])
    linkage_group = np.array([locus.chromosome + 0.5 * locus.pseudo_autosomal for locus in loci])
    morgans = np.abs(np.diff(middle, prepend=0)) * config.genes.recombination_rate
    return np.where(np.diff(linkage_group, prepend=-1) != 0, np.inf, morgans)


def _transmissions(
    rng: np.random.Generator, loci: list[Locus], config: SimulateConfig, n_children: int
) -> np.ndarray:
    recombination = 0.5 * (1 - np.exp(-2 * _genetic_distances(loci, config)))
    switches = rng.random((len(loci), n_children, 2), dtype=np.float32) < recombination[:, None, None]
    return np.logical_xor.accumulate(switches, axis=0).astype(np.uint8)


def _ancestries(
    rng: np.random.Generator, loci: list[Locus], config: SimulateConfig, n_founders: int
) -> np.ndarray:
    settings = config.population
    african = np.zeros((len(loci), n_founders, 2), dtype=np.uint8)
    alpha = max(settings.african_ancestry_mean * settings.african_ancestry_concentration, 1e-6)
    beta = max((1 - settings.african_ancestry_mean) * settings.african_ancestry_concentration, 1e-6)
    share = rng.beta(alpha, beta, size=(n_founders, 1))
    redrawn = 1 - np.exp(-settings.generations_since_admixture * _genetic_distances(loci, config))
    state = np.zeros((n_founders, 2), dtype=bool)
    for i, probability in enumerate(redrawn):
        fresh = rng.random((n_founders, 2)) < share
        state = np.where(rng.random((n_founders, 2)) < probability, fresh, state)
        african[i] = state
    return african
