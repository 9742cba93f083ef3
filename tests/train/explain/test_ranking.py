import numpy as np
import pytest
from scipy.stats import spearmanr

from contract.manifest import read_manifest
from train.config import DataConfig
from train.design import Design, read_design
from train.explain.ranking import (
    Refits,
    agree,
    interval,
    linear_attribution,
    rank_genes,
    run_refits,
    stability,
)


@pytest.fixture(scope="module")
def design(dataset: str) -> Design:
    return read_design(DataConfig(dataset=dataset, reader="arrow"), read_manifest(dataset), [0, 1, 2])


def test_rank_genes__inclusion_then_attribution_then_place() -> None:
    inclusion_G = np.array([0.1, 0.9, 0.9, np.nan, 0.1])
    attribution_G = np.array([1.0, 1.0, 2.0, 9.0, 1.0])
    assert rank_genes(inclusion_G, attribution_G).tolist() == [3, 2, 1, 5, 4]
    assert rank_genes(None, attribution_G).tolist() == [3, 4, 2, 1, 5]


def test_linear_attribution__as_dense_arithmetic(design: Design) -> None:
    rng = np.random.default_rng(0)
    effect_CG = rng.normal(size=(4, 60)) * (rng.random(60) < 0.3)
    mean_F = rng.random(240)
    x_MCG = design.x_MF.toarray().reshape(-1, 4, 60) - mean_F.reshape(4, 60)
    wanted = np.abs((x_MCG * effect_CG).sum(axis=1)).mean(axis=0)
    np.testing.assert_allclose(linear_attribution(design, effect_CG, mean_F), wanted, rtol=1e-6)


def test_run_refits__every_fold_with_every_seed(design: Design) -> None:
    asked = []

    def refit(fold: int, seed: int):
        asked.append((fold, seed))
        effect_CG = np.zeros((4, 60))
        effect_CG[0, 5 + seed] = 1.0
        return np.eye(60)[5] * 0.9, effect_CG

    found = run_refits(refit, design, (0, 2), (1, 2), np.zeros(240))
    assert asked == [(0, 1), (0, 2), (2, 1), (2, 2)]
    held_out = design.x_MF[design.fold_M == 2].toarray()
    assert found.attribution_RG[3, 7] == pytest.approx(held_out[:, 7].mean())
    assert found.rank_RG()[:, 5].tolist() == [1, 1, 1, 1]
    assert found.rank_RG()[0, 6] == 2


def test_interval__percentiles_or_unknown() -> None:
    low, high = interval(np.arange(41.0)[:, None])
    assert (low[0], high[0]) == (1.0, 39.0)
    assert np.isnan(interval(np.ones((1, 3)))).all()


def test_stability__share_of_the_top_in_common() -> None:
    rank_RG = np.array([[1, 2, 3, 4], [1, 3, 2, 4], [4, 3, 2, 1]])
    assert stability(rank_RG, (2, 9)) == [
        {"top": 2, "share": pytest.approx((1 + 0 + 1) / 6), "expected": 0.5}
    ]
    refits = Refits(((0, 1),), np.ones((1, 4)), np.ones((1, 1, 4)), np.ones((1, 4)))
    assert stability(refits.rank_RG(), (2,)) == []


def test_agree__spearman_and_tops_over_genes_that_have_both() -> None:
    rank_G = np.arange(1, 9)
    value_G = np.array([5.0, np.nan, 4.0, 1.0, 3.0, 9.0, 2.0, 0.5])
    universe_G = np.arange(8) != 5
    found = agree(rank_G, value_G, universe_G, (2, 100))
    used = [0, 2, 3, 4, 6, 7]
    assert found.genes == 6
    assert found.spearman == pytest.approx(spearmanr(-rank_G[used], value_G[used]).statistic)
    assert [(top.top, top.overlap) for top in found.top] == [(2, 2)]
    assert found.top[0].p == pytest.approx(1 / 15)
    assert agree(rank_G, np.full(8, np.nan), universe_G, (2,)).spearman is None
