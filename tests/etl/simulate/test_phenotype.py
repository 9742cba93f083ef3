from dataclasses import replace

import numpy as np
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.simulate.config import SimulateConfig
from etl.simulate.loci import Locus
from etl.simulate.pedigree import KINDS, Pedigree
from etl.simulate.phenotype import ascertain, choose_causal_genes, draw_liabilities, effect_alleles
from etl.simulate.variants import Consequence, LocusVariants

N = 20_000
EUROPEAN = np.array([[1.0, 0.0]]).repeat(N, axis=0)


def config_with(relatives: dict[str, int] | None = None, **phenotype: object) -> SimulateConfig:
    none = {"duplicates": 0, "parent_child": 0, "siblings": 0, "half_siblings": 0, "avuncular": 0}
    settings = {
        "out": "x",
        "people": 1_000,
        "case_share": 0.4,
        "relatives": {**none, **(relatives or {})},
        "phenotype": {"prevalence": 0.1, "heritability": 0.4, "causal_genes": 4, **phenotype},
    }
    return build_config(SimulateConfig, settings, "test")


def gene_variants(locus: int) -> LocusVariants:
    """pLoF, damaging missense, synonymous, low-confidence pLoF: one allele each, 4 % carriers."""
    rng = np.random.default_rng(locus)
    kinds = [
        Consequence.STOP_GAINED,
        Consequence.DAMAGING_MISSENSE,
        Consequence.SYNONYMOUS,
        Consequence.FRAMESHIFT,
    ]
    return LocusVariants(
        locus=locus,
        position=np.arange(4) + 100,
        consequence=np.array(kinds),
        low_confidence=np.array([False, False, False, True]),
        ref=("A",) * 4,
        alt=("C",) * 4,
        frequency=np.full(4, 0.01),
        dosage=(rng.random((4, N)) < 0.04).astype(np.uint8),
    )


CAUSAL = [gene_variants(locus) for locus in range(4)]


def test_effect_alleles__only_rare_confident_damaging_ones():
    config = config_with()
    plof, damaging, other = effect_alleles(CAUSAL[0], config.phenotype, seed=1)
    assert plof.tolist() == [1, 0, 0, 0]
    assert damaging.tolist() == [0, 1, 0, 0]
    assert not other.any()
    assert not effect_alleles(CAUSAL[0], config_with(effect_max_frequency=0.009).phenotype, seed=1).any()


def test_effect_alleles__a_share_of_the_class_has_the_effect():
    settings = config_with(causal_share_plof=0.3).phenotype
    n = 1_000
    many = replace(
        CAUSAL[0],
        consequence=np.full(n, Consequence.STOP_GAINED),
        low_confidence=np.zeros(n, dtype=bool),
        frequency=np.full(n, 0.001),
        ref=("A",) * n,
        alt=("C",) * n,
        position=np.arange(n),
    )
    first = effect_alleles(many, settings, seed=1)
    assert first[0].mean() == pytest.approx(0.3, abs=0.05)
    assert np.array_equal(first, effect_alleles(many, settings, seed=1))


def test_effect_alleles__rarer_alleles_have_larger_effects():
    settings = config_with(frequency_exponent=-0.5).phenotype
    rare = replace(CAUSAL[0], frequency=np.array([0.01, 0.0001, 0, 0]))
    plof, damaging, _ = effect_alleles(rare, settings, seed=1)
    assert plof[0] == pytest.approx(1)
    assert damaging[1] == pytest.approx((0.0001 * 0.9999 / (0.01 * 0.99)) ** -0.5)


@pytest.mark.parametrize("groups", [0, 2])
def test_draw_liabilities__explain_the_configured_heritability(groups):
    drawn = draw_liabilities(config_with(interaction_groups=groups), CAUSAL, EUROPEAN)
    assert drawn.genetic.var() == pytest.approx(0.4)
    assert drawn.total.var() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(drawn.genetic, drawn.total)[0, 1] ** 2 == pytest.approx(0.4, abs=0.02)
    assert drawn.is_case.mean() == pytest.approx(0.1, abs=0.001)


def test_draw_liabilities__effects_are_those_of_single_carriers():
    drawn = draw_liabilities(config_with(), CAUSAL, EUROPEAN)
    burden = np.concatenate([variants.dosage[:2] for variants in CAUSAL])
    effects = [value for effect in drawn.effects for value in (effect.plof, effect.damaging_missense)]
    base = drawn.genetic[~burden.any(axis=0)]
    assert base == pytest.approx(base[0])
    assert drawn.genetic == pytest.approx(base[0] + np.array(effects) @ burden)
    assert effects[1] == pytest.approx(0.6 * effects[0])


def test_draw_liabilities__interaction_only_in_carriers_of_both():
    plain = draw_liabilities(config_with(), CAUSAL, EUROPEAN)
    joint = draw_liabilities(config_with(interaction_groups=1), CAUSAL, EUROPEAN)
    assert plain.interactions == ()
    (((first, second), effect),) = joint.interactions
    carrier = [variants.dosage[:2].any(axis=0) for variants in CAUSAL]
    burden = np.concatenate([variants.dosage[:2] for variants in CAUSAL])
    additive = np.array([v for e in joint.effects for v in (e.plof, e.damaging_missense)]) @ burden
    extra = joint.genetic - additive
    both = carrier[first] & carrier[second]
    assert extra[both] - extra[~both].mean() == pytest.approx(effect)
    assert np.ptp(extra[~both]) == pytest.approx(0, abs=1e-9)
    assert effect > 0


def test_draw_liabilities__ancestry_shift():
    ancestry = np.linspace(0, 1, N)
    shares = np.stack([1 - ancestry, ancestry], axis=1)
    drawn = draw_liabilities(config_with(ancestry_shift={"african": 0.5}), CAUSAL, shares)
    assert drawn.predictable - drawn.genetic == pytest.approx(0.5 * ancestry)
    assert drawn.is_case[ancestry > 0.5].mean() > 1.3 * drawn.is_case[ancestry < 0.5].mean()


def test_draw_liabilities__two_hits_in_a_pathway():
    settings = config_with(interaction_groups=1, interaction_genes=3, causal_genes=4)
    drawn = draw_liabilities(settings, CAUSAL, EUROPEAN)
    ((group, effect),) = drawn.interactions
    assert len(group) == 3
    burden = np.concatenate([variants.dosage[:2] for variants in CAUSAL])
    effects = [value for item in drawn.effects for value in (item.plof, item.damaging_missense)]
    extra = drawn.genetic - np.array(effects) @ burden
    hits = sum(CAUSAL[locus].dosage[:2].any(axis=0).astype(int) for locus in group)
    assert extra[hits >= 2].min() - extra[hits < 2].max() == pytest.approx(effect)


def test_draw_liabilities__constrained_genes_have_larger_effects():
    settings = config_with(constraint_exponent=0.5, effect_sigma=0)
    drawn = draw_liabilities(settings, CAUSAL, EUROPEAN, {0: 4.0})
    assert drawn.effects[0].plof == pytest.approx(2 * drawn.effects[1].plof)


def units_of(kinds: list[str]) -> Pedigree:
    """Unrelated people, and pairs without their parents: enough for ascertainment."""
    kind = np.concatenate([np.repeat(KINDS.index(name), 1 if name == "single" else 2) for name in kinds])
    unit = np.concatenate([np.repeat(i, 1 if name == "single" else 2) for i, name in enumerate(kinds)])
    n, none = len(kind), np.zeros(0, dtype=int)
    empty = np.zeros((1, 0, 2), dtype=np.uint8)
    parents = np.full(n, -1)
    return Pedigree(
        kind,
        unit,
        parents,
        parents,
        np.zeros(n, bool),
        np.ones(n, bool),
        np.zeros(n, int),
        np.zeros(n, int),
        none,
        empty,
        none,
        empty,
    )


def test_ascertain__exact_numbers_of_cases_and_controls():
    population = units_of(["single"] * 8_000 + ["siblings"] * 400)
    is_case = np.random.default_rng(1).random(8_800) < 0.1
    units = ascertain(config_with(relatives={"siblings": 30}), population, is_case)
    members = np.isin(population.unit, units)
    assert members.sum() == 1_000
    assert is_case[members].sum() == 400
    assert np.sum(units >= 8_000) == 30


def test_ascertain__pairs_are_enriched_for_cases():
    population = units_of(["single"] * 8_000 + ["siblings"] * 6_000)
    is_case = np.random.default_rng(2).random(20_000) < 0.1
    units = ascertain(config_with(relatives={"siblings": 200}), population, is_case)
    share = is_case[np.isin(population.unit, units[units >= 8_000])].mean()
    assert share == pytest.approx(0.4, abs=0.08)


def test_ascertain__too_few_cases_in_the_population():
    population = units_of(["single"] * 2_000)
    with pytest.raises(
        InputError, match=r"pool_margin: found 1\.4, wanted more: of 100 unrelated cases, 400"
    ):
        ascertain(config_with(), population, np.arange(2_000) < 100)


def test_choose_causal_genes__none_that_overlap():
    loci = [Locus(i, 0, 1, 9, exons=((1, 9),), overlaps=i < 6) for i in range(10)]
    assert {locus.index for locus in choose_causal_genes(config_with(), loci)} == {6, 7, 8, 9}
    with pytest.raises(InputError, match=r"causal_genes: found 4, wanted at most the 3 genes"):
        choose_causal_genes(config_with(), loci[:9])
