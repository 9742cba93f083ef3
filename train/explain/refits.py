"""Cheap refits of a run's gene effects, for intervals over folds and seeds."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from train.config import GeneCNNConfig, TrainConfig
from train.design import Design
from train.direct import gene_properties
from train.effects.columns import GeneColumns
from train.effects.crossfit import fit_direct_path
from train.effects.prior import property_basis
from train.effects.stack import Cohort
from train.prepare import group_folds
from train.rivals.protocol import mean_and_factor

Refit = Callable[[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Leaves out a fold (first argument), fits with a seed (second); returns the posterior inclusion of each gene
and the posterior mean effect per allele, channels × genes. The fold's people and the sealed are not seen."""


def refit_for(config: TrainConfig, design: Design) -> Refit | None:
    """The refit of this configuration's model on these people; null where the model has no gene effects.

    Gene effects alone are fitted, as the run fits them, without products of neighbours. The posterior has no
    chance in it: a seed decides only which folds are scored together when priors are weighed.
    """
    model = config.model
    if not isinstance(model, GeneCNNConfig):
        return None
    properties = gene_properties(design.genes, model, config.seed)
    basis_GD = None if properties is None else property_basis(properties)

    def refit(fold: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        kept = design.take(design.fold_M != fold)
        order = np.random.default_rng([seed, 19]).permutation(np.unique(kept.fold_M))
        place = {int(fold): i for i, fold in enumerate(order)}
        # Nothing is trained on these fits: one fold takes the place of validation people.
        last, *others = sorted(place.values())
        group_of = group_folds(others, [last], model.effects.groups)
        path = fit_direct_path(
            Cohort(
                columns_of(kept),
                kept.is_case_M,
                _scaled(kept.covariates_MP),
                np.array([group_of[place[int(fold)]] for fold in kept.fold_M], np.int64),
                basis_GD,
            ),
            None,
            polygenic=model.effects.polygenic,
            threads=len(os.sched_getaffinity(0)),
        )
        return path.inclusion_G, path.reader_KGC[-1].T

    return refit


def columns_of(design: Design) -> GeneColumns:
    """The features of a design by column."""
    columns = csc_matrix(design.x_MF)
    columns.sort_indices()
    return GeneColumns(
        len(design),
        len(design.channels),
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        columns.data.astype(np.float32),
    )


def _scaled(covariates_MP: NDArray[np.float32]) -> NDArray[np.float64]:
    exact_MP = covariates_MP.astype(np.float64)
    mean_P, factor_P = mean_and_factor(exact_MP)
    return np.asarray((exact_MP - mean_P) * factor_P)
