"""Gradient-boosted trees on the most associated features, channel totals and covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from train.design import Design
from train.rivals.inner import inner_parts
from train.rivals.logistic import log_loss_sum
from train.rivals.protocol import Values
from train.rivals.simple import covariate_logit

N_FEATURES = 200
"""Gene features that trees see. Trees need dense columns, and thousands of them take minutes."""
MAX_TREES = 300


@dataclass(frozen=True)
class TreesFit:
    """Fitted trees and the features that they see."""

    model: HistGradientBoostingClassifier
    chosen: NDArray[np.int64]
    tuned: str | None

    def logit(self, design: Design) -> Values:
        """Log odds of M people."""
        return np.asarray(self.model.decision_function(_columns(design, self.chosen)), dtype=np.float64)


@dataclass(frozen=True)
class TreesRival:
    """Number of trees chosen on one inner part; features are chosen anew from the people of each fit."""

    seeded: bool = True

    def missing(self, design: Design) -> str | None:
        """Every dataset serves."""
        return None

    def fit(self, design: Design, seed: int) -> TreesFit:
        """Choose the number of trees, then fit on everybody."""
        held_M = inner_parts(design)[0]
        inside, outside = design.take(~held_M), design.take(held_M)
        chosen = most_associated(inside, N_FEATURES)
        trial = _model(MAX_TREES, seed).fit(_columns(inside, chosen), inside.is_case_M)
        stages = trial.staged_predict_proba(_columns(outside, chosen))
        losses = [_loss(outside.is_case_M, probability_M2[:, 1]) for probability_M2 in stages]
        n_trees = int(np.argmin(losses)) + 1
        chosen = most_associated(design, N_FEATURES)
        model = _model(n_trees, seed).fit(_columns(design, chosen), design.is_case_M)
        return TreesFit(model, chosen, f"{n_trees} trees on {len(chosen)} features")


def most_associated(design: Design, n: int) -> NDArray[np.int64]:
    """Features with the largest score statistic for status given the covariates, in the order of the axis.

    Squared sum of residuals over its variance under no effect, the residuals of the covariates' own fit.
    """
    standard, unpenalised_P = covariate_logit(design)
    expected_M = expit(standard.columns(design) @ unpenalised_P)
    weight_M = expected_M * (1 - expected_M)
    score_F = design.x_MF.T @ (design.is_case_M - expected_M)
    mean_F = (design.x_MF.T @ weight_M) / weight_M.sum()
    variance_F = design.x_MF.power(2).T @ weight_M - mean_F**2 * weight_M.sum()
    statistic_F = np.divide(score_F**2, variance_F, out=np.zeros_like(score_F), where=variance_F > 1e-9)
    chosen = np.argsort(-statistic_F, kind="stable")[:n]
    return np.sort(chosen[statistic_F[chosen] > 0])


def _model(n_trees: int, seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=n_trees,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        max_features=0.3,
        early_stopping=False,  # its own split would part families
        random_state=seed,
    )


def _columns(design: Design, chosen: NDArray[np.int64]) -> Values:
    return np.hstack([design.x_MF[:, chosen].toarray(), design.channel_totals_MC(), design.covariates_MP])


def _loss(is_case_M: NDArray[np.int8], probability_M: Values) -> float:
    clipped_M = np.clip(probability_M, 1e-9, 1 - 1e-9)
    return log_loss_sum(is_case_M, np.log(clipped_M / (1 - clipped_M)))
