"""Do attributions depend on what the network has learned? Its weights are replaced by random ones to see.

Adebayo et al. 2018, "Sanity checks for saliency maps": an explanation that looks the same for random weights
shows the input, not the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from train.explain.attribution import attribute
from train.explain.config import ExplainConfig

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Entries of a batch normalisation that are measured, not learned; variances can't be negative either."""


@dataclass(frozen=True)
class Randomisation:
    """Correlation of attributions between trained and random weights.

    `correlation` is the mean over draws of the size of the median over people of Spearman's correlation over
    features, with sign; null, and so is `passed`, where the trained or every random network has no
    attributions to rank: a network that found nothing owes nothing to genes.
    `size_correlation` is the same for sizes of genes (mean |attribution|): it is not judged, because genes
    with many carriers have large attributions whatever the weights are.
    """

    correlation: float | None
    size_correlation: float | None
    limit: float
    draws: int
    people: int
    passed: bool | None


def randomised(model: nn.Module, seed: Sequence[int]) -> nn.Module:
    """A copy whose weights are normal around 0, each tensor with the mean square of the trained one."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(list(seed)).generate_state(1)[0]))
    with torch.no_grad():
        for name, weight in copied.state_dict().items():
            if weight.is_floating_point() and name.rsplit(".", 1)[-1] not in STATISTICS:
                size = weight.double().square().mean().sqrt().item() if weight.numel() else 0.0
                drawn = torch.randn(weight.shape, generator=generator) * size
                weight.copy_(drawn)
    return copied


def check_randomisation(
    model: nn.Module, x_BCG: Tensor, covariates_BP: Tensor, config: ExplainConfig, seed: int
) -> Randomisation:
    """Compare attributions of some people under trained and under random weights."""
    # All at the same, few points: ranks do not need completeness.
    rough = config.model_copy(update={"most_steps": config.first_steps})
    trained_BCG = attribute(model, x_BCG, covariates_BP, rough).feature_BCG
    signed: list[float] = []
    sizes: list[float] = []
    for draw in range(config.randomisations):
        other = randomised(model, [seed, draw])
        other_BCG = attribute(other, x_BCG, covariates_BP, rough).feature_BCG
        each_B = [_spearman(a, b) for a, b in zip(trained_BCG, other_BCG, strict=True)]
        known_B = [value for value in each_B if value is not None]
        if known_B:
            signed.append(abs(float(np.median(known_B))))
        size = _spearman(_gene_size(trained_BCG), _gene_size(other_BCG))
        if size is not None:
            sizes.append(size)
    correlation = float(np.mean(signed)) if signed else None
    return Randomisation(
        correlation,
        float(np.mean(sizes)) if sizes else None,
        config.correlation_limit,
        config.randomisations,
        len(x_BCG),
        None if correlation is None else correlation < config.correlation_limit,
    )


def _gene_size(feature_BCG: Tensor) -> Tensor:
    return feature_BCG.sum(dim=1).abs().mean(dim=0)


def _spearman(one: Tensor, other: Tensor) -> float | None:
    # Features that vary in neither have attribution 0 in both; they would count as agreement.
    used = ((one != 0) | (other != 0)).cpu()
    pair = one.cpu()[used].numpy(), other.cpu()[used].numpy()
    if len(pair[0]) < 3 or not (np.ptp(pair[0]) and np.ptp(pair[1])):
        return None
    correlation = float(spearmanr(*pair).statistic)
    return correlation if np.isfinite(correlation) else None
