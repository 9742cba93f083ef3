"""Rivals by name, fitted on people in memory."""

from __future__ import annotations

from train.rivals.burden_weights import BurdenWeightsRival
from train.rivals.penalised import PenalisedRival, elastic_net_paths, lasso_paths, ridge_paths
from train.rivals.protocol import Rival
from train.rivals.simple import batch_rival, covariates_rival, polygenic_score_rival, total_count_rival
from train.rivals.spike_slab import SpikeSlabRival
from train.rivals.trees import TreesRival

RIVALS: dict[str, Rival] = {
    "covariates": covariates_rival(),
    "batch": batch_rival(),
    "total_count": total_count_rival(),
    "polygenic_score": polygenic_score_rival(),
    "ridge": PenalisedRival(ridge_paths),
    "lasso": PenalisedRival(lasso_paths),
    "elastic_net": PenalisedRival(elastic_net_paths),
    "boosted_trees": TreesRival(),
    "burden_weights": BurdenWeightsRival(),
    "spike_slab": SpikeSlabRival(),
}
"""In the order of the ladder's table."""
