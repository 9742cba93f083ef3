"""Simple models fitted out of fold: what a variable, or the features, tell without the network."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Values = NDArray[np.float64]

N_GROUPS = 5
"""Groups of folds that are predicted in turn: families lie in one fold, hence in one group."""
COVARIATE_REACH = 10.0
"""Prior deviation of a standardised covariate's log odds: next to no penalty."""


def fold_groups(fold_M: NDArray[Any]) -> NDArray[np.int64]:
    """At most `N_GROUPS` groups of whole folds."""
    _, place_M = np.unique(fold_M, return_inverse=True)
    return np.asarray(place_M % N_GROUPS, dtype=np.int64)


def standardised(x_MP: NDArray[Any]) -> Values:
    """Columns with mean 0 and deviation 1; a constant column becomes 0, a missing value the mean."""
    x_MP = np.asarray(x_MP, np.float64).reshape(len(x_MP), -1)
    x_MP = np.where(np.isfinite(x_MP), x_MP, np.nan)
    empty_P = np.isnan(x_MP).all(axis=0)
    x_MP[:, empty_P] = 0.0
    mean_P, deviation_P = np.nanmean(x_MP, axis=0), np.nanstd(x_MP, axis=0)
    scaled = (x_MP - mean_P) / np.where(deviation_P > 1e-9, deviation_P, np.inf)
    return np.asarray(np.nan_to_num(scaled))


def scaled_features(x_MF: csr_matrix, n_genes: int, covariates_MP: NDArray[Any] | None = None) -> csr_matrix:
    """Features on a scale on which a ridge of C = 1 lets all of them together reach log odds of about 1.

    Each channel is divided by the root of its features' mean square, so that rare features stay small, and by
    the root of their number; covariates come behind them, next to unpenalised.

    Parameters
    ----------
    x_MF
        Channels × genes as stored.
    n_genes
        Length of the gene axis.
    covariates_MP
        Covariates that are fitted beside the features; null: none.
    """
    square_F = np.asarray(x_MF.multiply(x_MF).mean(axis=0)).ravel()
    channel_F = np.sqrt(square_F.reshape(-1, n_genes).mean(axis=1)).repeat(n_genes)
    factor_F = np.where(channel_F > 0, 1 / np.where(channel_F > 0, channel_F, 1), 0) / np.sqrt(x_MF.shape[1])
    features = x_MF @ diags(factor_F)
    if covariates_MP is not None and covariates_MP.shape[1]:
        features = hstack([features, csr_matrix(standardised(covariates_MP) * COVARIATE_REACH)])
    return csr_matrix(features)


def logit(x_train: Any, is_case: NDArray[Any], x_other: Any) -> Values:
    """Log odds of other people by a ridge logistic regression (C = 1) with an intercept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough after these steps
        model = LogisticRegression(C=1.0, max_iter=200, tol=1e-4).fit(x_train, is_case)
    return np.asarray(model.decision_function(x_other), np.float64)


def out_of_fold(x_MF: Any, is_case_M: NDArray[Any], fold_M: NDArray[Any]) -> Values:
    """Each person's log odds by a fit without the person's fold; 0 where a fit would lack a class."""
    group_M = fold_groups(fold_M)
    logit_M = np.zeros(len(is_case_M))
    for group in np.unique(group_M):
        inside = group_M == group
        if len(np.unique(is_case_M[~inside])) == 2:
            logit_M[inside] = logit(x_MF[~inside], is_case_M[~inside], x_MF[inside])
    return logit_M
