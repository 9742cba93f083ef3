import numpy as np

from etl.simulate.coalescent import simulate_haplotypes
from etl.simulate.config import GenesConfig, PopulationConfig
from etl.simulate.loci import Locus

GENE = Locus(0, 0, 10_000, 14_999, exons=((10_000, 10_999), (12_000, 12_999), (14_000, 14_999)))


def draw(counts: tuple[int, ...], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    named = dict(zip(("european", "african", "east_asian"), counts, strict=False))
    return simulate_haplotypes(GENE, named, GenesConfig(), np.random.default_rng(seed), PopulationConfig())


def test_simulate_haplotypes__mutations_only_where_captured():
    positions, haplotypes = draw((400, 100))
    inside = [any(a <= p <= b for a, b in GENE.captured()) for p in positions]
    assert all(inside)
    assert haplotypes.shape == (len(positions), 500)
    assert np.all(np.diff(positions) > 0)
    assert set(np.unique(haplotypes)) == {0, 1}


def test_simulate_haplotypes__most_variants_are_rare():
    copies = np.concatenate([draw((2_000, 0), seed)[1].sum(axis=1) for seed in range(4)])
    assert np.mean(copies == 1) > 0.35
    assert np.mean(copies > 100) < 0.25


def test_simulate_haplotypes__african_haplotypes_are_more_diverse():
    heterozygosity = np.zeros(2)
    for seed in range(12):
        _, haplotypes = draw((100, 100), seed)
        for group, part in enumerate((haplotypes[:, :100], haplotypes[:, 100:])):
            frequency = part.mean(axis=1)
            heterozygosity[group] += np.sum(2 * frequency * (1 - frequency))
    assert heterozygosity[1] > 1.1 * heterozygosity[0]


def test_simulate_haplotypes__a_branch_is_near_the_population_it_split_from():
    difference = np.zeros(2)
    for seed in range(8):
        _, haplotypes = draw((100, 100, 100), seed)
        european, african, east_asian = (part.mean(axis=1) for part in np.split(haplotypes, 3, axis=1))
        difference += [np.sum((east_asian - european) ** 2), np.sum((east_asian - african) ** 2)]
    assert 0 < difference[0] < 0.8 * difference[1]


def test_simulate_haplotypes__same_seed_same_haplotypes():
    first, second = draw((50, 50)), draw((50, 50))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(draw((50, 50), seed=2)[1], first[1])
