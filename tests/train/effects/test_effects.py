"""Columns, heads, priors and stacks of empirical Bayes, against exact answers where there are any."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix
from sklearn.linear_model import LogisticRegression

from tests.train.effects.drawn import columns_of, counts
from train.effects.columns import fixed_products, gather_columns, gene_products, weighted_sums
from train.effects.crossfit import fit_direct_path
from train.effects.head import fit_head
from train.effects.neighbours import gate_entries, neighbours_within
from train.effects.prior import fit_inclusion, property_basis
from train.effects.stack import Cohort, left_out_scores
from train.sparse import SparseRows


def test_gather_columns__rows_in_any_order_become_columns():
    rng = np.random.default_rng(0)
    x_MF = csr_matrix(rng.poisson(0.4, (7, 6)).astype(np.float32))
    rows = SparseRows(np.arange(7, dtype=np.int32), x_MF.indptr.astype(np.int64), x_MF.indices, x_MF.data)
    parts = [np.array([4, 1, 6]), np.array([0, 2, 3, 5])]
    columns = gather_columns(lambda: ((part, rows.take(part)) for part in parts), 7, 2, 6)
    sparse = csc_matrix((columns.value_N, columns.person_N, columns.start_F), shape=(7, 6))
    assert (sparse.toarray() == x_MF.toarray()).all()
    assert columns.mean_F() == pytest.approx(x_MF.toarray().mean(axis=0))


def test_products__equal_dense_ones():
    rng = np.random.default_rng(1)
    x_MCG, group_M, fixed_MP = counts(rng, 9, 2, 3), np.arange(9) % 2, rng.normal(size=(9, 4))
    columns = columns_of(x_MCG)
    products_KGCC = gene_products(columns, group_M, 2)
    for k in range(2):
        inside = x_MCG[group_M == k]
        assert products_KGCC[k] == pytest.approx(np.einsum("mcg,mdg->gcd", inside, inside))
    assert fixed_products(columns, fixed_MP) == pytest.approx(np.einsum("mcg,mp->gcp", x_MCG, fixed_MP))
    effect_GC = rng.normal(size=(3, 2))
    assert weighted_sums(columns, effect_GC) == pytest.approx(np.einsum("mcg,gc->m", x_MCG, effect_GC))


def test_fit_head__equals_logistic_regression():
    rng = np.random.default_rng(7)
    z_MP = rng.normal(size=(500, 3)) * [1.0, 100.0, 0.01]
    y_M = (z_MP @ [1.0, 0.005, 30.0] + rng.logistic(size=500) > 0.3).astype(np.int8)
    head = fit_head(z_MP, y_M, np.array([False, False, False]))
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(z_MP / [1, 100, 0.01], y_M)
    assert head.weight_P * [1, 100, 0.01] == pytest.approx(reference.coef_[0], rel=1e-3)
    assert head.intercept == pytest.approx(reference.intercept_[0], abs=1e-3)


def test_fit_head__bounded_weight_and_constant_column():
    rng = np.random.default_rng(8)
    z_M = rng.normal(size=400)
    y_M = (z_M + rng.logistic(size=400) > 0).astype(np.int8)
    head = fit_head(np.column_stack([-z_M, np.ones(400)]), y_M, np.array([True, False]))
    assert head.weight_P.tolist() == [0.0, 0.0]
    assert head.intercept == pytest.approx(np.log(y_M.mean() / (1 - y_M.mean())), abs=1e-4)


def test_neighbours_within__stay_on_their_chromosome():
    near = neighbours_within(("1", "1", "1", "2", "2"), reach=1)
    assert near.low_G.tolist() == [0, 0, 1, 3, 3]
    assert near.high_G.tolist() == [2, 3, 3, 5, 5]


@pytest.mark.parametrize(
    ("contigs", "reach", "order_G"),
    [("11122", 1, None), ("11122", 1, np.array([2, 0, 1, 4, 3])), ("11223", 4, None), ("12345", 1, None)],
)
def test_gate_entries__equal_dense_products(contigs: str, reach: int, order_G: np.ndarray | None):
    rng = np.random.default_rng(9)
    x_MCG, group_M = counts(rng, 12, 2, 5), np.arange(12) % 2
    near = neighbours_within(tuple(contigs), reach, order_G)
    effect_KGC = rng.normal(size=(2, 5, 2))
    columns, product_M = gate_entries(columns_of(x_MCG), effect_KGC, group_M, near, 0.5)
    centred = x_MCG - x_MCG.mean(axis=0)
    h_MG = np.einsum("mcg,mgc->mg", centred, effect_KGC[group_M])
    n_MG = np.zeros_like(h_MG)
    for place, gene in enumerate(near.order_G):
        for other in range(near.low_G[place], near.high_G[place]):
            if other != place:
                n_MG[:, gene] += h_MG[:, near.order_G[other]]
    assert product_M == pytest.approx((h_MG * n_MG).sum(axis=1) / 2)
    gated = csc_matrix((columns.value_N, columns.person_N, columns.start_F), shape=(12, 10)).toarray()
    assert gated.reshape(12, 2, 5) == pytest.approx(x_MCG * (1 + 0.5 * n_MG)[:, None], abs=1e-5)


def test_unseen__what_training_people_are_scored_with_knows_no_validation_person():
    cohort = Cohort(
        columns_of(np.ones((3, 1, 1))), np.array([0, 1, 0], np.int8), np.empty((3, 0)), np.array([0, 1, 2])
    )
    assert [cohort.unseen(k) for k in range(4)] == [(0, 2), (1, 2), (2,), ()]


def test_left_out_scores__each_by_the_fit_without_them():
    x_MCG = np.arange(1.0, 6.0).reshape(5, 1, 1)
    cohort = Cohort(columns_of(x_MCG), np.zeros(5, np.int8), np.empty((5, 0)), np.array([0, 1, 0, 1, 2]))
    effect_KGC = np.array([[[1.0]], [[10.0]], [[100.0]], [[1000.0]]])
    score_M, centre_K = left_out_scores(cohort, cohort.columns, effect_KGC)
    # Without group 0 and the validation person are those with 2 and 4 alleles, without group 1 1 and 3.
    assert centre_K.tolist() == [3.0, 20.0, 250.0, 3000.0]
    assert score_M.tolist() == [1 - 3, 20 - 20, 3 - 3, 40 - 20, 500 - 250]


def test_fit_direct_path__training_scores_know_no_label_of_a_validation_person():
    near = neighbours_within(("1",) * 60, 5)
    cohort = planted(np.random.default_rng(14), 3.0)
    validation = cohort.group_M == cohort.n_groups
    other = replace(cohort, is_case_M=np.where(validation, 1 - cohort.is_case_M, cohort.is_case_M))
    one, two = fit_direct_path(cohort, near), fit_direct_path(other, near)
    assert one.gate == two.gate > 0
    assert (one.relevance_G == two.relevance_G).all()
    for effects in ("scout_KGC", "reader_KGC"):
        assert (getattr(one, effects)[:-1] == getattr(two, effects)[:-1]).all()
        assert (getattr(one, effects)[-1] != getattr(two, effects)[-1]).any()
    assert (one.logit_M[~validation] == two.logit_M[~validation]).all()


def planted(rng: np.random.Generator, product: float) -> Cohort:
    """2,000 people, 60 genes; two neighbours act, and more so together."""
    x_MCG = counts(rng, 2000, 1, 60)
    score_M = x_MCG[:, 0, 20] + x_MCG[:, 0, 22] + product * x_MCG[:, 0, 20] * x_MCG[:, 0, 22]
    liability = score_M + rng.normal(0, 1, 2000)
    is_case_M = (liability > np.median(liability)).astype(np.int8)
    return Cohort(columns_of(x_MCG), is_case_M, np.empty((2000, 0)), np.arange(2000) % 5)


def test_fit_direct_path__products_of_neighbours_only_where_there_are_any():
    near = neighbours_within(("1",) * 60, 5)
    alone = fit_direct_path(planted(np.random.default_rng(10), 0.0), near)
    assert alone.gate == 0
    together = planted(np.random.default_rng(10), 3.0)
    path = fit_direct_path(together, near)
    without = fit_direct_path(together, None)
    assert path.gate > 0
    loss = [np.mean(np.logaddexp(0, p.logit_M) - together.is_case_M * p.logit_M) for p in (path, without)]
    assert loss[0] < loss[1] - 0.002


def test_fit_direct_path__same_input_same_effects():
    near = neighbours_within(("1",) * 60, 5)
    one, two = (fit_direct_path(planted(np.random.default_rng(11), 0.0), near, threads=n) for n in (1, 2))
    assert (one.reader_KGC == two.reader_KGC).all()
    assert (one.logit_M == two.logit_M).all()


def test_fit_direct_path__left_out_scores_do_not_know_their_labels():
    # No effect at all: labels are noise, so that scores of people who were left out must not follow them.
    rng = np.random.default_rng(12)
    cohort = Cohort(
        columns_of(counts(rng, 1500, 2, 80)),
        rng.integers(0, 2, 1500).astype(np.int8),
        np.empty((1500, 0)),
        np.arange(1500) % 5,
    )
    path = fit_direct_path(cohort, None)
    y = cohort.is_case_M
    effect_GC = path.reader_KGC[-1]
    own = weighted_sums(cohort.columns, effect_GC)
    gap = path.gene_logit_M[y == 1].mean() - path.gene_logit_M[y == 0].mean()
    own_gap = own[y == 1].mean() - own[y == 0].mean()
    deviation = path.gene_logit_M.std() * np.sqrt(4 / 1500)
    assert gap < 3 * deviation + 1e-9
    assert own_gap >= gap


def test_property_basis__missing_values_have_a_column_of_their_own():
    properties = pd.DataFrame({"loeuf": [0.1, 0.5, np.nan, 1.5, 0.9], "constant": 1.0})
    basis_GD = property_basis(properties)
    assert (basis_GD[:, 0] == 1).all()
    assert (basis_GD[2, 1:-1] == 0).all()
    assert basis_GD[:, -1].tolist() == [0, 0, 1, 0, 0]
    again = property_basis(properties.assign(loeuf=properties["loeuf"] ** 3))
    assert again == pytest.approx(basis_GD)


def test_fit_inclusion__follows_the_property():
    rng = np.random.default_rng(13)
    loeuf = rng.random(2000)
    inclusion_G = np.where(loeuf < 0.2, 0.3, 0.01)
    basis_GD = property_basis(pd.DataFrame({"loeuf": loeuf}))
    prior_G, weight_D = fit_inclusion(inclusion_G, basis_GD, np.zeros(basis_GD.shape[1]))
    assert prior_G.sum() == pytest.approx(inclusion_G.sum(), rel=1e-3)
    assert prior_G[loeuf < 0.1].mean() > 10 * prior_G[loeuf > 0.4].mean()
    assert len(weight_D) == basis_GD.shape[1]
