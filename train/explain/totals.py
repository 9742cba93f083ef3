"""Attributions of many people added up: what may leave the machine, as no one person is in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.explain.attribution import Attributions

Values = NDArray[np.float64]


class Totals:
    """Running sums over people; M of them in F folds."""

    def __init__(self, folds: Sequence[int], n_channels: int, n_genes: int, n_covariates: int) -> None:
        self._row_of = {fold: row for row, fold in enumerate(folds)}
        self._absolute_CG = torch.zeros(n_channels, n_genes, dtype=torch.float64)
        self._signed_CG = torch.zeros_like(self._absolute_CG)
        self._product_CG = torch.zeros_like(self._absolute_CG)
        self._square_CG = torch.zeros_like(self._absolute_CG)
        self._gene_FG = torch.zeros(len(folds), n_genes, dtype=torch.float64)
        self._count_F = torch.zeros(len(folds), dtype=torch.float64)
        self._covariate_P = torch.zeros(n_covariates, dtype=torch.float64)
        self._errors: list[Tensor] = []
        self._steps: list[Tensor] = []

    def add(self, found: Attributions, x_BCG: Tensor, fold_B: NDArray[np.int32]) -> None:
        """Add a batch of people, each of a fold."""
        feature_BCG = found.feature_BCG
        self._absolute_CG += feature_BCG.abs().double().sum(dim=0).cpu()
        self._signed_CG += feature_BCG.double().sum(dim=0).cpu()
        self._product_CG += (feature_BCG * x_BCG).double().sum(dim=0).cpu()
        self._square_CG += x_BCG.square().double().sum(dim=0).cpu()
        row_B = torch.tensor([self._row_of[int(fold)] for fold in fold_B])
        gene_BG = feature_BCG.sum(dim=1).abs().double().cpu()
        self._gene_FG.index_add_(0, row_B, gene_BG)
        self._count_F += torch.bincount(row_B, minlength=len(self._count_F))
        self._covariate_P += found.covariate_BP.abs().double().sum(dim=0).cpu()
        self._errors.append(found.error_B.cpu())
        self._steps.append(found.steps_B.cpu())

    @property
    def n_people(self) -> int:
        """People added so far."""
        return int(self._count_F.sum())

    def mean_absolute_CG(self) -> Values:
        """Mean |attribution| of each channel of each gene."""
        return self._mean(self._absolute_CG)

    def mean_signed_CG(self) -> Values:
        """Mean attribution; near 0 where the network is linear, because the baseline is the mean."""
        return self._mean(self._signed_CG)

    def slope_CG(self) -> Values:
        """Least-squares slope of the attribution on the scaled feature; 0 where the feature never varies."""
        safe_CG = torch.where(self._square_CG > 0, self._square_CG, 1.0)
        return np.asarray((self._product_CG / safe_CG).numpy())

    def gene_G(self) -> Values:
        """Mean over people of |sum over channels|."""
        return self._mean(self._gene_FG.sum(dim=0))

    def gene_by_fold_FG(self) -> Values:
        """The same in each fold that has people."""
        used_F = self._count_F > 0
        return np.asarray((self._gene_FG[used_F] / self._count_F[used_F, None]).numpy())

    def covariate_P(self) -> Values:
        """Mean |attribution| of each covariate."""
        return self._mean(self._covariate_P)

    def error_M(self) -> Values:
        """Relative errors of completeness, in the order in which people were added."""
        return np.asarray(torch.cat(self._errors).numpy())

    def steps_M(self) -> NDArray[np.int64]:
        """Points of the integral that each person took."""
        return np.asarray(torch.cat(self._steps).numpy())

    def _mean(self, total: Tensor) -> Values:
        return np.asarray((total / max(self.n_people, 1)).numpy())
