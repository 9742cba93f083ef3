"""Logistic regression on a handful of columns: from gene effects to the logit of being a case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from train.effects.prior import Floats


@dataclass(frozen=True)
class Head:
    """Logit = intercept + weight_P · columns; `log_loss` is the mean over the people fitted on."""

    intercept: float
    weight_P: Floats
    log_loss: float
    n_people: int

    @property
    def deviance(self) -> float:
        """Twice the negative log-likelihood."""
        return 2 * self.log_loss * self.n_people


def fit_head(column_MP: Floats, is_case_M: NDArray[np.int8], not_negative_P: NDArray[np.bool_]) -> Head:
    """Maximum likelihood; some weights may be held at zero or above.

    A column of scores of a model that found something can't have a negative weight: people whom it calls
    likely would be unlikely cases. Such a weight is noise, and 0 switches the column off.

    Parameters
    ----------
    column_MP
        Columns, on any scale; a column that does not vary gets the weight 0.
    is_case_M
        1 or 0.
    not_negative_P
        Which weights are bounded.
    """
    mean_P, scale_P = column_MP.mean(axis=0), column_MP.std(axis=0)
    used_P = scale_P > 1e-12
    scaled_MP = np.where(used_P, (column_MP - mean_P) / np.where(used_P, scale_P, 1.0), 0.0)
    design_MP = np.column_stack([np.ones(len(is_case_M)), scaled_MP])
    share = np.clip(is_case_M.mean(), 1e-6, 1 - 1e-6)
    begin_P = np.zeros(design_MP.shape[1])
    begin_P[0] = np.log(share / (1 - share))

    def loss(weights: Floats) -> tuple[float, Floats]:
        logit_M = design_MP @ weights
        value = np.logaddexp(0, logit_M).mean() - is_case_M @ logit_M / len(is_case_M)
        # A whisper of a ridge: a column that splits the classes perfectly has no finite weight.
        value += 5e-7 * weights[1:] @ weights[1:]
        slope = design_MP.T @ (expit(logit_M) - is_case_M) / len(is_case_M)
        slope[1:] += 1e-6 * weights[1:]
        return float(value), slope

    bounds = [(None, None), *((0.0, None) if held else (None, None) for held in not_negative_P)]
    fitted = minimize(
        loss, begin_P, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-13}
    )
    weight_P = np.where(used_P, fitted.x[1:] / np.where(used_P, scale_P, 1.0), 0.0)
    return Head(float(fitted.x[0] - weight_P @ mean_P), weight_P, float(fitted.fun), len(is_case_M))
