import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from train.audit.auroc import cross, levels, stratified_auroc
from train.audit.fitting import out_of_fold


def people(n: int = 400, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    return positive, np.round(rng.normal(size=n) + 0.4 * positive, 1), rng.integers(0, 3, n)


def test_stratified_auroc__one_stratum_is_the_auroc():
    positive, score, _ = people()
    found = stratified_auroc(positive, score, np.zeros(400), np.arange(400))
    assert found.estimate == pytest.approx(roc_auc_score(positive, score))
    assert found.n_pairs == positive.sum() * (~positive).sum()
    statistic = mannwhitneyu(score[positive], score[~positive]).statistic
    assert found.estimate == pytest.approx(statistic / found.n_pairs)


def test_stratified_auroc__pairs_of_each_stratum_weigh_alike():
    positive, score, stratum = people()
    found = stratified_auroc(positive, score, stratum, np.arange(400))
    weights = [(positive & (stratum == s)).sum() * (~positive & (stratum == s)).sum() for s in range(3)]
    aurocs = [roc_auc_score(positive[stratum == s], score[stratum == s]) for s in range(3)]
    assert found.estimate == pytest.approx(np.average(aurocs, weights=weights))


def test_stratified_auroc__error_is_that_of_repeated_draws():
    found = [stratified_auroc(*people(seed=seed), np.arange(400)) for seed in range(400)]
    spread = np.std([each.estimate for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.1)
    assert np.mean([each.low < np.mean([e.estimate for e in found]) < each.high for each in found]) > 0.92


def test_stratified_auroc__families_that_are_copies_count_once():
    positive, score, stratum = people()
    alone = stratified_auroc(positive, score, stratum, np.arange(400))
    twice = stratified_auroc(*(np.tile(a, 2) for a in (positive, score, stratum)), np.tile(np.arange(400), 2))
    assert twice.error == pytest.approx(alone.error, rel=0.02)


def test_stratified_auroc__without_a_pair():
    found = stratified_auroc(np.array([1, 0]), np.array([0.1, 0.2]), np.array([0, 1]), np.arange(2))
    assert (found.estimate, found.n_pairs, found.deviate()) == (0.5, 0, 0.0)


def test_cross_validated__error_of_a_prediction_out_of_fold_where_there_is_no_effect():
    rng = np.random.default_rng(1)
    family = np.arange(300)
    deviates = []
    for _ in range(150):
        is_case, x = rng.random(300) < 0.5, rng.normal(size=(300, 3))
        score = out_of_fold(x, is_case, family % 9)
        deviates.append(stratified_auroc(is_case, score, family % 9, family).cross_validated().deviate())
    assert np.std(deviates) == pytest.approx(1, abs=0.2)


def test_measure__difference_of_the_same_score_is_nothing():
    positive, score, stratum = people()
    one = stratified_auroc(positive, score, stratum, np.arange(400))
    difference = one.minus(one)
    assert (difference.estimate, difference.error, difference.deviate(0.0)) == (0.0, 0.0, 0.0)


def test_cross__a_label_for_each_combination():
    assert cross(np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "a"])).tolist() == [0, 1, 2, 2]


def test_levels__values_where_few_and_bins_where_many():
    folds = np.zeros(100, int)
    assert len(np.unique(levels(np.arange(100) % 2, folds))) == 2
    bins = levels(np.arange(100.0), folds)
    assert np.bincount(bins).tolist() == [20] * 5
    assert (np.diff(bins) >= 0).all()
