"""Logistic regression on the same people and features: what the network has to be better than."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from train.sparse import SparseRows, join_rows

PENALTIES = {"ridge": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), "lasso": (1e-2, 3e-2, 1e-1, 3e-1, 1.0)}
"""Penalties that are tried, with their inverse strengths (C); the validation people choose."""


@dataclass(frozen=True)
class Baseline:
    """A fitted logistic regression and the penalty that the validation people chose."""

    model: LogisticRegression
    penalty: str

    def probability(self, x_MF: csr_matrix | NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of being a case."""
        return np.asarray(self.model.predict_proba(x_MF)[:, 1])


def sparse_matrix(parts: Iterator[SparseRows], n_features: int) -> tuple[NDArray[np.int32], csr_matrix]:
    """People (sample_index, ascending) and their features as one sparse matrix.

    Parameters
    ----------
    parts
        Every person once, in any order.
    n_features
        Length of the flat feature axis.
    """
    rows = join_rows(list(parts))
    rows = rows.take(np.argsort(rows.sample_R))
    x_MF = csr_matrix((rows.values_N, rows.indices_N, rows.offsets), shape=(len(rows), n_features))
    return rows.sample_R, x_MF


def fit_baseline(
    training: tuple[csr_matrix | NDArray[np.float32], NDArray[np.int8]],
    validation: tuple[csr_matrix | NDArray[np.float32], NDArray[np.int8]],
) -> Baseline:
    """Logistic regression with ridge or lasso; the penalty with the lowest validation loss is kept.

    Parameters
    ----------
    training, validation
        Scaled features and labels (1 or 0) of people; none of them in the test fold.
    """
    fits = []
    for penalty, strengths in PENALTIES.items():
        for strength in strengths:
            model = make_regression(penalty, strength).fit(*training)
            loss = log_loss(validation[1], model.predict_proba(validation[0])[:, 1], labels=[0, 1])
            fits.append((loss, f"{penalty}, C = {strength:g}", model))
    _, chosen, model = min(fits, key=lambda fit: fit[0])
    return Baseline(model, chosen)


def make_regression(penalty: str, strength: float) -> LogisticRegression:
    """Logistic regression that is not fitted yet."""
    if penalty == "ridge":
        return LogisticRegression(C=strength, max_iter=1000)
    # liblinear shrinks the intercept too, unless it is scaled out of the penalty's reach.
    return LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", intercept_scaling=100.0)
