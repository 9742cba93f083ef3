"""The network's last hidden units, and how well they tell batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from train.audit.auroc import Values
from train.audit.fitting import COVARIATE_REACH, fold_groups, standardised
from train.bundle import Bundle
from train.design import Design
from train.people import People
from train.scaling import Densifier, make_batch
from train.sparse import SparseRows

ROWS = 64
"""People who are dense at a time."""


def hidden_units(bundle: Bundle, design: Design) -> Values | None:
    """Last hidden units of each person, without covariates that join late; null where there are none.

    A network may offer `hidden_units(x_BCG)`; else the inputs of its last linear layer, `head`, are taken,
    covariates not among them.
    """
    model = bundle.model()
    n_covariates = len(bundle.facts.covariates)
    seen: list[Tensor] = []
    own = getattr(model, "hidden_units", None)
    head = getattr(model, "head", None)
    if own is None:
        if not isinstance(head, nn.Linear):
            return None
        head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    n_channels = len(bundle.facts.channels)
    densify = Densifier(bundle.scaler, n_channels, torch.device("cpu"))
    people = _people(design, n_covariates)
    with torch.no_grad():
        for start in range(0, len(design), ROWS):
            batch = make_batch(_rows(design, start), people, bundle.scaler)
            x_BCG = densify(batch)
            if own is None:
                model(x_BCG, batch.covariates_BP)
            else:
                seen.append(own(x_BCG).clone())
    hidden_MH = torch.cat([part.double() for part in seen]).numpy()
    return np.asarray(hidden_MH)


def batch_log_odds(hidden_MH: Values, design: Design) -> dict[str, Values]:
    """For each batch everybody's log odds of being in it, by a logistic regression out of fold."""
    batch_M = design.groups["batch"].to_numpy()
    x_MH = standardised(hidden_MH) * COVARIATE_REACH
    group_M = fold_groups(design.fold_M)
    found: dict[str, Values] = {}
    for name in np.unique(batch_M):
        inside_M = batch_M == name
        odds_M = np.zeros(len(design))
        for group in np.unique(group_M):
            left_out = group_M == group
            if 0 < inside_M[~left_out].sum() < (~left_out).sum():
                model = LogisticRegression(max_iter=500).fit(x_MH[~left_out], inside_M[~left_out])
                odds_M[left_out] = model.decision_function(x_MH[left_out])
        found[str(name)] = odds_M
    return found


def _rows(design: Design, start: int) -> SparseRows:
    x_BF = design.x_MF[start : start + ROWS]
    samples = design.sample_M[start : start + ROWS]
    return SparseRows(samples, x_BF.indptr.astype(np.int64), x_BF.indices.astype(np.int32), x_BF.data)


def _people(design: Design, n_covariates: int) -> People:
    position = np.full(int(design.sample_M.max()) + 1, -1, np.int64)
    position[design.sample_M] = np.arange(len(design))
    covariates_MP: NDArray[Any] = design.covariates_MP if n_covariates else design.covariates_MP[:, :0]
    return People(position, design.sample_M, design.fold_M, design.is_case_M, design.family_M, covariates_MP)
