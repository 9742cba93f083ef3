from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._inductor.utils import run_and_get_code

from train.layers import (
    GOLDEN,
    MIXERS,
    PersonDropout,
    SharedBatchNorm,
    begin_step,
    kept_units,
    person_keys,
)


def keys(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int32)


def test_person_keys__of_seed_step_and_person_alone():
    people = np.array([3, 0, 70_000])
    key_B = person_keys(1, 5, people)
    np.testing.assert_array_equal(person_keys(1, 5, people[::-1]), key_B[::-1])
    others = [person_keys(2, 5, people), person_keys(1, 6, people)]
    assert len(set(np.concatenate([key_B, *others]))) == 9


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_kept_units__share_and_independence(p: float):
    # 2,000 people × 1,000 units: standard deviations of a mean are 0.3 % of a share at most.
    key_B = torch.from_numpy(person_keys(1, 1, np.arange(2000)).astype(np.uint32).view(np.int32))
    kept_BN = kept_units(key_B, 1000, p).double()
    assert kept_BN.mean().item() == pytest.approx(1 - p, abs=2e-3)
    unit_N, person_B = kept_BN.mean(0), kept_BN.mean(1)
    spread = np.sqrt(p * (1 - p))
    assert unit_N.std().item() == pytest.approx(spread / np.sqrt(2000), rel=0.1)
    assert person_B.std().item() == pytest.approx(spread / np.sqrt(1000), rel=0.1)
    centred_BN = (kept_BN - (1 - p)) / spread
    neighbours = (centred_BN[:, 1:] * centred_BN[:, :-1]).mean(0)
    assert neighbours.abs().max().item() < 5 / np.sqrt(2000)
    assert (centred_BN[1:] * centred_BN[:-1]).mean(1).abs().max().item() < 5 / np.sqrt(1000)


def test_kept_units__compiled_code_does_not_count_beyond_32_bits():
    """Compilers for GPUs refuse the product of an index and a large factor; code for CPUs shows it too."""
    key_B = keys(5, 6, 7)
    compiled = torch.compile(lambda: kept_units(key_B, 149 * 8, 0.3).view(3, 149, 8).to(torch.float32) * 2)
    found, (code, *_) = run_and_get_code(compiled)
    torch.testing.assert_close(found, kept_units(key_B, 149 * 8, 0.3).view(3, 149, 8).float() * 2)
    assert str(abs(MIXERS[0])) in code
    assert str(abs(GOLDEN)) not in code


def test_person_dropout__a_person_has_one_mask_whoever_is_beside():
    model = nn.Sequential(PersonDropout(0.5), nn.Linear(40, 40), PersonDropout(0.5))
    ones = torch.ones(3, 40)
    begin_step(model, np.array([5, 6, 7], np.uint64), None)
    together, second = model[0](ones), model[2](ones)
    assert set(together.unique().tolist()) == {0, 2}
    assert not torch.equal(together, second), "layers draw masks of their own"
    begin_step(model, np.array([7], np.uint64), None)
    torch.testing.assert_close(model[0](ones[:1]), together[2:], rtol=0, atol=0)
    model.eval()
    torch.testing.assert_close(model[0](ones), ones, rtol=0, atol=0)


def test_person_dropout__not_told_of_steps_draws_as_torch_does():
    layer, ones = PersonDropout(0.5), torch.ones(3, 40)
    torch.manual_seed(1)
    found = layer(ones)
    torch.manual_seed(1)
    torch.testing.assert_close(found, nn.Dropout(0.5)(ones), rtol=0, atol=0)


def with_others(parts: list[Tensor]) -> Callable[[Tensor], None]:
    """Adds up over ranks of which the others have put their numbers into `parts`, call by call."""
    calls = iter(parts)
    return lambda own: own.add_(next(calls))


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 5), (6, 3, 1, 4)])
def test_shared_batch_norm__two_ranks_are_as_one(shape: tuple[int, ...]):
    torch.manual_seed(0)
    x, upstream = torch.randn(shape) * 3 + 50, torch.randn(shape)
    whole = SharedBatchNorm(3)
    nn.init.normal_(whole.weight)
    nn.init.normal_(whole.bias)
    start = {name: value.clone() for name, value in whole.state_dict().items()}
    x_whole = x.clone().requires_grad_()
    expected = whole(x_whole)
    expected.backward(upstream)

    def half(rows: slice, add_up: Callable[[Tensor], None]) -> tuple[SharedBatchNorm, Tensor, Tensor]:
        layer = SharedBatchNorm(3)
        layer.load_state_dict(start)
        layer.add_up = add_up
        x_half = x[rows].clone().requires_grad_()
        result = layer(x_half)
        result.backward(upstream[rows])
        return layer, result, x_half.grad

    # Forward and backward sums of each half alone come first; backward sums need those of the forward pass.
    own: dict[int, list[Tensor]] = {0: [], 1: []}
    rows = {0: slice(0, 2), 1: slice(2, 6)}
    zero = [torch.zeros(()), torch.zeros(())]
    for rank in (0, 1):
        half(rows[rank], lambda sums, rank=rank: own[rank].append(sums.clone()))
    forwards = {rank: own[rank][0] for rank in (0, 1)}
    backwards: dict[int, Tensor] = {}
    for rank in (0, 1):
        recorded: list[Tensor] = []
        half(rows[rank], recording(recorded, [forwards[1 - rank], zero[0]]))
        backwards[rank] = recorded[1]
    for rank in (0, 1):
        layer, result, gradient = half(rows[rank], with_others([forwards[1 - rank], backwards[1 - rank]]))
        torch.testing.assert_close(result, expected[rows[rank]], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(gradient, x_whole.grad[rows[rank]], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(layer.running_mean, whole.running_mean)
        torch.testing.assert_close(layer.running_var, whole.running_var)


def recording(found: list[Tensor], others: list[Tensor]) -> Callable[[Tensor], None]:
    """Adds the other ranks' numbers, after it has noted this rank's own."""
    add_up = with_others(others)

    def recorded(own: Tensor) -> None:
        found.append(own.clone())
        add_up(own)

    return recorded
