"""A score with what ancestry tells of it taken out: its mean and its spread along the components."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import GammaRegressor, LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from train.metrics import Values

COMPONENT = re.compile(r"pc\d+")  # the names of ancestry components among a dataset's covariates
PEOPLE_PER_TERM = 10  # fewer people for each term of a regression overfit it (Harrell 2015, section 4.4)


@dataclass(frozen=True)
class Adjustment:
    """Regressions of a score's mean and variance on K ancestry components."""

    mean: Pipeline
    variance: Pipeline
    variances: tuple[float, float]

    def adjust(self, score_M: Values, components_MK: Values) -> Values:
        """(S - E[S | components]) / √Var[S | components]; people need not be those it was fitted on."""
        # Beyond the people it was fitted on, a regression would give any variance.
        variance_M = np.clip(self.variance.predict(components_MK), *self.variances)
        adjusted_M: Values = (score_M - self.mean.predict(components_MK)) / np.sqrt(variance_M)
        return adjusted_M


def component_columns(covariates: Sequence[str]) -> list[int]:
    """Positions of the ancestry components among covariates."""
    return [position for position, name in enumerate(covariates) if COMPONENT.fullmatch(name)]


def can_adjust(n_people: int, n_components: int) -> bool:
    """Whether there are enough people for the regressions."""
    return n_components > 0 and n_people >= PEOPLE_PER_TERM * (n_components + 1)


def fit_adjustment(score_M: Values, components_MK: Values) -> Adjustment:
    """Regress a score on ancestry components, and its squared residuals on them (Khan et al. 2022).

    Status is not looked at. The mean is linear; the logarithm of the variance is linear, by a gamma
    regression, so that no variance falls below 0.

    Parameters
    ----------
    score_M
        Not limited to between 0 and 1: a logit.
    components_MK
        People × components, at least one, none missing.
    """
    mean = make_pipeline(StandardScaler(), LinearRegression()).fit(components_MK, score_M)
    square_M = (score_M - mean.predict(components_MK)) ** 2
    square_M = np.maximum(square_M, 1e-6 * max(float(square_M.mean()), 1e-12))
    gamma = GammaRegressor(alpha=0.0, solver="newton-cholesky", max_iter=1000)
    variance = make_pipeline(StandardScaler(), gamma).fit(components_MK, square_M)
    fitted_M = variance.predict(components_MK)
    return Adjustment(mean, variance, (float(fitted_M.min()), float(fitted_M.max())))
