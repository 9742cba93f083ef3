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

TILE = 16
"""Rows of channels that are summed side by side."""
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
        if self.add_up is None or not self.training:
            if self.training:
                self.num_batches_tracked.add_(1)
            state = (self.running_mean, self.running_var, self.weight, self.bias)
            return batch_norm(input, *state, self.training, self.memory, self.eps)
        scale_F, shift_F = self._scale_and_shift(input)
        along = (-1, *[1] * (input.dim() - 2))
        return torch.addcmul(shift_F.view(along), input, scale_F.view(along))

    def scale_and_shift(self, input_BLF: Tensor) -> tuple[Tensor, Tensor]:
        """Factor of activations with channels last, and what is added then, of each channel (F)."""
        rows = input_BLF.numel() // (TILE * len(self.weight))
        tiled = rows * TILE * len(self.weight) == input_BLF.numel()
        return self._scale_and_shift(input_BLF.view(rows if tiled else -1, -1 if tiled else len(self.weight)))

    def _scale_and_shift(self, input: Tensor) -> tuple[Tensor, Tensor]:
        mean_F, variance_F = self.running_mean, self.running_var
        if self.training:
            mean_F, variance_F, n = _Moments.apply(input, len(self.weight), self.add_up)  # type: ignore[no-untyped-call]
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean_F, self.memory)
                self.running_var.lerp_((variance_F * (n / (n - 1))).float(), self.memory)
        scale_F = self.weight * torch.rsqrt(variance_F + self.eps)
        return scale_F, self.bias - mean_F * scale_F


class _Moments(torch.autograd.Function):
    """Mean and variance of each channel over all ranks' people, and how many numbers they are of.

    The second axis holds the channels, or runs through them over and over: sums over long rows are faster.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, n_channels: int, add_up: AddUp | None) -> tuple[Tensor, ...]:
        x, repeats = input.float(), input.shape[1] // n_channels
        others = [axis for axis in range(x.dim()) if axis != 1]
        along = (-1, *[1] * (x.dim() - 2))
        n_own = x.numel() // n_channels
        mean_F = (_by_channel(x.sum(others), n_channels) / n_own).float()
        centred = x - mean_F.repeat(repeats).view(along)
        square_F = _by_channel(centred.square_().sum(others), n_channels)
        mean_F = mean_F.double()
        sums = torch.cat([mean_F * n_own, square_F + mean_F.square() * n_own, mean_F.new_tensor([n_own])])
        if add_up is not None:
            add_up(sums)
        n = sums[-1]
        mean_F, square_F = (sums[:-1] / n).chunk(2)
        variance_F = (square_F - mean_F.square()).clamp(min=0)
        ctx.save_for_backward(input, mean_F, n)
        ctx.repeats, ctx.along, ctx.add_up = repeats, along, add_up
        ctx.mark_non_differentiable(n)
        return mean_F.float(), variance_F.float(), n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        input, mean_F, n = ctx.saved_tensors
        sums = torch.cat(gradients[:2]).double()
        if ctx.add_up is not None:
            ctx.add_up(sums)
        constant_F, slope_F = (sums / n).chunk(2)
        slope_F = 2 * slope_F
        constant_F = constant_F - slope_F * mean_F
        constant, slope = (g.float().repeat(ctx.repeats).view(ctx.along) for g in (constant_F, slope_F))
        return torch.addcmul(constant, input.float(), slope).to(input.dtype), None, None


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
    hash_BN = torch.bitwise_xor(key_B[:, None], _places(n_units, key_B.device))
    for shift, factor in zip((16, 15), MIXERS, strict=True):
        hash_BN.bitwise_xor_((hash_BN >> shift).bitwise_and_((1 << (32 - shift)) - 1)).mul_(factor)
    return hash_BN >= round(p * 2**32) - 2**31


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _places(n_units: int, device: torch.device) -> Tensor:
    """Numbers of units (N). torch.compile is handed them whole: on GPUs it would multiply beyond 32 bits."""
    return torch.arange(n_units, dtype=torch.int32, device=device) * GOLDEN


def _mixed(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Bits of each number stirred (the finaliser of splitmix64)."""
    number = number + np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def _by_channel(sums: Tensor, n_channels: int) -> Tensor:
    """Sums of columns that run through the channels over and over (F)."""
    return sums.double().view(-1, n_channels).sum(0)


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
