"""Integrated gradients of a network (Sundararajan et al. 2017, "Axiomatic attribution for deep networks").

What a person's logit owes to each gene and channel, beside a person who is average in everything: scaled
features and covariates have mean 0 in the training folds, so the baseline is 0. Attributions add up to the
difference of the two logits (completeness), which is checked for every person: where the sum is off by more
than the tolerance, the integral is taken again at twice as many points.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from train.explain.config import ExplainConfig

SMALLEST_DIFFERENCE = 0.05
"""Logit units, or a probability of 1.2 % at most. Nearer to the baseline, errors are relative to
this: the difference is no longer large beside rounding and beside what cancels along the path."""


@dataclass(frozen=True)
class Attributions:
    """Integrated gradients of B people, in units of the logit.

    Attributes
    ----------
    feature_BCG, covariate_BP
        What each feature and covariate adds to the logit beside the baseline's.
    logit_B, baseline
        The model's logits of the people and of the baseline.
    error_B
        |sum of attributions - (logit - baseline)| relative to |logit - baseline|, which counts as
        `SMALLEST_DIFFERENCE` at least.
    steps_B
        Points of the integral that each person took.
    """

    feature_BCG: Tensor
    covariate_BP: Tensor
    logit_B: Tensor
    baseline: float
    error_B: Tensor
    steps_B: Tensor


def attribute(
    model: nn.Module, x_BCG: Tensor, covariates_BP: Tensor, config: ExplainConfig | None = None
) -> Attributions:
    """Integrated gradients from the training mean, with as many points as completeness needs.

    Parameters
    ----------
    model
        Any network whose forward takes x_BCG and covariates_BP and returns a logit per person. It is put into
        evaluation mode (no dropout, stored batch statistics) and set back.
    x_BCG, covariates_BP
        Scaled, so that 0 is the training mean; P may be 0.
    config
        Tolerance, steps and batch size; null: the defaults.

    Returns
    -------
    Attributions, with errors above the tolerance where `most_steps` did not suffice: the caller's to tell.
    """
    config = config or ExplainConfig()
    with evaluating(model):
        with torch.no_grad():
            logit_B = model(x_BCG, covariates_BP).double()
            baseline = model(torch.zeros_like(x_BCG[:1]), torch.zeros_like(covariates_BP[:1])).double().item()
        found = Attributions(
            torch.zeros_like(x_BCG),
            torch.zeros_like(covariates_BP),
            logit_B,
            baseline,
            torch.full_like(logit_B, torch.inf),
            torch.zeros(len(logit_B), dtype=torch.int64, device=logit_B.device),
        )
        steps, open_B = config.first_steps, torch.ones_like(logit_B, dtype=torch.bool)
        while open_B.any():
            _integrate(model, (x_BCG[open_B], covariates_BP[open_B]), steps, config.batch_size).store(
                found, open_B
            )
            found.steps_B[open_B] = steps
            open_B = ~(found.error_B <= config.tolerance)  # nan is no success
            if steps >= config.most_steps:
                break
            steps = min(2 * steps, config.most_steps)
    return found


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; every part goes back to the mode it was in."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@dataclass(frozen=True)
class _Integral:
    feature_BCG: Tensor
    covariate_BP: Tensor

    def store(self, found: Attributions, rows_B: Tensor) -> None:
        """Put these people's attributions and errors into `found`."""
        found.feature_BCG[rows_B], found.covariate_BP[rows_B] = self.feature_BCG, self.covariate_BP
        total_B = self.feature_BCG.double().sum(dim=(1, 2)) + self.covariate_BP.double().sum(dim=1)
        difference_B = found.logit_B[rows_B] - found.baseline
        scale_B = difference_B.abs().clamp(min=SMALLEST_DIFFERENCE)
        found.error_B[rows_B] = (total_B - difference_B).abs() / scale_B


def _integrate(model: nn.Module, inputs: tuple[Tensor, Tensor], steps: int, batch_size: int) -> _Integral:
    """Attributions at a fixed number of points; people in pieces of the batch size."""

    def logits(x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
        # A network may ignore its covariates, as the published one does; captum needs every gradient.
        logit_B: Tensor = model(x_BCG, covariates_BP) + 0.0 * covariates_BP.sum(dim=1)
        return logit_B

    method, features, covariates = IntegratedGradients(logits), [], []
    pieces = (torch.split(tensor, batch_size) for tensor in inputs)
    for x_BCG, covariates_BP in zip(*pieces, strict=True):
        # Middle points: the gradient of rectified units is a step function along the path, for which no rule
        # converges faster; captum's default, Gauss-Legendre, takes minutes to find 4,096 points.
        settings = {"method": "riemann_middle", "n_steps": steps, "internal_batch_size": batch_size}
        if covariates_BP.shape[1]:
            parts = method.attribute((x_BCG, covariates_BP), **settings)
        else:
            parts = (
                method.attribute(x_BCG, additional_forward_args=covariates_BP, **settings),
                covariates_BP,
            )
        features.append(parts[0].detach())
        covariates.append(parts[1].detach())
    return _Integral(torch.cat(features), torch.cat(covariates))
