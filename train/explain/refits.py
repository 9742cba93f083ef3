"""Cheap refits of a run's gene effects, for intervals over folds and seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from train.config import TrainConfig
from train.design import Design

Refit = Callable[[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Leaves out a fold (first argument), fits with a seed (second); returns the posterior inclusion of each gene
and the posterior mean effect per allele, channels × genes. The fold's people and the sealed are not seen."""


def refit_for(config: TrainConfig, design: Design) -> Refit | None:
    """The refit of this configuration's model on these people; null where the model has no cheap one."""
    return None
