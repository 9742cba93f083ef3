import numpy as np
import pytest
from scipy.sparse import csr_matrix

from train.baseline import fit_baseline, make_regression, sparse_matrix
from train.metrics import auroc
from train.sparse import SparseRows


def test_sparse_matrix__people_in_order():
    parts = [
        SparseRows(
            np.array([4, 1], np.int32),
            np.array([0, 1, 3]),
            np.array([2, 0, 1], np.int32),
            np.array([5, 6, 7.0]),
        ),
        SparseRows(np.array([2], np.int32), np.array([0, 0]), np.array([], np.int32), np.array([])),
    ]
    sample_M, x_MF = sparse_matrix(iter(parts), 3)
    assert sample_M.tolist() == [1, 2, 4]
    assert x_MF.toarray().tolist() == [[6, 7, 0], [0, 0, 0], [0, 0, 5]]


def draw(n: int, seed: int, n_causal: int) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 100))
    y = (x[:, :n_causal].sum(axis=1) / np.sqrt(n_causal) * 2 + rng.normal(size=n) > 0).astype(np.int8)
    return csr_matrix(x), y


@pytest.mark.parametrize(("n_causal", "penalty"), [(1, "lasso"), (100, "ridge")])
def test_fit_baseline__validation_people_choose_the_penalty(n_causal: int, penalty: str):
    baseline = fit_baseline(draw(200, 1, n_causal), draw(1000, 2, n_causal))
    assert baseline.penalty.startswith(penalty)
    x, y = draw(1000, 3, n_causal)
    assert auroc(y, baseline.probability(x)) > 0.75


def test_make_regression__intercept_takes_up_the_means():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), rng.integers(0, 2, 300)
    for penalty in ("ridge", "lasso"):
        near, far = (
            make_regression(penalty, 0.1).fit(x + shift, y).predict_proba(x + shift) for shift in (0, 5)
        )
        np.testing.assert_allclose(near, far, atol=0.01)
