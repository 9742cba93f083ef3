"""The simulated study as a whole: from a configuration to people, alleles and liabilities."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus, lay_out
from etl.simulate.pedigree import Pedigree, draw_population
from etl.simulate.people import People, sample_people
from etl.simulate.phenotype import Liabilities, ascertain, choose_causal_genes, draw_liabilities
from etl.simulate.sites import Alleles, assemble
from etl.simulate.variants import LocusVariants, simulate_locus

Report = Callable[[str, int, int], None]
_PEOPLE_LOCI_PER_TASK = 20_000  # enough work to outweigh the cost of handing it to another process


@dataclass(frozen=True)
class Study:
    """
    Everything but the reads.

    `visible` is, for each sample, its person's place among the population's visible people, in whose
    order `liabilities` stands; `population_shares` is samples × populations.
    """

    loci: list[Locus]
    causal: list[Locus]
    people: People
    alleles: Alleles
    liabilities: Liabilities
    visible: np.ndarray
    population_shares: np.ndarray
    population_size: int


def simulate_study(config: SimulateConfig, report: Report) -> Study:
    """
    Draw a study.

    Causal genes are drawn for a whole population, from which cases and controls are ascertained at the
    configured prevalence; all other loci are drawn for the chosen people alone. That is exact under the
    model, in which loci are in linkage disequilibrium through descent and local ancestry only: given
    these, genotypes of the other loci are independent of liability.

    Parameters
    ----------
    config
        The study.
    report
        Called with stage, steps done and steps in all.
    """
    loci = lay_out(config)
    causal = choose_causal_genes(config, loci)
    population = draw_population(config, loci)
    visible = np.flatnonzero(population.visible)
    shares = population.population_shares(len(config.population.populations()))
    in_population = _draw_loci(config, population, visible, causal, functools.partial(report, "causal genes"))
    constraint = {locus.index: locus.constraint for locus in causal}
    liabilities = draw_liabilities(config, in_population, shares[visible], constraint)
    units = ascertain(config, population, liabilities.is_case)
    chosen, old_index = population.restrict(units)
    place = np.searchsorted(visible, old_index[chosen.visible])
    people = sample_people(config, chosen, liabilities.is_case[place])
    by_sample = np.searchsorted(visible, old_index[people.person])
    causal_indices = {locus.index for locus in causal}
    others = [locus for locus in loci if locus.index not in causal_indices]
    parts = [variants.choose(by_sample) for variants in in_population]
    del in_population
    parts += _draw_loci(config, chosen, people.person, others, functools.partial(report, "other loci"))
    parts.sort(key=lambda part: part.locus)
    return Study(
        loci=loci,
        causal=causal,
        people=people,
        alleles=assemble(config, loci, parts, causal_indices),
        liabilities=liabilities,
        visible=by_sample,
        population_shares=shares[old_index[people.person]],
        population_size=len(visible),
    )


def run_parallel(
    config: SimulateConfig, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
) -> Iterator[Any]:
    """Results of `function(*task)` in the order of the tasks, on the configured number of processes."""
    parallel = joblib.Parallel(
        n_jobs=config.workers or -1, return_as="generator", max_nbytes=None, pre_dispatch="3*n_jobs"
    )
    yield from parallel(joblib.delayed(function)(*task) for task in tasks)


def _draw_loci(
    config: SimulateConfig,
    pedigree: Pedigree,
    persons: np.ndarray,
    loci: list[Locus],
    report: Callable[[int, int], None],
) -> list[LocusVariants]:
    size = max(_PEOPLE_LOCI_PER_TASK // len(persons), 1)
    batches = [loci[first : first + size] for first in range(0, len(loci), size)]
    tasks = ((config, batch, *_carried(pedigree, persons, batch)) for batch in batches)
    found: list[LocusVariants] = []
    for variants in run_parallel(config, _simulate_batch, tasks):
        found.extend(variants)
        report(len(found), len(loci))
    return found


def _carried(
    pedigree: Pedigree, persons: np.ndarray, loci: list[Locus]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    haplotypes = [pedigree.haplotypes_at(locus)[persons] for locus in loci]
    return haplotypes, [pedigree.origin_at(locus) for locus in loci]


def _simulate_batch(
    config: SimulateConfig, loci: list[Locus], haplotypes: list[np.ndarray], origins: list[np.ndarray]
) -> list[LocusVariants]:
    return [
        simulate_locus(locus, carried, origin, config)
        for locus, carried, origin in zip(loci, haplotypes, origins, strict=True)
    ]
