import numpy as np
import pytest
import torch
from torch import Tensor, nn

from train.config import GeneCNNConfig, PaperCNNConfig
from train.convolutions import InputShape
from train.ensemble import build_model
from train.explain.attribution import SMALLEST_DIFFERENCE, attribute
from train.explain.config import ExplainConfig
from train.explain.totals import Totals


class Linear(nn.Module):
    """Logit = features × weights + covariates × 2 + 0.5."""

    def __init__(self, weight_CG: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight_CG)

    def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
        return (x_BCG * self.weight).sum(dim=(1, 2)) + 2 * covariates_BP.sum(dim=1) + 0.5


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_attribute__linear_network_by_hand() -> None:
    x_BCG, covariates_BP = drawn(3, 2, 4), drawn(3, 1)
    weight_CG = drawn(2, 4)
    found = attribute(Linear(weight_CG), x_BCG, covariates_BP)
    torch.testing.assert_close(found.feature_BCG, x_BCG * weight_CG)
    torch.testing.assert_close(found.covariate_BP, 2 * covariates_BP)
    assert found.baseline == pytest.approx(0.5)
    assert found.steps_B.tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    "config",
    [
        GeneCNNConfig(window=4),
        PaperCNNConfig(filters=4, dense=8),
        GeneCNNConfig(window=4, members=2),
        PaperCNNConfig(filters=4, dense=8, members=2),
    ],
)
@pytest.mark.parametrize("n_covariates", [0, 2])
def test_attribute__sums_are_complete_for_every_network(
    config: GeneCNNConfig | PaperCNNConfig, n_covariates: int
) -> None:
    torch.manual_seed(1)
    model = build_model(config, InputShape(2, n_covariates, ("chr1",) * 20 + ("chr2",) * 12))
    for name, weight in model.state_dict().items():
        if weight.is_floating_point() and not name.endswith("running_var"):
            nn.init.normal_(weight, std=0.3)
    x_BCG, covariates_BP = drawn(20, 2, 32), drawn(20, n_covariates)
    found = attribute(model, x_BCG, covariates_BP)
    with torch.no_grad():
        model.eval()
        logit_B = model(x_BCG, covariates_BP)
        baseline = model(torch.zeros(1, 2, 32), torch.zeros(1, n_covariates)).item()
    total_B = found.feature_BCG.sum(dim=(1, 2)) + found.covariate_BP.sum(dim=1)
    off_B = (total_B - (logit_B - baseline)).abs()
    assert (off_B <= 0.0101 * (logit_B - baseline).abs().clamp(min=SMALLEST_DIFFERENCE)).all()
    assert found.error_B.max() <= 0.01


def test_attribute__adds_steps_only_where_the_sum_is_off() -> None:
    class Kinked(nn.Module):
        def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
            return torch.relu(x_BCG.sum(dim=(1, 2)) - 1)

    x_BCG = torch.tensor([[[0.5]], [[1.03]], [[3.0]]])
    found = attribute(Kinked(), x_BCG, torch.zeros(3, 0))
    assert found.steps_B[0] == 4  # never beyond the kink
    assert found.steps_B[1] > 4
    assert found.error_B.max() <= 0.01


def test_attribute__tells_the_error_that_is_left() -> None:
    class Step(nn.Module):
        def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
            total_B = x_BCG.sum(dim=(1, 2))
            return (total_B > 0.5).float() + 0.0 * total_B  # no gradient says that it rises

    found = attribute(Step(), torch.ones(1, 1, 1), torch.zeros(1, 0), ExplainConfig(most_steps=16))
    assert found.error_B.tolist() == [1.0]
    assert found.steps_B.tolist() == [16]


def test_attribute__nan_is_no_success() -> None:
    found = attribute(Linear(torch.full((1, 1), torch.nan)), torch.ones(1, 1, 1), torch.zeros(1, 0))
    assert not (found.error_B <= 0.01).any()
    assert found.steps_B.tolist() == [ExplainConfig().most_steps]


def test_attribute__dropout_off_and_modes_set_back() -> None:
    model = nn.Module()
    inner = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.9), nn.Linear(4, 1))
    inner[0].eval()
    model.inner = inner
    model.forward = lambda x, covariates: inner(x.flatten(1)).squeeze(1)
    first, second = (attribute(model, drawn(5, 1, 4), torch.zeros(5, 0)) for _ in range(2))
    assert torch.equal(first.feature_BCG, second.feature_BCG)
    assert [part.training for part in inner] == [False, True, True]
    assert inner[0].num_batches_tracked == 0


def test_totals__means_and_slopes_by_hand() -> None:
    weight_CG = torch.tensor([[2.0, 0.0], [-1.0, 3.0]])
    x_BCG = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[-1.0, 2.0], [3.0, 1.0]]])
    totals = Totals([4, 7, 9], 2, 2, 1)
    found = attribute(Linear(weight_CG), x_BCG, torch.tensor([[1.0], [-3.0]]))
    totals.add(found, x_BCG, np.array([7, 4], np.int32))
    np.testing.assert_allclose(totals.mean_absolute_CG(), [[2, 0], [2, 1.5]])
    np.testing.assert_allclose(totals.mean_signed_CG(), [[0, 0], [-2, 1.5]])
    np.testing.assert_allclose(totals.slope_CG(), weight_CG)
    # person 1: |2 - 1|, |0 + 0|; person 2: |-2 - 3|, |0 + 3|
    np.testing.assert_allclose(totals.gene_G(), [3, 1.5])
    np.testing.assert_allclose(totals.gene_by_fold_FG(), [[5, 3], [1, 0]])
    np.testing.assert_allclose(totals.covariate_P(), [4])
