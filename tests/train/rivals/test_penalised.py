import numpy as np
import pytest

from contract.errors import InputError
from tests.train.rivals.cohorts import causal_effects, draw_design
from train.metrics import auroc
from train.rivals.penalised import (
    PenalisedRival,
    elastic_net_paths,
    fit_covariates,
    lasso_paths,
    ridge_and_lasso_paths,
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
def test_penalised_rival__inner_folds_choose_between_ridge_and_lasso(n_causal: int, wanted: str) -> None:
    effects_GC = causal_effects(60, n_causal, 5 / np.sqrt(n_causal))
    training, fresh = draw_design(1200, effects_GC, seed=1), draw_design(1000, effects_GC, seed=2)
    fitted = PenalisedRival(ridge_and_lasso_paths).fit(training, 0)
    assert fitted.tuned
    assert fitted.tuned.startswith(wanted)
    assert auroc(fresh.is_case_M, fitted.logit(fresh)) > 0.65


def test_penalised_rival__refuses_inner_folds_of_one_class() -> None:
    training = draw_design(200, np.zeros((10, 3)))
    controls = training.take(training.is_case_M == 0)
    with pytest.raises(InputError, match=r"found 0 cases and \d+ controls in an inner fold, wanted both"):
        PenalisedRival(ridge_paths).fit(controls, 0)
