"""Dropout and batch normalisation that do not depend on how the people of a step are split over ranks.

Both have to be told of each step (`begin_step`). A model that is not told draws its dropout from torch and
normalises by the people it is given, as torch's own layers do.

Axes in names: B people of this rank, F channels of a layer, N units of a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from typing_extensions import override

AddUp = Callable[[Tensor], None]
"""Replaces a tensor by its sum over ranks; all ranks must call it."""

MIXERS = (0x7FEB352D, 0x846CA68B - (1 << 32))
"""Odd factors of a 32-bit hash with little bias (lowbias32 of C. Wellons), as signed numbers."""
GOLDEN = 0x9E3779B9 - (1 << 32)


class PersonDropout(nn.Dropout):
    """Dropout whose mask is a function of the person's key and the unit's place, of nothing else."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.key_B: Tensor | None = None

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Activations of people (first axis), some of them zero while training."""
        if self.key_B is None or not self.training or self.p == 0:
            return super().forward(input)
        kept_BN = kept_units(self.key_B, input[0].numel(), self.p)
        return input * kept_BN.view_as(input).to(input.dtype).mul_(1 / (1 - self.p))


class SharedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation by the people of all ranks together.

    Takes inputs (B, F) and (B, F, …); weights and running statistics are those of torch's layers, and the
    running statistics the same on every rank.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels)
        self.memory = 0.1
        self.add_up: AddUp | None = None

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Normalised activations."""
        if self.training:
            self.num_batches_tracked.add_(1)
        if self.add_up is None or not self.training:
            state = (self.running_mean, self.running_var, self.weight, self.bias)
            return batch_norm(input, *state, self.training, self.memory, self.eps)
        normalised: Tensor
        normalised, mean_F, variance_F = _Normalise.apply(input, self.weight, self.bias, self)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.running_mean.lerp_(mean_F, self.memory)
            self.running_var.lerp_(variance_F, self.memory)
        return normalised


class _Normalise(torch.autograd.Function):
    """(x - mean) / deviation × weight + bias, where mean and deviation are those of all ranks' people."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight_F: Tensor, bias_F: Tensor, layer: SharedBatchNorm
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = input.float()
        others = [axis for axis in range(x.dim()) if axis != 1]
        n_own = x.numel() // x.shape[1]
        variance_F, mean_F = (moment.double() for moment in torch.var_mean(x, others, correction=0))
        sums = torch.cat([mean_F * n_own, (variance_F + mean_F.square()) * n_own, mean_F.new_tensor([n_own])])
        assert layer.add_up is not None
        layer.add_up(sums)
        n = sums[-1]
        mean_F, square_F = (sums[:-1] / n).chunk(2)
        variance_F = (square_F - mean_F.square()).clamp(min=0)
        scale_F = (variance_F + layer.eps).rsqrt().float()
        unbiased_F, mean_F = (variance_F * (n / (n - 1))).float(), mean_F.float()
        ctx.save_for_backward(input, weight_F, mean_F, scale_F)
        ctx.others, ctx.n, ctx.add_up = others, n, layer.add_up
        ctx.mark_non_differentiable(mean_F, unbiased_F)
        factor_F = scale_F * weight_F
        result = x * _along(factor_F, x) + _along(bias_F - mean_F * factor_F, x)
        return result.to(input.dtype), mean_F, unbiased_F

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        input, weight_F, mean_F, scale_F = ctx.saved_tensors
        gradient = gradients[0].float()
        unit = (input.float() - _along(mean_F, input)) * _along(scale_F, input)
        bias_gradient_F, weight_gradient_F = gradient.sum(ctx.others), (gradient * unit).sum(ctx.others)
        sums = torch.cat([bias_gradient_F, weight_gradient_F]).double()
        ctx.add_up(sums)
        mean_gradient_F, mean_product_F = (sums / ctx.n).float().chunk(2)
        centred = gradient - _along(mean_gradient_F, input) - unit * _along(mean_product_F, input)
        input_gradient = centred * _along(scale_F * weight_F, input)
        return input_gradient.to(input.dtype), weight_gradient_F, bias_gradient_F, None


def begin_step(model: nn.Module, key_B: NDArray[np.uint64], add_up: AddUp | None) -> None:
    """Tell the layers of a model who takes part in the next step, and how ranks add up.

    Parameters
    ----------
    model
        Its layers draw masks of their own, in the order in which the model lists them.
    key_B
        A number for each person of this rank and step, see `person_keys`.
    add_up
        Sums over ranks; None where there is one.
    """
    number = 0
    for layer in model.modules():
        if isinstance(layer, PersonDropout):
            number += 1
            mixed_B = _mixed(key_B + np.uint64(number)).astype(np.uint32).view(np.int32)
            layer.key_B = torch.from_numpy(mixed_B).to(_device_of(model))
        elif isinstance(layer, SharedBatchNorm):
            layer.add_up = add_up


def person_keys(seed: int, step: int, sample_B: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each person (sample_index) in a step, a function of these and the seed alone."""
    step_key = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
    return _mixed(_mixed(sample_B.astype(np.uint64)) + step_key)


def kept_units(key_B: Tensor, n_units: int, p: float) -> Tensor:
    """Which units of each person stay (B, N); each goes with probability p, whatever the others do.

    Integers of 32 bits wrap alike on every device, so that masks are the same on CPUs and GPUs.
    """
    place_N = torch.arange(n_units, dtype=torch.int32, device=key_B.device) * GOLDEN
    hash_BN = torch.bitwise_xor(key_B[:, None], place_N)
    for shift, factor in zip((16, 15), MIXERS, strict=True):
        hash_BN.bitwise_xor_((hash_BN >> shift).bitwise_and_((1 << (32 - shift)) - 1)).mul_(factor)
    return hash_BN >= round(p * 2**32) - 2**31


def _mixed(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits of each number stirred (the finaliser of splitmix64)."""
    number = number + np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def _along(value_F: Tensor, x: Tensor) -> Tensor:
    """Channels on the second axis of x."""
    return value_F.view(-1, *[1] * (x.dim() - 2))


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
