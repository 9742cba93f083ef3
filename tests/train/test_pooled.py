import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from train.pooled import (
    FoldScores,
    Pooled,
    draw_families,
    mean_over_seeds,
    pooled_auroc,
    pooled_average_precision,
)


def draw_fold(n: int, seed: int, shift: float = 0.0) -> FoldScores:
    rng = np.random.default_rng(seed)
    is_case_N = (rng.random(n) < 0.4).astype(np.int8)
    return FoldScores(is_case_N, np.round(rng.normal(is_case_N) + shift, 1))


def test_pooled_metrics__one_fold_is_what_scikit_learn_says_draw_by_draw() -> None:
    fold = draw_fold(150, 1)
    weights = draw_families([np.arange(150, dtype=np.int32) // 2], 5, 0)
    for metric, reference in (
        (pooled_auroc, roc_auc_score),
        (pooled_average_precision, average_precision_score),
    ):
        found = metric([fold], weights)
        assert found.estimate == pytest.approx(reference(fold.is_case_N, fold.score_N))
        wanted = [
            reference(fold.is_case_N, fold.score_N, sample_weight=weight_N) for weight_N in weights[0][1:]
        ]
        np.testing.assert_allclose(found.value_D, wanted, rtol=1e-6)


def test_pooled_auroc__only_pairs_within_a_fold_count() -> None:
    one, other = FoldScores(np.array([1, 0], np.int8), np.array([2.0, 1.0])), draw_fold(50, 2)
    for shift in (0.0, 100.0):  # a scale of its own changes nothing
        moved = FoldScores(other.is_case_N, 3 * other.score_N + shift)
        found = pooled_auroc([one, moved], [np.ones((2, 2)), np.ones((2, 50))])
        pairs = other.is_case_N.sum() * (50 - other.is_case_N.sum())
        won = roc_auc_score(other.is_case_N, other.score_N) * pairs
        assert found.estimate == pytest.approx((won + 1) / (pairs + 1))


def test_pooled_auroc__no_bias_where_intercepts_follow_the_other_folds() -> None:
    # Scores that are only the share of cases in the other folds: ranked together they look worse than chance.
    rng = np.random.default_rng(0)
    together, within = [], []
    for _ in range(200):
        labels = [(rng.random(12) < 0.5).astype(np.int8) for _ in range(5)]
        total = sum(label.sum() for label in labels)
        folds = [FoldScores(label, np.full(12, (total - label.sum()) / 48)) for label in labels]
        if any(0 < label.sum() < 12 for label in labels):
            within.append(pooled_auroc(folds, [np.ones((2, 12))] * 5).estimate)
            together.append(
                roc_auc_score(np.concatenate(labels), np.concatenate([fold.score_N for fold in folds]))
            )
    assert np.mean(together) < 0.45
    assert np.mean(within) == 0.5


def test_draw_families__relatives_together_and_as_many_families_as_there_are() -> None:
    family_N = np.array([7, 7, 7, 9, 11, 11], np.int32)
    (weight_DN,) = draw_families([family_N], 50, 3)
    assert weight_DN.shape == (51, 6)
    assert (weight_DN[0] == 1).all()
    assert (weight_DN[:, 0] == weight_DN[:, 1]).all()
    assert (weight_DN[:, 4] == weight_DN[:, 5]).all()
    assert (weight_DN[:, 0] + weight_DN[:, 3] + weight_DN[:, 4] == 3).all()
    assert (weight_DN == draw_families([family_N], 50, 3)[0]).all()


def test_pooled__difference_is_paired_and_its_interval_narrower() -> None:
    rng = np.random.default_rng(1)
    fold = draw_fold(400, 1)
    near = FoldScores(fold.is_case_N, fold.score_N + 0.01 * rng.normal(size=400))
    weights = draw_families([np.arange(400, dtype=np.int32)], 200, 0)
    one, other = pooled_auroc([fold], weights), pooled_auroc([near], weights)
    difference, alone = (one - other).interval(), one.interval()
    assert difference["high"] - difference["low"] < 0.1 * (alone["high"] - alone["low"])


def test_pooled__interval_is_moved_onto_the_estimate() -> None:
    found = Pooled(0.5, np.linspace(0.7, 0.9, 1001)).interval()
    assert found["low"] == pytest.approx(0.405, abs=1e-3)
    assert found["high"] == pytest.approx(0.595, abs=1e-3)


def test_mean_over_seeds__draw_by_draw() -> None:
    found = mean_over_seeds([Pooled(0.6, np.array([0.5, 0.7])), Pooled(0.8, np.array([0.9, 0.7]))])
    assert found.estimate == pytest.approx(0.7)
    np.testing.assert_allclose(found.value_D, [0.7, 0.7])
