"""The project's network from plain torch layers on dense features: the yardstick of its steps."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, batch_norm, conv1d
from typing_extensions import override

from train.convolutions import GenomeConvolution, GenomeConvolutions
from train.engine import Trainer
from train.layers import SharedBatchNorm
from train.model import GeneCNN
from train.scaling import Batch


class PlainTrainer(Trainer):
    """Trains a GeneCNN by `plain_logits`: the weights, the people and the losses of `Trainer`."""

    @override
    def logits(self, network: nn.Module, batch: Batch) -> Tensor:
        if not isinstance(network, GeneCNN):
            raise TypeError(f"wanted a GeneCNN, found {type(network).__name__}")
        return plain_logits(network, self.densify(batch), batch.covariates_BP, batch.group_B)


def plain_logits(network: GeneCNN, x_BCG: Tensor, covariates_BP: Tensor, group_B: Tensor) -> Tensor:
    """What the network says of people (B), one torch operation after another, channels first."""
    fixed_B = network.intercept + (covariates_BP * network.covariate_P).sum(1)
    logit_B = fixed_B + network.direct(x_BCG, group_B)
    rest = network.rest
    if rest is None or network.head is None or not network.convolving:
        return logit_B
    x_BCL = x_BCG[:, :, rest.gene_L]
    score_BL = network.direct.scores(x_BCL, rest.gene_L, group_B) * rest.present_L
    mixture_BML = torch.einsum("mc,bcl->bml", rest.mix.weight, x_BCL * rest.factor_L)
    hidden_BH = _hidden(rest, torch.cat([mixture_BML, score_BL[:, None]], dim=1))
    summed_B: Tensor = logit_B + network.head(network.dropout(hidden_BH)).squeeze(1)
    return summed_B


def _hidden(rest: GenomeConvolutions, y_BFL: Tensor) -> Tensor:
    for layer in rest.convolutions:
        y_BFL = _convolved(layer, y_BFL) * rest.present_L
    pooled_BFW = avg_pool1d(y_BFL, rest.window)
    return torch.relu(rest.hidden(rest.dropout(pooled_BFW.flatten(1))))


def _convolved(layer: nn.Module, x_BIL: Tensor) -> Tensor:
    assert isinstance(layer, GenomeConvolution)
    convolution, norm = layer.convolution, layer.norm
    weight_FIT = convolution.weight.squeeze(2)
    y_BFL = conv1d(x_BIL, weight_FIT, convolution.bias, padding=weight_FIT.shape[2] // 2)
    if isinstance(norm, SharedBatchNorm):
        state = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        y_BFL = batch_norm(y_BFL, *state, norm.training, norm.memory, norm.eps)
    return torch.relu(y_BFL)
