"""Haplotypes of one locus from the coalescent, under a human demography."""

from __future__ import annotations

import functools
import math

import msprime
import numpy as np

from etl.simulate.config import BranchConfig, GenesConfig, PopulationConfig
from etl.simulate.loci import Locus


@functools.cache
def demography(branches: tuple[BranchConfig, ...] = ()) -> msprime.Demography:
    """
    European-like and African-like populations after Tennessen et al. 2012 (Science 337:64), and branches.

    Out-of-Africa split, two bottlenecks, slow growth, and explosive growth in the last 5,115 years;
    25 years a generation. It is what makes most variants rare. A branch exchanges nobody after its split.
    """
    model = msprime.Demography()
    model.add_population(name="european", initial_size=501_436, growth_rate=0.0195)
    model.add_population(name="african", initial_size=432_125, growth_rate=0.0166)
    model.set_symmetric_migration_rate(["european", "african"], 2.5e-5)
    model.add_population_parameters_change(
        time=204.6, population="european", initial_size=9_279, growth_rate=0.00307
    )
    model.add_population_parameters_change(
        time=204.6, population="african", initial_size=14_474, growth_rate=0
    )
    model.add_population_parameters_change(time=920, population="european", initial_size=1_861, growth_rate=0)
    model.add_symmetric_migration_rate_change(time=920, populations=["european", "african"], rate=15e-5)
    model.add_symmetric_migration_rate_change(time=2_040, populations=["european", "african"], rate=0)
    model.add_mass_migration(time=2_040, source="european", dest="african", proportion=1)
    model.add_population_parameters_change(time=5_920, population="african", initial_size=7_310)
    for branch in branches:
        model.add_population(name=branch.name, initial_size=branch.size, growth_rate=branch.growth_rate)
        model.add_mass_migration(
            time=branch.generations, source=branch.name, dest=branch.split_from, proportion=1
        )
        # After all have left: growth backwards in time would end in a population of nobody.
        first = max(branch.size * math.exp(-branch.growth_rate * branch.generations), 1.0)
        model.add_population_parameters_change(
            time=branch.generations, population=branch.name, initial_size=first, growth_rate=0
        )
    model.sort_events()
    return model


def simulate_haplotypes(
    locus: Locus,
    counts: dict[str, int],
    config: GenesConfig,
    rng: np.random.Generator,
    population: PopulationConfig | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Mutations of one locus.

    Parameters
    ----------
    locus
        Where; mutations fall only on its captured intervals, recombination anywhere inside it.
    counts
        Haplotypes by population.
    config
        Mutation and recombination rate.
    rng
        Source of the two seeds.
    population
        Gives the branches of the demography; none by default.

    Returns
    -------
    positions
        Ascending, distinct, 1-based; one for each mutation kept.
    haplotypes
        uint8, mutations × haplotypes, 1 = derived; the populations in the order of `counts`.
    """
    captured = locus.captured()
    first = captured[0][0]
    length = captured[-1][1] - first + 1
    ancestry_seed, mutation_seed = (int(seed) for seed in rng.integers(1, 2**31 - 1, size=2))
    trees = msprime.sim_ancestry(
        samples=counts,
        ploidy=1,
        demography=demography(_needed_branches(counts, population)),
        sequence_length=length,
        recombination_rate=config.recombination_rate,
        random_seed=ancestry_seed,
        record_provenance=False,
    )
    mutated = msprime.sim_mutations(
        trees,
        rate=_rate_map(captured, length, config.mutation_rate),
        model=msprime.BinaryMutationModel(),
        discrete_genome=False,
        random_seed=mutation_seed,
        record_provenance=False,
    )
    positions = np.floor(mutated.tables.sites.position).astype(np.int64) + first
    distinct = np.concatenate([[True], np.diff(positions) > 0]) if len(positions) else np.zeros(0, bool)
    haplotypes = mutated.genotype_matrix().astype(np.uint8)
    return positions[distinct], haplotypes[distinct]


def _needed_branches(counts: dict[str, int], population: PopulationConfig | None) -> tuple[BranchConfig, ...]:
    """Branches that the counts name, and those that these split from."""
    needed, found = set(counts), []
    for branch in reversed(population.branches if population else ()):
        if branch.name in needed:
            needed.add(branch.split_from)
            found.append(branch)
    return tuple(reversed(found))


def _rate_map(captured: tuple[tuple[int, int], ...], length: int, rate: float) -> msprime.RateMap:
    """Mutation rate `rate` on the captured intervals, zero between them; local coordinates."""
    first = captured[0][0]
    edges = [edge for start, end in captured for edge in (start - first, end + 1 - first)]
    rates = [rate if i % 2 == 0 else 0.0 for i in range(len(edges) - 1)]
    if edges[-1] != length:
        raise RuntimeError("captured intervals do not end with their locus")
    return msprime.RateMap(position=edges, rate=rates)
