import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deploy.evidence.judging import Estimate, auroc, auroc_difference, pooled, precision_at_planted


def people(n: int, seed: int, rival: float = 0.5):
    rng = np.random.default_rng(seed)
    is_case = (rng.random(n) < 0.4).astype(np.int8)
    return is_case, is_case + rng.normal(size=n), rival * is_case + rng.normal(size=n)


def test_auroc__is_that_of_scikit_learn_with_ties():
    is_case, score, _ = people(300, 1)
    assert auroc(is_case, np.round(score)).value == pytest.approx(roc_auc_score(is_case, np.round(score)))


def test_auroc__error_is_the_spread_over_cohorts():
    found = [auroc(*people(400, seed)[:2]) for seed in range(300)]
    spread = np.std([estimate.value for estimate in found])
    assert np.mean([estimate.error for estimate in found]) == pytest.approx(spread, rel=0.12)


def test_auroc_difference__is_paired():
    is_case, score, _ = people(400, 2)
    near = score + np.random.default_rng(3).normal(scale=0.05, size=400)
    assert auroc_difference(is_case, score, score).error == 0
    assert auroc_difference(is_case, score, near).error < auroc(is_case, score).error / 5


def test_auroc_difference__error_is_the_spread_over_cohorts():
    found = [auroc_difference(*people(400, seed)) for seed in range(300)]
    spread = np.std([estimate.value for estimate in found])
    assert np.mean([estimate.error for estimate in found]) == pytest.approx(spread, rel=0.12)


def test_pooled__counts_judges_and_cohorts():
    alike = pooled([Estimate(0.7, 0.03)] * 4)
    assert (alike.value, alike.error) == (pytest.approx(0.7), pytest.approx(0.015))
    unlike = pooled([Estimate(0.6, 0.001), Estimate(0.8, 0.001)])
    assert unlike.error == pytest.approx(0.1)


def test_precision_at_planted__share_of_the_top():
    assert precision_at_planted(np.array([0.1, 0.9, 0.8, 0.0]), np.array([1, 3])) == 0.5
    assert precision_at_planted(np.array([0.1, 0.9]), np.array([0, 1])) is None
