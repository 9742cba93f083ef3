"""Rivals that know no single genes: covariates, batch, totals, a polygenic score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train.design import Design
from train.rivals.logistic import fit_unpenalised
from train.rivals.protocol import CovariateScale, Values, mean_and_factor, scale_covariates

POLYGENIC_SCORE = ("polygenic_score", "prs")
"""Names of a covariate that is a polygenic score."""

Columns = Callable[[Design], Values]


@dataclass(frozen=True)
class ColumnsFit:
    """Logistic regression on a few columns, standardised as in the people it was fitted on."""

    columns: Columns
    standard: CovariateScale
    unpenalised_P: Values
    tuned: str | None = None

    def logit(self, design: Design) -> Values:
        """Log odds of M people."""
        return np.asarray(_standardised(self.columns(design), self.standard) @ self.unpenalised_P)


@dataclass(frozen=True)
class ColumnsRival:
    """Logistic regression without penalty on columns that are made of people once levels are known."""

    make: Callable[[Design], Columns]
    lacks: Callable[[Design], str | None]
    seeded: bool = False

    def missing(self, design: Design) -> str | None:
        """Why there are no columns to fit on."""
        return self.lacks(design)

    def fit(self, design: Design, seed: int) -> ColumnsFit:
        """Fit on everybody in the design."""
        columns = self.make(design)
        values_MP = columns(design)
        standard = CovariateScale(*mean_and_factor(values_MP))
        fit = fit_unpenalised(_standardised(values_MP, standard), design.is_case_M)
        return ColumnsFit(columns, standard, fit.unpenalised_P)


def covariates_rival() -> ColumnsRival:
    """The covariates that the network is given too."""
    return ColumnsRival(
        lambda design: lambda people: people.covariates_MP.astype(np.float64),
        lambda design: None if design.covariates else "the model is given no covariates",
    )


def batch_rival() -> ColumnsRival:
    """One column per batch but the first; people of a batch not seen in the fit count as of the first."""

    def make(design: Design) -> Columns:
        levels = sorted(design.groups["batch"].unique())[1:]
        return lambda people: np.column_stack(
            [np.zeros(len(people)), *(people.groups["batch"].to_numpy() == level for level in levels)]
        ).astype(np.float64)

    return ColumnsRival(
        make, lambda design: None if design.groups["batch"].nunique() > 1 else "everybody is of one batch"
    )


def total_count_rival() -> ColumnsRival:
    """Alleles of each channel, summed over genes."""
    return ColumnsRival(lambda design: lambda people: people.channel_totals_MC(), lambda design: None)


def polygenic_score_rival() -> ColumnsRival:
    """The covariate that is a polygenic score."""

    def make(design: Design) -> Columns:
        at = [name.lower() in POLYGENIC_SCORE for name in design.covariates].index(True)
        return lambda people: people.covariates_MP[:, [at]].astype(np.float64)

    def lacks(design: Design) -> str | None:
        if any(name.lower() in POLYGENIC_SCORE for name in design.covariates):
            return None
        return f"no covariate named {' or '.join(POLYGENIC_SCORE)}"

    return ColumnsRival(make, lacks)


def covariate_logit(design: Design) -> tuple[CovariateScale, Values]:
    """Scale and coefficients of the covariates alone: what gene models start from."""
    standard = scale_covariates(design)
    return standard, fit_unpenalised(standard.columns(design), design.is_case_M).unpenalised_P


def _standardised(values_MP: Values, standard: CovariateScale) -> Values:
    scaled_MP = (values_MP - standard.mean_P) * standard.factor_P
    return np.hstack([np.ones((len(values_MP), 1)), scaled_MP])
