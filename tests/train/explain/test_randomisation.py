import torch
from torch import nn

from train.config import GeneCNNConfig
from train.convolutions import InputShape
from train.ensemble import build_model
from train.explain.config import ExplainConfig
from train.explain.randomisation import STATISTICS, check_randomisation, randomised


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def network() -> nn.Module:
    model = build_model(GeneCNNConfig(window=4), InputShape(4, 1, ("chr1",) * 100))
    for name, weight in model.state_dict().items():
        if weight.is_floating_point() and not name.endswith(STATISTICS):
            nn.init.normal_(weight, std=0.2)
    return model.eval()


def test_randomised__sizes_stay_statistics_too_and_the_original_is_left() -> None:
    model = network()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    other = randomised(model, [1, 0])
    for name, weight in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], before[name])
        if "running" in name or not weight.is_floating_point():
            assert torch.equal(weight, before[name])
        elif weight.numel() > 100:
            torch.testing.assert_close(weight.std(), before[name].std(), rtol=0.3, atol=0)
            assert torch.corrcoef(torch.stack([weight.ravel(), before[name].ravel()]))[0, 1].abs() < 0.3
    assert torch.equal(randomised(model, [1, 0]).rest.hidden.weight, other.rest.hidden.weight)
    assert not torch.equal(randomised(model, [1, 1]).rest.hidden.weight, other.rest.hidden.weight)


def test_check_randomisation__passes_where_attributions_follow_the_weights() -> None:
    found = check_randomisation(network(), drawn(30, 4, 100), drawn(30, 1), ExplainConfig(), seed=1)
    assert found.passed
    assert found.correlation < 0.15
    assert (found.draws, found.people, found.limit) == (5, 30, 0.3)


def test_check_randomisation__fails_where_they_show_the_input() -> None:
    class Weightless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x_BCG: torch.Tensor, covariates_BP: torch.Tensor) -> torch.Tensor:
            return x_BCG.sum(dim=(1, 2)) * self.scale.abs()

    found = check_randomisation(Weightless(), drawn(10, 2, 30), torch.zeros(10, 0), ExplainConfig(), seed=1)
    assert not found.passed
    assert found.correlation > 0.99


def test_check_randomisation__nothing_to_compare_is_not_judged() -> None:
    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(30))

        def forward(self, x_BCG: torch.Tensor, covariates_BP: torch.Tensor) -> torch.Tensor:
            return x_BCG.sum(dim=1) @ self.weight

    found = check_randomisation(Silent(), drawn(10, 2, 30), torch.zeros(10, 0), ExplainConfig(), seed=1)
    assert found.correlation is None
    assert found.passed is None
