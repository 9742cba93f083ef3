"""The networks, in plain torch: they know nothing of ranks, files or reports.

Axes in names: B people, C channels, G genes, L places on the padded gene axis, F filters, W windows of
neighbouring genes, P covariates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from contract.errors import InputError, fault
from train.config import GeneCNNConfig, ModelConfig, PaperCNNConfig


@dataclass(frozen=True)
class InputShape:
    """What a model is built for; `contigs` names each gene's chromosome, in genome order."""

    n_channels: int
    n_covariates: int
    contigs: tuple[str, ...]

    @property
    def n_genes(self) -> int:
        """Length of the gene axis."""
        return len(self.contigs)


def build_model(config: ModelConfig, shape: InputShape) -> GeneCNN | PaperCNN:
    """The network that the configuration names."""
    return GeneCNN(config, shape) if isinstance(config, GeneCNNConfig) else PaperCNN(config, shape)


def padded_layout(contigs: Sequence[str], window: int, gap: int) -> list[int]:
    """Gene at each place of an axis on which chromosomes stand apart; -1 for empty places.

    Parameters
    ----------
    contigs
        Chromosome of each gene, in genome order.
    window
        Every chromosome fills whole windows of this many places.
    gap
        Least number of empty places after a chromosome.
    """
    layout: list[int] = []
    for gene, contig in enumerate(contigs):
        if gene and contig != contigs[gene - 1]:
            layout += [-1] * _fill(len(layout), window, gap)
        layout.append(gene)
    return layout + [-1] * _fill(len(layout), window, 0)


class ChannelMix(nn.Module):
    """Pointwise convolution: mixtures of the channels, the same for every gene."""

    def __init__(self, n_channels: int, n_mixtures: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_mixtures, n_channels), 1 / math.sqrt(n_channels)))

    @override
    def forward(self, x_BCG: Tensor) -> Tensor:
        """Mixtures in place of channels, as the last axis."""
        return x_BCG.transpose(1, 2) @ self.weight.T


class GenomeConvolution(nn.Module):
    """Convolution along the genome, normalised and rectified.

    Empty places stay zero, so that stacked layers never carry anything from one chromosome to the next. Works
    on (B, F, 1, L) with channels last in memory, which is several times faster on CPUs than `Conv1d`.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, *, batch_norm: bool) -> None:
        super().__init__()
        padding = (0, kernel_size // 2)
        self.convolution = nn.Conv2d(n_in, n_out, (1, kernel_size), padding=padding, bias=not batch_norm)
        self.norm = nn.BatchNorm2d(n_out) if batch_norm else nn.Identity()

    @override
    def forward(self, x_BF1L: Tensor, present_L: Tensor) -> Tensor:
        """Activations, zero at empty places."""
        return torch.relu(self.norm(self.convolution(x_BF1L))) * present_L


class GeneWeights(nn.Module):
    """One weight for each gene, as the difference of two squares that start small.

    Gradient descent lets such weights grow at a rate proportional to their size, so that the genes that
    matter most rise first and the rest stays near zero; early stopping decides how many (Woodworth et al.
    2020, "Kernel and rich regimes in overparametrized models"). It takes plain gradient steps: an optimizer
    that rescales each coordinate would undo it.
    """

    def __init__(self, n_genes: int, start: float) -> None:
        super().__init__()
        self.raising_G = nn.Parameter(torch.full((n_genes,), start))
        self.lowering_G = nn.Parameter(torch.full((n_genes,), start))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Weight of each gene, and its size relative to the mean over genes (at first 1 for all)."""
        raising_G, lowering_G = self.raising_G.square(), self.lowering_G.square()
        size_G = raising_G + lowering_G
        return raising_G - lowering_G, size_G / size_G.mean()


class GeneCNN(nn.Module):
    """The project's network.

    Channels of a gene are mixed by weights that all genes share (pointwise convolutions). One mixture goes
    through a weight for each gene straight to the logit: the net knows which gene it looks at. The others are
    scaled by the size of the gene's weight, convolved along the genome, pooled into windows of neighbouring
    genes and passed through a hidden layer, where covariates join. The sum is the logit of being a case.
    """

    present_L: Tensor
    layout_L: Tensor

    def __init__(self, config: GeneCNNConfig, shape: InputShape) -> None:
        super().__init__()
        layout = torch.tensor(padded_layout(shape.contigs, config.window, config.kernel_size // 2))
        self.register_buffer("layout_L", layout.clamp(min=0), persistent=False)
        self.register_buffer("present_L", (layout >= 0).float(), persistent=False)
        self.burden = ChannelMix(shape.n_channels, 1)
        self.gene_weights = GeneWeights(shape.n_genes, config.gene_start)
        self.mix = ChannelMix(shape.n_channels, config.burdens)
        nn.init.normal_(self.mix.weight, std=1 / math.sqrt(shape.n_channels))
        widths = [config.burdens] + [config.filters] * config.layers
        self.convolutions = nn.ModuleList(
            GenomeConvolution(n_in, n_out, config.kernel_size, batch_norm=config.batch_norm)
            for n_in, n_out in itertools.pairwise(widths)
        )
        self.pool = nn.AvgPool2d((1, config.window))
        self.hidden = nn.Linear(config.filters * (len(layout) // config.window), config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden + shape.n_covariates, 1)
        nn.init.zeros_(self.head.weight)

    @override
    def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
        """Logits, one per person."""
        weight_G, gate_G = self.gene_weights()
        gene_logit_B = self.burden(x_BCG).squeeze(2) @ weight_G
        gate_L = gate_G[self.layout_L] * self.present_L
        x_BLF = self.mix(x_BCG).index_select(1, self.layout_L) * gate_L[:, None]
        x_BF1L = x_BLF.transpose(1, 2).unsqueeze(2)
        for convolution in self.convolutions:
            x_BF1L = convolution(x_BF1L, self.present_L)
        window_BFW = self.pool(x_BF1L).squeeze(2)
        hidden_B = self.dropout(torch.relu(self.hidden(self.dropout(window_BFW.flatten(1)))))
        rest_B: Tensor = self.head(torch.cat([hidden_B, covariates_BP], dim=1)).squeeze(1)
        logit_B: Tensor = rest_B + gene_logit_B
        return logit_B

    def gene_parameters(self) -> list[nn.Parameter]:
        """Weights of the direct path, which have a learning rate of their own and no decay."""
        return [*self.gene_weights.parameters(), *self.burden.parameters()]

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer with the share of cases."""
        nn.init.constant_(self.head.bias, math.log(case_share / (1 - case_share)))


class PaperCNN(nn.Module):
    """The CNN of Henriques et al. 2025 (doi 10.1515/jib-2024-0057), rebuilt from its layers and sizes.

    Two convolutions with pooling along the features, then one dense layer on everything: 9,711,313 numbers
    for 18,970 features of one channel. Knows neither chromosomes nor covariates; those are ignored.

    Raises
    ------
    InputError
        If nothing is left of the gene axis after the convolutions.
    """

    def __init__(self, config: PaperCNNConfig, shape: InputShape) -> None:
        super().__init__()
        n_left = shape.n_genes
        blocks: list[nn.Module] = []
        for n_in in (shape.n_channels, config.filters):
            blocks += [nn.Conv1d(n_in, config.filters, config.kernel_size), nn.ReLU()]
            blocks += [nn.BatchNorm1d(config.filters)] if config.batch_norm else []
            blocks.append(nn.MaxPool1d(2))
            n_left = (n_left - config.kernel_size + 1) // 2
        if n_left < 1:
            found = f"{shape.n_genes} genes for the paper's network with kernel_size {config.kernel_size}"
            wanted = f"at least {3 * config.kernel_size + 1}"
            raise InputError(fault("configuration", "model", found=found, wanted=wanted))
        self.convolutions = nn.Sequential(*blocks)
        self.dense = nn.Linear(config.filters * n_left, config.dense)
        self.norm = nn.BatchNorm1d(config.dense) if config.batch_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.dense, 1)

    @override
    def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
        """Logits, one per person; `covariates_BP` is ignored, as in the publication."""
        dense_B = torch.relu(self.dense(self.convolutions(x_BCG).flatten(1)))
        logit_B: Tensor = self.head(self.dropout(self.norm(dense_B))).squeeze(1)
        return logit_B

    def gene_parameters(self) -> list[nn.Parameter]:
        """None: every weight is shared."""
        return []

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer near the share of cases."""
        nn.init.constant_(self.head.bias, math.log(case_share / (1 - case_share)))


def _fill(length: int, window: int, gap: int) -> int:
    """Empty places that bring an axis of `length` to a multiple of `window`, at least `gap` of them."""
    return gap + (-(length + gap)) % window
