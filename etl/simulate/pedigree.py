"""Family units: who descends from whom, and which founder haplotype each person carries at each locus."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from etl.simulate import reference
from etl.simulate.config import PopulationConfig, SimulateConfig
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
    `ancestry` is a place among the configured ancestries, `home` the population of people whose ancestry
    is of one alone. `visible` marks those whom a study could sample. `transmitted[locus, i, side]` says which
    haplotype (0 paternal, 1 maternal) the father and the mother of person `children[i]` passed on;
    `origin[locus, i, haplotype]` is the population of person `mixed_founders[i]`, as a place among
    `PopulationConfig.populations`.
    """

    kind: np.ndarray
    unit: np.ndarray
    father: np.ndarray
    mother: np.ndarray
    female: np.ndarray
    visible: np.ndarray
    ancestry: np.ndarray
    home: np.ndarray
    children: np.ndarray
    transmitted: np.ndarray
    mixed_founders: np.ndarray
    origin: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def restrict(self, units: np.ndarray) -> tuple[Pedigree, np.ndarray]:
        """The pedigree of some units alone, and the old indices of its people."""
        kept = np.flatnonzero(np.isin(self.unit, units))
        new_index = np.full(len(self) + 1, -1)
        new_index[kept] = np.arange(len(kept))
        kept_children = new_index[self.children] >= 0
        kept_mixed = new_index[self.mixed_founders] >= 0
        pedigree = Pedigree(
            kind=self.kind[kept],
            unit=self.unit[kept],
            father=new_index[self.father[kept]],
            mother=new_index[self.mother[kept]],
            female=self.female[kept],
            visible=self.visible[kept],
            ancestry=self.ancestry[kept],
            home=self.home[kept],
            children=new_index[self.children[kept_children]],
            transmitted=self.transmitted[:, kept_children],
            mixed_founders=new_index[self.mixed_founders[kept_mixed]],
            origin=self.origin[:, kept_mixed],
        )
        return pedigree, kept

    def haplotypes_at(self, locus: Locus) -> np.ndarray:
        """Founder haplotype (2 × founder + 0 or 1) of each person, people × (paternal, maternal).

        In a man on Y and the non-pseudo-autosomal X both columns hold the one that he has; what stands for a
        woman on Y is nobody's.
        """
        haplotypes = 2 * np.arange(len(self))[:, None] + np.array([0, 1])
        if locus.hemizygous_in_men:
            haplotypes[~self.female, 0] = haplotypes[~self.female, 1]
        for rows in self._generations:
            children = self.children[rows]
            sides = self.transmitted[locus.index, rows]
            haplotypes[children, 0] = haplotypes[self.father[children], sides[:, 0]]
            haplotypes[children, 1] = haplotypes[self.mother[children], sides[:, 1]]
            sons = children[~self.female[children]]
            if locus.chromosome == reference.Y:
                haplotypes[sons] = haplotypes[self.father[sons]]
            elif locus.hemizygous_in_men:
                haplotypes[sons, 0] = haplotypes[sons, 1]
        return haplotypes

    def origin_at(self, locus: Locus) -> np.ndarray:
        """Population of every founder haplotype (index as in `haplotypes_at`), a place among them."""
        origin = np.repeat(self.home[:, None], 2, axis=1).astype(np.uint8)
        origin[self.mixed_founders] = self.origin[locus.index]
        return origin.ravel()

    def population_shares(self, n_populations: int) -> np.ndarray:
        """Shares of a person's genome over all loci, people × populations; a child has its parents' mean."""
        places = np.arange(n_populations)
        share = (self.home[:, None] == places).astype(float)
        share[self.mixed_founders] = (self.origin[..., None] == places).mean(axis=(0, 2))
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

    Founders of a unit have one ancestry. Chromosomes cross over by Haldane's map function; the population of
    a mixed founder's haplotype switches along the genome as a Markov chain (one pulse of admixture some
    generations ago).
    """
    units = _unit_counts(config)
    rng = generator(config.seed, "pedigree")
    people = _people(rng, units, config)
    founder = people["father"] < 0
    children = np.flatnonzero(~founder)
    is_mixed = np.array([len(ancestry.admixture) > 1 for ancestry in config.population.ancestries])
    mixed_founders = np.flatnonzero(founder & is_mixed[people["ancestry"]])
    return Pedigree(
        **people,
        children=children,
        transmitted=_transmissions(rng, loci, config, len(children)),
        home=_homes(config.population)[people["ancestry"]],
        mixed_founders=mixed_founders,
        origin=_origins(rng, loci, config, people["ancestry"][mixed_founders]),
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
        name: [] for name in ("kind", "unit", "father", "mother", "female", "visible", "ancestry")
    }
    shares = [ancestry.share for ancestry in config.population.ancestries]
    first_person = first_unit = 0
    for kind, n in units.items():
        members, visible = _TEMPLATES[kind]
        offset = first_person + len(members) * np.arange(n)[:, None]
        father, mother, sex = (np.array([member[i] for member in members]) for i in range(3))
        ancestry = rng.choice(len(shares), size=n, p=shares)
        either = rng.integers(0, 2, size=(n, len(members)))
        new = {
            "kind": np.full((n, len(members)), KINDS.index(kind)),
            "unit": np.broadcast_to(first_unit + np.arange(n)[:, None], (n, len(members))),
            "father": np.where(father >= 0, father + offset, -1),
            "mother": np.where(mother >= 0, mother + offset, -1),
            "female": np.where(sex == EITHER, either, sex) == FEMALE,
            "visible": np.broadcast_to(np.isin(np.arange(len(members)), visible), (n, len(members))),
            "ancestry": np.broadcast_to(ancestry[:, None], (n, len(members))),
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


def _homes(population: PopulationConfig) -> np.ndarray:
    """Population of each ancestry, its largest where there are several."""
    places = population.populations()
    return np.array(
        [places.index(max(kind.admixture, key=kind.admixture.__getitem__)) for kind in population.ancestries]
    )


def _origins(
    rng: np.random.Generator, loci: list[Locus], config: SimulateConfig, ancestry: np.ndarray
) -> np.ndarray:
    """Population of each locus, mixed founder and haplotype, see `Pedigree`; `ancestry` by founder."""
    places = config.population.populations()
    origin = np.zeros((len(loci), len(ancestry), 2), dtype=np.uint8)
    generations = np.zeros((len(ancestry), 1))
    share = np.zeros((len(ancestry), len(places)))
    for number, kind in enumerate(config.population.ancestries):
        mine = ancestry == number
        mean = np.array([kind.admixture.get(name, 0.0) for name in places])
        drawn = rng.standard_gamma(np.maximum(mean, 1e-9) * kind.concentration, (mine.sum(), len(places)))
        share[mine] = drawn / drawn.sum(axis=1, keepdims=True)
        generations[mine] = kind.generations
    edges = np.cumsum(share, axis=1)[:, None, :-1]
    state = np.zeros((len(ancestry), 2), dtype=np.uint8)
    for i, distance in enumerate(_genetic_distances(loci, config)):
        fresh = (rng.random((len(ancestry), 2))[..., None] > edges).sum(axis=2)
        redrawn = rng.random((len(ancestry), 2)) < 1 - np.exp(-generations * distance)
        state = np.where(redrawn, fresh, state)
        origin[i] = state
    return origin
