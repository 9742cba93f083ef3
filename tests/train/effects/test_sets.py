"""Products within gene sets: by hand, the choice of sets, and what their gate knows of whom."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from train.effects.columns import GeneColumns
from train.effects.crossfit import DirectPath, fit_direct_path
from train.effects.gate import Gate
from train.effects.set_weights import Null, fit_set_weights
from train.effects.sets import GeneSets, Scored, SetGate, gate_sets, set_products
from train.effects.stack import Cohort, fit_pairs, fit_stack

N_GENES, PATHWAY = 300, (3, 90, 170, 250)


def columns_of(x_MCG: np.ndarray) -> GeneColumns:
    sparse = csc_matrix(x_MCG.reshape(len(x_MCG), -1).astype(np.float32))
    starts = sparse.indptr.astype(np.int64)
    return GeneColumns(len(x_MCG), x_MCG.shape[1], starts, sparse.indices, sparse.data)


def sets_of(*genes: tuple[int, ...]) -> GeneSets:
    return GeneSets(tuple(f"set{i}" for i in range(len(genes))), tuple(np.array(each) for each in genes))


@pytest.fixture
def small() -> tuple[np.ndarray, Scored, np.ndarray]:
    rng = np.random.default_rng(0)
    x_MCG, group_M = rng.poisson(0.5, (14, 2, 6)).astype(float), np.arange(14) % 2
    effect_KGC = rng.normal(size=(2, 6, 2))
    score_MG = np.einsum("mcg,mgc->mg", x_MCG - x_MCG.mean(axis=0), effect_KGC[group_M])
    return x_MCG, Scored(columns_of(x_MCG), effect_KGC, group_M), score_MG


def test_set_products__equal_sums_over_pairs(small):
    _, scored, r_MG = small
    product_MS = set_products(scored, sets_of((0, 2, 5), (1, 4)), threads=2)
    pairs = r_MG[:, 0] * r_MG[:, 2] + r_MG[:, 0] * r_MG[:, 5] + r_MG[:, 2] * r_MG[:, 5]
    assert product_MS[:, 0] == pytest.approx(pairs, rel=1e-5, abs=1e-6)
    assert product_MS[:, 1] == pytest.approx(r_MG[:, 1] * r_MG[:, 4], rel=1e-5, abs=1e-6)


def test_gate_sets__equal_dense_sums_of_a_sets_other_genes(small):
    x_MCG, scored, r_MG = small
    gate = SetGate(sets_of((0, 2, 5), (2, 3)), np.array([[0.5, 2.0], [-1.0, 0.25]]))
    added_N = gate_sets(scored, gate, gate.weight_KS)
    weight_MS = gate.weight_KS[scored.group_M]
    factor_MG = np.zeros_like(r_MG)
    for s, genes in enumerate(gate.sets.genes):
        for g in genes:
            factor_MG[:, g] += weight_MS[:, s] * (r_MG[:, genes].sum(axis=1) - r_MG[:, g])
    columns = scored.columns
    added = csc_matrix((added_N, columns.person_N, columns.start_F), shape=(14, 12)).toarray()
    assert added.reshape(14, 2, 6) == pytest.approx(x_MCG * factor_MG[:, None], abs=1e-5)


def drawn(seed: int, product: float, people: int = 3000) -> Cohort:
    """Four genes far from each other act, and pairs of them beyond that."""
    rng = np.random.default_rng(seed)
    x_MCG = rng.poisson(0.3, (people, 1, N_GENES)).astype(float)
    own_MG = x_MCG[:, 0, PATHWAY]
    pairs_M = (own_MG.sum(1) ** 2 - (own_MG**2).sum(1)) / 2
    liability_M = own_MG.sum(1) + product * pairs_M + rng.normal(0, 1.5, people)
    is_case_M = (liability_M > np.median(liability_M)).astype(np.int8)
    return Cohort(columns_of(x_MCG), is_case_M, np.empty((people, 0)), np.arange(people) % 6)


def sets_with_the_pathway(seed: int, useless: int = 200) -> GeneSets:
    """The pathway stands first; each useless set has one gene of it at most."""
    rng = np.random.default_rng(seed)
    others = np.setdiff1d(np.arange(N_GENES), PATHWAY)
    idle = [np.sort(np.r_[rng.choice(PATHWAY), rng.choice(others, 5, replace=False)]) for _ in range(useless)]
    return GeneSets(("pathway", *(f"idle{i}" for i in range(useless))), (np.array(PATHWAY), *idle))


def fitted(cohort: Cohort, sets: GeneSets | None) -> DirectPath:
    return fit_direct_path(cohort, None, sets=sets, polygenic=False, threads=1)


def loss(cohort: Cohort, path: DirectPath) -> float:
    return float(np.mean(np.logaddexp(0, path.logit_M) - cohort.is_case_M * path.logit_M))


def test_fit_direct_path__the_set_that_acts_is_found_among_useless_ones():
    cohort, sets = drawn(1, 1.0), sets_with_the_pathway(1)
    path = fitted(cohort, sets)
    weight_S = dict(zip(path.sets.sets.names, path.sets.weights(-1), strict=True))
    assert weight_S.pop("pathway") > 5 * max([0.0, *map(abs, weight_S.values())])
    assert len(weight_S) <= 20
    assert path.facts["sets_gain"] > path.facts["sets_gain_wanted"] == np.log(3000)
    assert loss(cohort, path) < loss(cohort, fitted(cohort, None)) - 0.005


def test_fit_direct_path__no_set_without_interaction():
    chosen = [
        len(fitted(drawn(seed, 0.0, 1500), sets_with_the_pathway(seed)).sets.sets) for seed in range(10)
    ]
    assert sum(n == 0 for n in chosen) >= 9


def test_fit_direct_path__permuted_sets_gain_nothing():
    cohort, sets = drawn(1, 1.0), sets_with_the_pathway(1)
    moved = sets.moved(np.random.default_rng(2).permutation(N_GENES))
    assert not len(fitted(cohort, moved).sets.sets)


def test_fit_direct_path__sets_know_no_label_of_a_validation_person():
    cohort, sets = drawn(4, 1.0), sets_with_the_pathway(4, 20)
    validation = cohort.group_M == cohort.n_groups
    other = replace(cohort, is_case_M=np.where(validation, 1 - cohort.is_case_M, cohort.is_case_M))
    one, two = fitted(cohort, sets), fitted(other, sets)
    of_one, of_two = (
        dict(zip(path.sets.sets.names, path.sets.weight_KS.T[:, :-1], strict=True)) for path in (one, two)
    )
    # Sums may be made in another order, as the fit of all people looks at other sets.
    assert of_one["pathway"] == pytest.approx(of_two["pathway"], rel=1e-9)
    assert one.logit_M[~validation] == pytest.approx(two.logit_M[~validation], rel=1e-9, abs=1e-12)
    assert one.sets.weights(-1).tolist() != two.sets.weights(-1).tolist()


def test_open_without__gates_know_no_label_of_the_group():
    cohort = drawn(5, 1.0, 1200)
    group = cohort.group_M == 2
    other = replace(cohort, is_case_M=np.where(group, 1 - cohort.is_case_M, cohort.is_case_M))
    stack = fit_stack(cohort, cohort.columns, polygenic=False, threads=1)
    one, two = (fit_pairs(each, stack, 1) for each in (cohort, other))
    assert {pair: (one[pair] == two[pair]).all() for pair in one} == {pair: 2 in pair for pair in one}
    weights = {pair: np.array([0.3 + min(pair)]) for pair in one}
    gate = Gate(sets=SetGate(sets_of(PATHWAY), np.full((7, 1), 0.3)), pair_weights=weights)
    opened = [gate.open_without(cohort, stack.effect_KGC, pairs)(2).value_N for pairs in (one, two)]
    assert (opened[0] == opened[1]).all()
    # The group's own gates are those of fit 2, whatever the pairs are.
    of_group = cohort.group_M[cohort.columns.person_N] == 2
    common_N = gate.open(cohort, stack.effect_KGC).value_N
    assert (opened[0][of_group] == common_N[of_group]).all()
    assert (opened[0][~of_group] != common_N[~of_group]).any()


def test_fit_pairs__none_where_too_few_groups_remain():
    cohort = drawn(5, 1.0, 600)
    two = replace(cohort, group_M=np.arange(600) % 3)
    assert fit_pairs(two, fit_stack(two, two.columns, polygenic=False, threads=1), 1) == {}


def test_fit_set_weights__chance_among_many_sets_is_priced():
    rng = np.random.default_rng(6)
    cohort = drawn(6, 0.0, 1200)
    scored = Scored(cohort.columns, rng.normal(size=(7, N_GENES, 1)), cohort.group_M)
    many = GeneSets(
        tuple(map(str, range(300))), tuple(rng.choice(N_GENES, 4, replace=False) for _ in range(300))
    )
    is_case_M = rng.integers(0, 2, 1200).astype(np.int8)
    null = Null.of(is_case_M, np.zeros(1200), rng.normal(size=1200), np.empty((1200, 0)))
    gate = fit_set_weights(scored, many, null, [cohort.unseen(k) for k in range(7)])
    assert (gate.weight_KS != 0).sum(axis=1).max() < 30
