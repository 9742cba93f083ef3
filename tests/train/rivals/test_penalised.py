from dataclasses import replace

import numpy as np
import pytest

from contract.errors import InputError
from tests.train.rivals.cohorts import causal_effects, draw_design
from train.metrics import auroc
from train.rivals.penalised import (
    PenalisedRival,
    elastic_net_paths,
    fit_covariates,
    fit_logistic_baseline,
    lasso_paths,
    ridge_paths,
)

PATHS = {"ridge": ridge_paths, "lasso": lasso_paths, "elastic net": elastic_net_paths}


@pytest.mark.parametrize("name", PATHS)
def test_penalised_rival__finds_planted_effects(name: str) -> None:
    effects_GC = causal_effects(40, 4, 2.0)
    training, fresh = draw_design(600, effects_GC, seed=1), draw_design(1000, effects_GC, seed=2)
    fitted = PenalisedRival(PATHS[name]).fit(training, 0)
    assert fitted.tuned
    assert fitted.tuned.startswith(name)
    assert auroc(fresh.is_case_M, fitted.logit(fresh)) > 0.65


def test_penalised_rival__strong_covariate_beside_useless_genes_keeps_its_coefficient() -> None:
    training = draw_design(1500, np.zeros((40, 3)), seed=3, covariate=1.5)
    fitted = PenalisedRival(ridge_paths).fit(training, 0)
    alone = fit_covariates(training)
    assert fitted.unpenalised_P[1] > 0.9 * alone.unpenalised_P[1] > 1.0


@pytest.mark.parametrize(("n_causal", "wanted"), [(1, "lasso"), (60, "ridge")])
def test_fit_logistic_baseline__validation_people_choose_the_penalty(n_causal: int, wanted: str) -> None:
    effects_GC = causal_effects(60, n_causal, 5 / np.sqrt(n_causal))
    training, validation, fresh = (draw_design(n, effects_GC, seed=n) for n in (501, 1500, 1001))
    fitted = fit_logistic_baseline(training, validation)
    assert fitted.tuned
    assert fitted.tuned.startswith(wanted)
    assert auroc(fresh.is_case_M, fitted.logit(fresh)) > 0.65


def test_fit_logistic_baseline__validation_people_choose_the_penalty_and_nothing_else() -> None:
    effects_GC = causal_effects(20, 3, 1.0)
    training, validation = draw_design(400, effects_GC, seed=1), draw_design(200, effects_GC, seed=2)
    first = fit_logistic_baseline(training, validation, [lambda problem: [_only(ridge_paths(problem)[0])]])
    flipped = replace(validation, is_case_M=(1 - validation.is_case_M).astype(np.int8))
    other = fit_logistic_baseline(training, flipped, [lambda problem: [_only(ridge_paths(problem)[0])]])
    np.testing.assert_array_equal(first.coefficient_F, other.coefficient_F)


def _only(path):
    return replace(path, penalties=path.penalties[3:4], names=path.names[3:4])


def test_fit_logistic_baseline__refuses_a_fold_of_one_class() -> None:
    training = draw_design(200, np.zeros((10, 3)))
    controls = training.take(training.is_case_M == 0)
    with pytest.raises(
        InputError, match=r"found 0 cases and \d+ controls in the validation folds, wanted both"
    ):
        fit_logistic_baseline(training, controls)
