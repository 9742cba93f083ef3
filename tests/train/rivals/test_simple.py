from dataclasses import replace

import numpy as np
import pytest

from tests.train.rivals.cohorts import draw_design
from train.metrics import auroc
from train.rivals.registry import RIVALS
from train.rivals.simple import batch_rival, polygenic_score_rival

NOTHING_GC = np.zeros((10, 3))


@pytest.mark.parametrize(
    ("name", "settings"), [("covariates", {"covariate": 1.5}), ("batch", {"batch": 2.0})]
)
def test_rivals__find_what_they_look_at(name: str, settings: dict[str, float]) -> None:
    training, fresh = (draw_design(800, NOTHING_GC, seed=seed, **settings) for seed in (1, 2))
    assert auroc(fresh.is_case_M, RIVALS[name].fit(training, 0).logit(fresh)) > 0.65


def test_rivals__total_count_sees_a_burden_spread_over_all_genes() -> None:
    effects_GC = np.full((10, 3), 0.8)
    training, fresh = (draw_design(800, effects_GC, seed=seed) for seed in (1, 2))
    assert auroc(fresh.is_case_M, RIVALS["total_count"].fit(training, 0).logit(fresh)) > 0.65


def test_polygenic_score_rival__is_left_out_without_one_and_uses_no_other_covariate() -> None:
    design = draw_design(600, NOTHING_GC, covariate=1.5)
    assert polygenic_score_rival().missing(design) == "no covariate named polygenic_score or prs"
    wrong, right = (replace(design, covariates=names) for names in (("age", "PRS"), ("prs", "age")))
    assert polygenic_score_rival().missing(right) is None
    assert auroc(design.is_case_M, polygenic_score_rival().fit(right, 0).logit(right)) > 0.65
    assert auroc(design.is_case_M, polygenic_score_rival().fit(wrong, 0).logit(wrong)) < 0.6


def test_batch_rival__unseen_batch_counts_as_the_first() -> None:
    design = draw_design(400, NOTHING_GC, batch=2.0)
    fitted = batch_rival().fit(design, 0)
    elsewhere = replace(design, groups=design.groups.assign(batch="C"))
    first = replace(design, groups=design.groups.assign(batch="A"))
    np.testing.assert_array_equal(fitted.logit(elsewhere), fitted.logit(first))
    assert batch_rival().missing(first) == "everybody is of one batch"
