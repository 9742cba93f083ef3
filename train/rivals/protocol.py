"""What a rival of the network is: something that is fitted on people in memory and scores others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from train.design import Design

Values = NDArray[np.float64]


class Fitted(Protocol):
    """A fitted rival."""

    @property
    def tuned(self) -> str | None:
        """What was chosen on inner folds, in words; None where nothing is."""

    def logit(self, design: Design) -> Values:
        """Log odds of being a case for M people, on this fit's own scale."""


class Rival(Protocol):
    """A way to fit; `seeded` says whether the seed makes a difference."""

    @property
    def seeded(self) -> bool:
        """Whether another seed gives another fit."""

    def missing(self, design: Design) -> str | None:
        """Why this dataset does not serve, in words; None where it does."""

    def fit(self, design: Design, seed: int) -> Fitted:
        """Fit on everybody in the design; what is tuned is tuned on its folds."""


@dataclass(frozen=True)
class LinearFit:
    """Logit = features · coefficients + columns without penalty · theirs."""

    standard: CovariateScale
    coefficient_F: Values
    unpenalised_P: Values
    tuned: str | None = None

    def logit(self, design: Design) -> Values:
        """Log odds of M people."""
        genes_M = design.x_MF @ self.coefficient_F
        return np.asarray(genes_M + self.standard.columns(design) @ self.unpenalised_P, dtype=np.float64)


@dataclass(frozen=True)
class CovariateScale:
    """Means and deviations of the covariates of the people that a rival is fitted on."""

    mean_P: Values
    factor_P: Values

    def columns(self, design: Design) -> Values:
        """Intercept and scaled covariates of M people, as the network has them."""
        scaled_MP = (design.covariates_MP - self.mean_P) * self.factor_P
        return np.hstack([np.ones((len(design), 1)), scaled_MP])


def scale_covariates(design: Design) -> CovariateScale:
    """Means and standard deviations; a covariate that never varies gets a factor of 0."""
    return CovariateScale(*mean_and_factor(design.covariates_MP.astype(np.float64)))


def mean_and_factor(values_MP: Values) -> tuple[Values, Values]:
    """Mean and inverse standard deviation (population form) of columns; 0 for those that never vary."""
    deviation_P = values_MP.std(axis=0)
    safe_P = np.where(deviation_P > 1e-9, deviation_P, 1.0)
    return values_MP.mean(axis=0), np.where(deviation_P > 1e-9, 1 / safe_P, 0.0)


def channel_factors(design: Design) -> Values:
    """Inverse root of a channel's mean variance for each feature, 0 for features that never vary.

    The scale of `data.scaling=channel`: rare features stay small. See `train.scaling.fit_scaler`.
    """
    x_MF, n = design.x_MF, len(design)
    # Not the matrix's own mean, which adds up in single precision.
    mean_F = np.bincount(x_MF.indices, x_MF.data, x_MF.shape[1]) / n
    variance_F = np.bincount(x_MF.indices, x_MF.data.astype(np.float64) ** 2, x_MF.shape[1]) / n - mean_F**2
    variance_F[variance_F < 1e-9] = 0.0
    pooled_C = variance_F.reshape(len(design.channels), -1).mean(axis=1)
    pooled_F = np.repeat(pooled_C, design.n_genes)
    return np.where(variance_F > 0, 1 / np.sqrt(np.where(pooled_F > 0, pooled_F, 1.0)), 0.0)
