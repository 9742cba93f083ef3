"""Liability-threshold phenotype: effects of causal genes, and the ascertainment of cases and controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contract.errors import InputError
from etl.simulate.config import PhenotypeConfig, SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.pedigree import KINDS, Pedigree
from etl.simulate.rng import generator
from etl.simulate.variants import PLOF, Consequence, LocusVariants


@dataclass(frozen=True)
class GeneEffect:
    """Liability added by one allele, in standard deviations of genetic plus environmental liability."""

    locus: int
    plof: float
    damaging_missense: float


@dataclass(frozen=True)
class Liabilities:
    """
    Liabilities of a population's visible people, in standard deviations, and what they are made of.

    `genetic` holds gene effects and interactions, centred; `predictable` adds the shift by ancestry;
    `total` adds the environment.
    """

    genetic: np.ndarray
    predictable: np.ndarray
    total: np.ndarray
    threshold: float
    effects: tuple[GeneEffect, ...]
    interactions: tuple[tuple[int, int, float], ...]

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


def effect_alleles(variants: LocusVariants, config: PhenotypeConfig) -> tuple[np.ndarray, np.ndarray]:
    """Rows with an effect: high-confidence pLoF, and damaging missense; both rare in either ancestry."""
    rare = variants.frequency <= config.effect_max_frequency
    plof = np.isin(variants.consequence, PLOF) & ~variants.low_confidence & rare
    return plof, (variants.consequence == Consequence.DAMAGING_MISSENSE) & rare


def draw_liabilities(
    config: SimulateConfig, causal: list[LocusVariants], african_ancestry: np.ndarray
) -> Liabilities:
    """
    Liabilities of everyone in the population whose dosages `causal` holds.

    The genetic part is scaled so that its variance in this population is the heritability and the
    environment's is what is left of 1; the threshold is the quantile that leaves the prevalence above it.
    """
    settings = config.phenotype
    rng = generator(config.seed, "phenotype")
    burdens = [_burdens(variants, settings) for variants in causal]
    sizes = np.exp(rng.normal(0, settings.effect_sigma, size=len(causal)))
    additive = sum(size * _weighted(burden, settings) for size, burden in zip(sizes, burdens, strict=True))
    additive = np.asarray(additive, dtype=float)
    pairs, interaction, unit = _interaction(burdens, additive, settings)
    scale = np.sqrt(settings.heritability / max(float((additive + interaction).var()), 1e-12))
    genetic = scale * (additive + interaction)
    genetic -= genetic.mean()
    predictable = genetic + settings.ancestry_shift * african_ancestry
    total = predictable + rng.normal(0, np.sqrt(1 - settings.heritability), size=len(genetic))
    return Liabilities(
        genetic=genetic,
        predictable=predictable,
        total=total,
        threshold=float(np.quantile(total, 1 - settings.prevalence)),
        effects=tuple(
            GeneEffect(
                variants.locus,
                plof=float(scale * size * settings.plof_effect),
                damaging_missense=float(scale * size * settings.damaging_missense_effect),
            )
            for variants, size in zip(causal, sizes, strict=True)
        ),
        interactions=tuple((causal[a].locus, causal[b].locus, float(scale * unit)) for a, b in pairs),
    )


def _burdens(variants: LocusVariants, config: PhenotypeConfig) -> np.ndarray:
    """Alleles with an effect, 2 × people: pLoF and damaging missense."""
    plof, damaging = effect_alleles(variants, config)
    return np.stack([variants.dosage[plof].sum(axis=0), variants.dosage[damaging].sum(axis=0)]).astype(float)


def _weighted(burden: np.ndarray, config: PhenotypeConfig) -> np.ndarray:
    return config.plof_effect * burden[0] + config.damaging_missense_effect * burden[1]


def _interaction(
    burdens: list[np.ndarray], additive: np.ndarray, config: PhenotypeConfig
) -> tuple[list[tuple[int, int]], np.ndarray, float]:
    """
    Extra liability of people who carry an allele in both genes of a pair, on the scale of `additive`.

    Pairs are made of the genes with most carriers. The term's variance is `interaction_share` of the sum
    of its own and the additive variance.
    """
    carriers = np.stack([burden.sum(axis=0) > 0 for burden in burdens])
    order = np.argsort(-carriers.sum(axis=1), kind="stable")
    pairs = [(int(order[2 * i]), int(order[2 * i + 1])) for i in range(config.interaction_pairs)]
    both = np.zeros(carriers.shape[1])
    for first, second in pairs:
        both += carriers[first] & carriers[second]
    if not both.any():
        return pairs, both, 0.0
    share = min(config.interaction_share, 0.999)
    unit = float(np.sqrt(share / (1 - share) * additive.var() / both.var()))
    return pairs, unit * both, unit


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
