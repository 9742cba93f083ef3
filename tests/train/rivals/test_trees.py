from dataclasses import replace

import numpy as np
import pytest

from tests.train.rivals.cohorts import causal_effects, draw_design
from train.metrics import auroc
from train.rivals.trees import TreesRival, most_associated


def test_most_associated__planted_features_first_and_never_what_does_not_vary() -> None:
    design = draw_design(1500, causal_effects(30, 3, 3.0, (1.0, 0.0, 0.0)), seed=1)
    x_MF = design.x_MF.tolil()
    x_MF[:, 29] = 0
    chosen = most_associated(replace(design, x_MF=x_MF.tocsr()), 3)
    assert chosen.tolist() == [0, 1, 2]
    assert 29 not in most_associated(replace(design, x_MF=x_MF.tocsr()), 1000)


@pytest.mark.slow
def test_trees_rival__find_planted_effects_and_a_seed_repeats_them() -> None:
    effects_GC = causal_effects(20, 3, 2.5)
    training, fresh = draw_design(600, effects_GC, seed=1), draw_design(800, effects_GC, seed=2)
    fitted, again = TreesRival().fit(training, 3), TreesRival().fit(training, 3)
    assert auroc(fresh.is_case_M, fitted.logit(fresh)) > 0.6
    np.testing.assert_array_equal(fitted.logit(fresh), again.logit(fresh))
