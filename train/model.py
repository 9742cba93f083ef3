"""The networks, in plain torch: they know nothing of ranks, files or reports.

Axes in names: B people, C channels, G genes, H burdens (mixtures of channels), L places on the padded gene axis,
F filters, W windows of neighbouring genes, P covariates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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


class GenomeConvolution(nn.Module):
    """Convolution along the genome, normalised and rectified; empty places stay zero, so that stacked layers
    never carry anything from one chromosome to the next."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=not batch_norm)
        self.norm = nn.BatchNorm1d(n_out) if batch_norm else nn.Identity()

    def forward(self, x_BFL: Tensor, present_L: Tensor) -> Tensor:
        return torch.relu(self.norm(self.convolution(x_BFL))) * present_L


class GeneCNN(nn.Module):
    """The project's network.

    Channels of a gene are mixed into burdens by weights that all genes share (a pointwise convolution). Burdens
    go two ways: a weight for each gene, so that the net knows which gene it looks at, and convolutions along the
    genome, pooled into windows of neighbouring genes. Covariates join before the last layer. The sum is the
    logit of being a case.
    """

    present_L: Tensor
    layout_L: Tensor

    def __init__(self, config: GeneCNNConfig, shape: InputShape) -> None:
        super().__init__()
        layout = torch.tensor(padded_layout(shape.contigs, config.window, config.kernel_size // 2))
        self.register_buffer("layout_L", layout.clamp(min=0), persistent=False)
        self.register_buffer("present_L", (layout >= 0).float(), persistent=False)
        self.mix = nn.Conv1d(shape.n_channels, config.burdens, 1, bias=False)
        self.gene_dropout = config.gene_dropout
        self.gene_weight = nn.Parameter(torch.zeros(config.burdens, shape.n_genes))
        widths = [config.burdens] + [config.filters] * config.layers
        self.convolutions = nn.ModuleList(
            GenomeConvolution(n_in, n_out, config.kernel_size, batch_norm=config.batch_norm)
            for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
        )
        self.pool = nn.AvgPool1d(config.window)
        self.hidden = nn.Linear(config.filters * (len(layout) // config.window), config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden + shape.n_covariates, 1)
        nn.init.constant_(self.mix.weight, 1 / math.sqrt(shape.n_channels))
        with torch.no_grad():
            self.mix.weight += 0.1 * torch.randn_like(self.mix.weight)
        nn.init.zeros_(self.head.weight)

    def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
        """Logits, one per person."""
        burden_BHG = self._drop_genes(self.mix(x_BCG))
        gene_logit_B = (burden_BHG * self.gene_weight).sum(dim=(1, 2))
        x_BFL = burden_BHG[:, :, self.layout_L] * self.present_L
        for convolution in self.convolutions:
            x_BFL = convolution(x_BFL, self.present_L)
        window_BFW = self.pool(x_BFL)
        hidden_B = self.dropout(torch.relu(self.hidden(self.dropout(window_BFW.flatten(1)))))
        return gene_logit_B + self.head(torch.cat([hidden_B, covariates_BP], dim=1)).squeeze(1)

    def gene_parameters(self) -> list[nn.Parameter]:
        """Weights that belong to one gene each; they have a weight decay of their own."""
        return [self.gene_weight]

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer with the share of cases."""
        nn.init.constant_(self.head.bias, math.log(case_share / (1 - case_share)))

    def _drop_genes(self, burden_BHG: Tensor) -> Tensor:
        if not self.training or not self.gene_dropout:
            return burden_BHG
        kept_B1G = torch.rand_like(burden_BHG[:, :1]) >= self.gene_dropout
        return burden_BHG * kept_B1G / (1 - self.gene_dropout)


class PaperCNN(nn.Module):
    """The CNN of Henriques et al. 2025 (doi 10.1515/jib-2024-0057), rebuilt from its published layers and sizes.

    Two convolutions with pooling along the features, then one dense layer on everything: 9,711,313 numbers for
    18,970 features of one channel. Knows neither chromosomes nor covariates; those are ignored.
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
        self.convolutions = nn.Sequential(*blocks)
        self.dense = nn.Linear(config.filters * n_left, config.dense)
        self.norm = nn.BatchNorm1d(config.dense) if config.batch_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.dense, 1)

    def forward(self, x_BCG: Tensor, covariates_BP: Tensor) -> Tensor:
        """Logits, one per person; `covariates_BP` is ignored, as in the publication."""
        dense_B = torch.relu(self.dense(self.convolutions(x_BCG).flatten(1)))
        return self.head(self.dropout(self.norm(dense_B))).squeeze(1)

    def gene_parameters(self) -> list[nn.Parameter]:
        """None: every weight is shared."""
        return []

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer near the share of cases."""
        nn.init.constant_(self.head.bias, math.log(case_share / (1 - case_share)))


def _fill(length: int, window: int, gap: int) -> int:
    """Empty places that bring an axis of `length` to a multiple of `window`, at least `gap` of them."""
    return gap + (-(length + gap)) % window
