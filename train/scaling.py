"""Means and deviations of the training folds, and sparse rows made dense and scaled on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.errors import InputError, fault
from contract.manifest import Manifest
from train.features import SparseFeatures
from train.people import People
from train.sparse import SparseRows

Scaling = Literal["standard", "channel"]


@dataclass(frozen=True)
class Scaler:
    """Feature f becomes (f - mean_F) * factor_F; a factor of 0 silences a feature that never varies."""

    mean_F: NDArray[np.float32]
    factor_F: NDArray[np.float32]
    covariate_mean_P: NDArray[np.float32]
    covariate_factor_P: NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """People on their way into the model; `is_case_B` is -1 where the label is unknown.

    `group_B` is the group of folds whose left-out fit of gene effects scores the person, see
    `train.prepare.group_folds`.
    """

    sample_B: Tensor
    row_N: Tensor
    index_N: Tensor
    value_N: Tensor
    covariates_BP: Tensor
    is_case_B: Tensor
    group_B: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))

    def pinned(self) -> Batch:
        """The same batch in memory that a GPU fetches from by itself, while the CPU goes on."""
        return Batch(*(tensor.pin_memory() for tensor in vars(self).values()))


def fit_scaler(
    stats: pd.DataFrame, manifest: Manifest, people: People, folds: Sequence[int], kind: Scaling = "standard"
) -> Scaler:
    """Means and standard deviations (population form) over the training folds alone.

    Parameters
    ----------
    stats
        The dataset's per-fold sums; people without a label count too.
    manifest
        Sizes of the axes and of the folds.
    people
        Covariates of (at least) the training folds.
    folds
        Training folds.
    kind
        standard: each feature has a deviation of its own; channel: the root of its channel's mean variance.

    Raises
    ------
    InputError
        If a sum is not finite.
    """
    used = stats[stats["fold"].isin(folds)]
    wrong = used[~np.isfinite(used[["sum", "sum_squares"]]).all(axis=1)]
    if len(wrong):
        first = wrong.iloc[0]
        place = f"fold {first['fold']:.0f}, channel {first['channel']:.0f}, gene {first['gene']:.0f}"
        found = f"a sum that is not finite ({place}; {len(wrong)} in all)"
        raise InputError(fault("stats.parquet", "sum, sum_squares", found=found, wanted="finite numbers"))
    flat = used["channel"].to_numpy() * manifest.n_genes + used["gene"].to_numpy()
    n = sum(manifest.fold(fold).n_samples for fold in folds)
    mean_F = np.bincount(flat, used["sum"], manifest.n_features) / n
    variance_F = np.bincount(flat, used["sum_squares"], manifest.n_features) / n - mean_F**2
    variance_F[variance_F < 1e-9] = 0.0
    deviation_F = np.sqrt(variance_F)
    if kind == "channel":
        variance_CG = variance_F.reshape(-1, manifest.n_genes)
        pooled_CG = np.sqrt(variance_CG.mean(axis=1, keepdims=True)).repeat(manifest.n_genes, axis=1)
        deviation_F = np.where(variance_F > 0, pooled_CG.ravel(), 0.0)
    covariates_MP = people.covariates_MP[np.isin(people.fold_M, folds)].astype(np.float64)
    covariate_mean_P, covariate_deviation_P = covariates_MP.mean(axis=0), covariates_MP.std(axis=0)
    # Of a constant one, rounding leaves a deviation that would blow up anybody who differs.
    covariate_deviation_P[covariate_deviation_P < 1e-6 * np.abs(covariate_mean_P)] = 0.0
    return Scaler(
        mean_F.astype(np.float32),
        _inverse(deviation_F),
        covariate_mean_P.astype(np.float32),
        _inverse(covariate_deviation_P),
    )


def make_batch(
    rows: SparseRows, people: People, scaler: Scaler, group_of_fold: Mapping[int, int] | None = None
) -> Batch:
    """Sparse rows with their people's labels, scaled covariates and groups, as tensors in main memory.

    Without `group_of_fold` everybody is in group 0.
    """
    at = people.rows(rows.sample_R)
    covariates_BP = (people.covariates_MP[at] - scaler.covariate_mean_P) * scaler.covariate_factor_P
    return Batch(
        sample_B=torch.from_numpy(rows.sample_R.astype(np.int64)),
        row_N=torch.from_numpy(rows.row_N),
        index_N=torch.from_numpy(rows.indices_N.astype(np.int64)),
        value_N=torch.from_numpy(rows.values_N.astype(np.float32)),
        covariates_BP=torch.from_numpy(covariates_BP),
        is_case_B=torch.from_numpy(people.is_case_M[at].astype(np.float32)),
        group_B=torch.tensor(
            [group_of_fold[fold] for fold in people.fold_M[at].tolist()] if group_of_fold else [0] * len(at)
        ),
    )


class Densifier:
    """Makes scaled dense features on a device from sparse batches.

    One block of memory serves all batches: only the features that differ from a scaled zero are written, and
    set back by the next call. What a call returns is therefore valid until the next one.
    """

    def __init__(self, scaler: Scaler, n_channels: int, device: torch.device) -> None:
        self.device = device
        self._n_channels = n_channels
        self._mean_F = torch.from_numpy(scaler.mean_F).to(device)
        self._factor_F = torch.from_numpy(scaler.factor_F).to(device)
        self._zero_F = -self._mean_F * self._factor_F
        self._x_RF = self._zero_F.new_empty(0, len(self._zero_F))
        self._written = torch.empty(0, dtype=torch.int64, device=device)
        self._zero_N = self._zero_F[self._written]

    def sparse(self, batch: Batch) -> SparseFeatures:
        """The same features, made dense where a model asks for that; then valid until the next time."""
        change_N = batch.value_N * self._factor_F.index_select(0, batch.index_N)
        zero_CG = self._zero_F.view(self._n_channels, -1)
        n_people = len(batch.sample_B)
        return SparseFeatures(n_people, batch.row_N, batch.index_N, change_N, zero_CG, lambda: self(batch))

    def __call__(self, batch: Batch) -> Tensor:
        """x_BCG: people × channels × genes, scaled; valid until the next call."""
        n_rows, n_features = len(batch.sample_B), len(self._zero_F)
        if n_rows > len(self._x_RF):
            self._x_RF = self._zero_F.repeat(n_rows, 1)
        else:
            self._x_RF.view(-1).index_copy_(0, self._written, self._zero_N)
        self._zero_N = self._zero_F[batch.index_N]
        self._written = batch.row_N * n_features + batch.index_N
        scaled_N = batch.value_N * self._factor_F[batch.index_N] + self._zero_N
        self._x_RF.view(-1).index_copy_(0, self._written, scaled_N)
        return self._x_RF[:n_rows].view(n_rows, self._n_channels, -1)


def _inverse(deviation: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    safe = np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, 1.0 / safe, 0.0).astype(np.float32)
