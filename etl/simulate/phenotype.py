"""Liability-threshold phenotype: effects of causal genes, and the ascertainment of cases and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from contract.errors import InputError
from etl.simulate.config import PhenotypeConfig, SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.pedigree import KINDS, Pedigree
from etl.simulate.rng import generator
from etl.simulate.variants import PLOF, Consequence, LocusVariants

_RAREST = 1e-5

CLASSES = ("plof", "damaging_missense", "other_missense")
"""Classes of alleles with an effect; in each, a share of the alleles has it."""


@dataclass(frozen=True)
class GeneEffect:
    """
    Liability added by one allele, in standard deviations of genetic plus environmental liability.

    Where effects follow frequency it is that of an allele of the highest frequency that has one.
    """

    locus: int
    plof: float
    damaging_missense: float
    other_missense: float


@dataclass(frozen=True)
class Liabilities:
    """
    Liabilities of a population's visible people, in standard deviations, and what they are made of.

    `genetic` holds gene effects and interactions, centred; `predictable` adds the shift by ancestry;
    `total` adds the environment. `interactions` are loci and the effect of two of them hit.
    """

    genetic: np.ndarray
    predictable: np.ndarray
    total: np.ndarray
    threshold: float
    effects: tuple[GeneEffect, ...]
    interactions: tuple[tuple[tuple[int, ...], float], ...]

    @property
    def is_case(self) -> np.ndarray:
        """Status of each visible person."""
        return self.total > self.threshold


def choose_causal_genes(config: SimulateConfig, loci: list[Locus]) -> list[Locus]:
    """Causal genes, drawn in proportion to coding length among those that overlap no other gene.

    Long genes carry more variants, so a drawn effect is seen in more people.
    """
    candidates = [locus for locus in loci if locus.is_gene and not locus.overlaps]
    wanted = config.phenotype.causal_genes
    if len(candidates) < wanted:
        raise InputError(
            f"configuration: phenotype.causal_genes: found {wanted}, "
            f"wanted at most the {len(candidates)} genes that overlap no other"
        )
    lengths = np.array([locus.coding_length for locus in candidates], dtype=float)
    rng = generator(config.seed, "causal genes")
    chosen = rng.choice(len(candidates), size=wanted, replace=False, p=lengths / lengths.sum())
    return [candidates[i] for i in np.sort(chosen)]


def effect_alleles(variants: LocusVariants, config: PhenotypeConfig, seed: int) -> np.ndarray:
    """
    Relative effect of each allele in its class, classes × alleles; 0 without an effect.

    High-confidence pLoF, damaging and other missense can have one where no population has the allele above
    the limit. Of each class a seeded share has it. It is 1, or follows f (1 - f) to the configured power
    beside the limit's (Speed et al. 2012, Am. J. Hum. Genet. 91:1011).
    """
    rng = generator(seed, "causal alleles", variants.locus)
    rare = variants.frequency <= config.effect_max_frequency
    members = (
        np.isin(variants.consequence, PLOF) & ~variants.low_confidence,
        variants.consequence == Consequence.DAMAGING_MISSENSE,
        variants.consequence == Consequence.OTHER_MISSENSE,
    )
    shares = [getattr(config, f"causal_share_{name}") for name in CLASSES]
    chosen = [
        member & rare & (rng.random(len(variants)) < share)
        for member, share in zip(members, shares, strict=True)
    ]
    # One copy was left out of the frequency, so singletons have 0: they count as the rarest.
    floor = min(_RAREST, config.effect_max_frequency)
    most = max(config.effect_max_frequency, floor)
    frequency = variants.frequency.clip(floor, most)
    relative = (frequency * (1 - frequency) / (most * (1 - most))) ** config.frequency_exponent
    return np.stack(chosen) * relative


def draw_liabilities(
    config: SimulateConfig,
    causal: list[LocusVariants],
    population_shares: np.ndarray,
    constraint: Mapping[int, float] | None = None,
) -> Liabilities:
    """
    Liabilities of everyone in the population whose dosages `causal` holds.

    The genetic part is scaled so that its variance in this population is the heritability and the
    environment's is what is left of 1; the threshold is the quantile that leaves the prevalence above it.

    Parameters
    ----------
    config
        The study.
    causal
        Variants of the causal genes.
    population_shares
        Of each person's genome, people × populations.
    constraint
        By locus, see `Locus`; 1 by default.
    """
    settings = config.phenotype
    rng = generator(config.seed, "phenotype")
    sizes = np.exp(rng.normal(0, settings.effect_sigma, size=len(causal)))
    sizes *= [(constraint or {}).get(item.locus, 1.0) ** settings.constraint_exponent for item in causal]
    burdens = [effect_alleles(item, settings, config.seed) @ item.dosage for item in causal]
    by_class = np.array([getattr(settings, f"{name}_effect") for name in CLASSES])
    additive = np.zeros(population_shares.shape[0])
    for size, burden in zip(sizes, burdens, strict=True):
        additive += size * (by_class @ burden)
    groups, interaction, unit = _interaction(burdens, by_class, additive, settings)
    scale = np.sqrt(settings.heritability / max(float((additive + interaction).var()), 1e-12))
    genetic = scale * (additive + interaction)
    genetic -= genetic.mean()
    shifts = [settings.ancestry_shift.get(name, 0.0) for name in config.population.populations()]
    predictable = genetic + population_shares @ shifts
    total = predictable + rng.normal(0, np.sqrt(1 - settings.heritability), size=len(genetic))
    return Liabilities(
        genetic=genetic,
        predictable=predictable,
        total=total,
        threshold=float(np.quantile(total, 1 - settings.prevalence)),
        effects=tuple(
            GeneEffect(variants.locus, *(float(scale * size * effect) for effect in by_class))
            for variants, size in zip(causal, sizes, strict=True)
        ),
        interactions=tuple(
            (tuple(causal[gene].locus for gene in group), float(scale * unit)) for group in groups
        ),
    )


def _interaction(
    burdens: list[np.ndarray], by_class: np.ndarray, additive: np.ndarray, config: PhenotypeConfig
) -> tuple[list[tuple[int, ...]], np.ndarray, float]:
    """
    Extra liability of people who carry an allele in two genes of a group, on the scale of `additive`.

    Groups are made of the genes with most carriers. The term's variance is `interaction_share` of the sum
    of its own and the additive variance.
    """
    carriers = np.stack([by_class @ burden > 0 for burden in burdens])
    order, size = np.argsort(-carriers.sum(axis=1), kind="stable").tolist(), config.interaction_genes
    groups = [tuple(order[size * i : size * (i + 1)]) for i in range(config.interaction_groups)]
    hit = np.zeros(carriers.shape[1])
    for group in groups:
        hit += carriers[list(group)].sum(axis=0) >= 2
    if not hit.any():
        return groups, hit, 0.0
    share = min(config.interaction_share, 0.999)
    unit = float(np.sqrt(share / (1 - share) * additive.var() / hit.var()))
    return groups, unit * hit, unit


def ascertain(config: SimulateConfig, population: Pedigree, is_case: np.ndarray) -> np.ndarray:
    """
    Choose the study's family units.

    Pairs of relatives are drawn with the weight that independent case/control ascertainment of both
    members would give them (somewhat less where the population runs short of pairs with cases);
    unrelated people then fill the cases and the controls up to their numbers.

    Parameters
    ----------
    config
        People, share of cases, pairs of each kind.
    population
        Everyone.
    is_case
        Status of the population's visible people, in order.

    Returns
    -------
    Ids of the chosen units, ascending.

    Raises
    ------
    InputError
        If the population holds too few unrelated cases or controls.
    """
    rng = generator(config.seed, "ascertainment")
    visible = np.flatnonzero(population.visible)
    unit, kind = population.unit[visible], population.kind[visible]
    weight = np.where(
        is_case,
        config.case_share / config.phenotype.prevalence,
        (1 - config.case_share) / (1 - config.phenotype.prevalence),
    )
    chosen: list[np.ndarray] = []
    counts = {True: round(config.case_share * config.people)}
    counts[False] = config.people - counts[True]
    for name, pairs in config.relatives.pairs().items():
        units = np.unique(unit[kind == KINDS.index(name)])
        if not pairs:
            continue
        weights = np.exp(np.bincount(unit, np.log(weight))[units])
        taken = rng.choice(units, size=pairs, replace=False, p=weights / weights.sum())
        members = is_case[np.isin(unit, taken)]
        copies = 2 if name == "duplicate" else 1
        counts[True] -= copies * int(members.sum())
        counts[False] -= copies * int((~members).sum())
        chosen.append(taken)
    for status, number in counts.items():
        units = unit[(kind == KINDS.index("single")) & (is_case == status)]
        if not 0 <= number <= len(units):
            raise InputError(
                f"configuration: phenotype.pool_margin: found {config.phenotype.pool_margin}, wanted more: "
                f"of {len(units)} unrelated {'cases' if status else 'controls'}, {number} are needed"
            )
        chosen.append(rng.choice(units, size=number, replace=False))
    return np.sort(np.concatenate(chosen))
