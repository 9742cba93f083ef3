import numpy as np
import pytest

from contract.config import build_config
from etl.simulate.config import SimulateConfig
from etl.simulate.loci import lay_out
from etl.simulate.pedigree import KINDS, KINSHIP, draw_population

SETTINGS = {
    "out": "x",
    "people": 400,
    "genes": {"count": 300, "backbone_markers": 300},
    "relatives": {"duplicates": 5, "parent_child": 15, "siblings": 15, "half_siblings": 15, "avuncular": 15},
    "phenotype": {"prevalence": 0.4, "pool_margin": 1.1},
}
CONFIG = build_config(SimulateConfig, SETTINGS, "test")


@pytest.fixture(scope="module")
def loci():
    return lay_out(CONFIG)


@pytest.fixture(scope="module")
def population(loci):
    return draw_population(CONFIG, loci)


def shared_by_descent(first: np.ndarray, second: np.ndarray) -> float:
    """Kinship at one locus: chance that two haplotypes, one drawn from each person, are the same."""
    return float(np.mean([[a == b for a in first] for b in second]))


@pytest.mark.parametrize("kind", ["parent_child", "siblings", "half_siblings", "avuncular"])
def test_haplotypes_at__kinship_by_descent(population, loci, kind):
    autosomal = [locus for locus in loci if locus.chromosome != 22]
    units = np.unique(population.unit[population.kind == KINDS.index(kind)])
    pairs = [np.flatnonzero((population.unit == unit) & population.visible) for unit in units]
    assert len(pairs) >= 15
    sharing = []
    for locus in autosomal[::10]:
        haplotypes = population.haplotypes_at(locus)
        sharing += [shared_by_descent(haplotypes[a], haplotypes[b]) for a, b in pairs]
    assert np.mean(sharing) == pytest.approx(KINSHIP[kind], abs=0.02)


def test_haplotypes_at__sons_have_one_x_and_from_their_mother(population, loci):
    x_locus = next(locus for locus in loci if locus.hemizygous_in_men)
    haplotypes = population.haplotypes_at(x_locus)
    men = ~population.female
    assert np.array_equal(haplotypes[men, 0], haplotypes[men, 1])
    sons = population.children[men[population.children]]
    from_mother = haplotypes[population.mother[sons]]
    assert np.all((haplotypes[sons, :1] == from_mother).any(axis=1))
    daughters = population.children[population.female[population.children]]
    assert np.array_equal(haplotypes[daughters, 0], haplotypes[population.father[daughters], 1])


def test_draw_population__parents_are_a_man_and_a_woman(population):
    assert not population.female[population.father[population.children]].any()
    assert population.female[population.mother[population.children]].all()
    assert np.all(population.father[population.children] < population.children)


def test_draw_population__neighbours_are_transmitted_together(population, loci):
    middle = np.array([(locus.start + locus.end) / 2 for locus in loci])
    chromosome = np.array([locus.chromosome for locus in loci])
    switched = population.transmitted[1:] != population.transmitted[:-1]
    near = (np.diff(middle) < 500_000) & (np.diff(chromosome) == 0)
    assert switched[near].mean() < 0.01
    assert switched[np.diff(chromosome) > 0].mean() == pytest.approx(0.5, abs=0.05)


def test_haplotypes_at__y_from_father_to_son():
    config = CONFIG.model_copy(update={"genes": CONFIG.genes.model_copy(update={"y_markers": 2})})
    loci = lay_out(config)
    population = draw_population(config, loci)
    haplotypes = population.haplotypes_at(loci[-1])
    sons = population.children[~population.female[population.children]]
    assert len(sons) > 10
    assert np.array_equal(haplotypes[sons], haplotypes[population.father[sons]])
    assert np.all(haplotypes[~population.female, 0] == haplotypes[~population.female, 1])


def test_population_shares__of_admixed_and_others(population):
    share, admixed = population.population_shares(2)[:, 1], population.ancestry == 1
    assert np.all(share[~admixed] == 0)
    assert share[admixed].mean() == pytest.approx(0.7, abs=0.05)
    assert admixed.mean() == pytest.approx(0.10, abs=0.04)
    children = population.children
    parents = (share[population.father[children]] + share[population.mother[children]]) / 2
    assert share[children] == pytest.approx(parents)


def test_restrict__keeps_descent(population, loci):
    units = np.unique(population.unit[population.kind == KINDS.index("avuncular")])[:3]
    part, old_index = population.restrict(units)
    assert len(part) == 18
    for locus in (loci[0], loci[-1]):
        whole, alone = population.haplotypes_at(locus)[old_index], part.haplotypes_at(locus)
        assert np.array_equal(alone, 2 * np.searchsorted(old_index, whole // 2) + whole % 2)
        assert np.array_equal(population.origin_at(locus)[whole], part.origin_at(locus)[alone])


def test_origin_at__three_populations_and_a_mixture_of_two(loci):
    ancestries = [
        {"name": "european", "share": 0.5, "admixture": {"european": 1}},
        {"name": "east_asian", "share": 0.3, "admixture": {"east_asian": 1}},
        {"name": "between", "share": 0.2, "admixture": {"african": 0.5, "east_asian": 0.5}},
    ]
    config = build_config(SimulateConfig, {**SETTINGS, "population": {"ancestries": ancestries}}, "test")
    assert config.population.populations() == ("european", "african", "east_asian")
    population = draw_population(config, loci)
    origin = population.origin_at(loci[0]).reshape(-1, 2)
    founders = population.father < 0
    assert [set(origin[founders & (population.ancestry == place)].ravel()) for place in range(3)] == [
        {0},
        {2},
        {1, 2},
    ]
    shares = population.population_shares(3)[population.ancestry == 2].mean(axis=0)
    assert shares == pytest.approx([0, 0.5, 0.5], abs=0.07)
