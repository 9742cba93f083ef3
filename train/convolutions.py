"""Convolutions along the genome, in plain torch.

Axes in names: B people, C channels, I inputs of a layer, L places on the padded gene axis, F filters, W
windows of T neighbouring places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from typing_extensions import override

from train.config import GeneCNNConfig
from train.layers import PersonDropout, SharedBatchNorm


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
    """Mixtures of the channels, the same for every gene (M, C)."""

    def __init__(self, n_channels: int, n_mixtures: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_mixtures, n_channels), 1 / math.sqrt(n_channels)))


class GenomeConvolution(nn.Module):
    """Convolution along the genome, normalised and rectified.

    Empty places stay zero, so that stacked layers never carry anything from one chromosome to the next.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: int, *, batch_norm: bool) -> None:
        super().__init__()
        padding = (0, kernel_size // 2)
        self.convolution = nn.Conv2d(n_in, n_out, (1, kernel_size), padding=padding, bias=not batch_norm)
        self.norm = SharedBatchNorm(n_out) if batch_norm else nn.Identity()

    @override
    def forward(self, x_BLI: Tensor, present_L: Tensor, weight_FI1T: Tensor | None = None) -> Tensor:
        """Activations (B, L, F), zero at empty places; a weight given stands in for the layer's own."""
        weight_FI1T = self.convolution.weight if weight_FI1T is None else weight_FI1T
        # With channels last in memory, which is several times faster on CPUs than `Conv1d`.
        x_BI1L = x_BLI.transpose(1, 2).unsqueeze(2)
        y_BF1L = conv2d(x_BI1L, weight_FI1T, self.convolution.bias, padding=self.convolution.padding)
        y_BLF = y_BF1L.squeeze(2).transpose(1, 2).contiguous()
        if not isinstance(self.norm, SharedBatchNorm):
            return torch.relu(y_BLF) * present_L[:, None]
        # Scale, shift and mask in one pass over long rows: rows of F numbers take many times longer.
        scale_F, shift_F = self.norm.scale_and_shift(y_BLF)
        scale_LF, shift_LF = present_L[:, None] * scale_F, present_L[:, None] * shift_F
        flat_BLF = torch.addcmul(shift_LF.flatten(), y_BLF.flatten(1), scale_LF.flatten())
        return torch.relu_(flat_BLF).view(y_BLF.shape)


class GenomeConvolutions(nn.Module):
    """What single genes do not tell: convolutions along the genome, pooled into windows, and a hidden layer.

    They see the scout's score of each gene, and mixtures of channels scaled by how likely the gene matters.
    Only the genes most likely to matter take part: the others would add noise and most of the time.
    """

    gene_L: Tensor
    present_L: Tensor
    relevance_L: Tensor
    pool_TFF: Tensor

    def __init__(self, config: GeneCNNConfig, shape: InputShape) -> None:
        super().__init__()
        self.window, self.gap, self.n_genes = config.window, config.kernel_size // 2, shape.n_genes
        self.n_attended = min(config.attended_genes, shape.n_genes)
        n_contigs = len(set(shape.contigs))
        most = self.n_attended + n_contigs * (self.gap + self.window - 1)
        n_places = -(-most // self.window) * self.window
        self.register_buffer("gene_L", torch.zeros(n_places, dtype=torch.int64))
        self.register_buffer("present_L", torch.zeros(n_places))
        self.register_buffer("relevance_L", torch.zeros(n_places))
        places = torch.arange(shape.n_genes)
        self.attend(places, torch.ones(shape.n_genes), shape.contigs)
        self.mix = ChannelMix(shape.n_channels, config.burdens)
        nn.init.normal_(self.mix.weight, std=1 / math.sqrt(shape.n_channels))
        widths = [config.burdens + 1] + [config.filters] * config.layers
        self.convolutions = nn.ModuleList(
            GenomeConvolution(n_in, n_out, config.kernel_size, batch_norm=config.batch_norm)
            for n_in, n_out in itertools.pairwise(widths)
        )
        pool_TFF = torch.eye(config.filters).repeat(config.window, 1) / config.window
        self.register_buffer("pool_TFF", pool_TFF, persistent=False)
        self.dropout = PersonDropout(config.dropout)
        self.hidden = nn.Linear(config.filters * (n_places // config.window), config.hidden)

    def attend(self, order_G: Tensor, relevance_G: Tensor, contigs: Sequence[str]) -> None:
        """Choose the genes that take part: the most relevant, in the order given.

        Parameters
        ----------
        order_G
            Gene at each place of the genome.
        relevance_G
            How likely each gene matters.
        contigs
            Chromosome of each place.
        """
        rank = torch.argsort(relevance_G, descending=True, stable=True)
        chosen_G = torch.zeros(len(relevance_G), dtype=torch.bool)
        chosen_G[rank[: self.n_attended]] = True
        places = torch.nonzero(chosen_G[order_G]).squeeze(1)
        layout = padded_layout([contigs[place] for place in places.tolist()], self.window, self.gap)
        layout += [-1] * (len(self.gene_L) - len(layout))
        place_L = torch.tensor(layout)
        self.gene_L.copy_(order_G[places][place_L.clamp(min=0)])
        self.present_L.copy_((place_L >= 0).float())
        self.relevance_L.copy_(relevance_G[self.gene_L.cpu()])

    @property
    def place_G(self) -> Tensor:
        """Place of each gene on the padded axis; -1 where it does not take part."""
        at = torch.nonzero(self.present_L).squeeze(1)
        nowhere = torch.full((self.n_genes,), -1, device=at.device)
        return nowhere.index_put((self.gene_L[at],), at)

    @property
    def factor_L(self) -> Tensor:
        """What the features at each place are multiplied by: how likely the gene matters, 0 at empty ones."""
        return self.relevance_L * self.present_L

    @override
    def forward(self, x_BLI: Tensor) -> Tensor:
        """Activations of the hidden layer (B, H).

        Parameters
        ----------
        x_BLI
            At each place the features of the C channels times `factor_L`, and the scout's score, 0 at empty
            places.
        """
        first, *others = self.convolutions
        x_BLF = first(x_BLI, self.present_L, self._mixing_weight())
        for convolution in others:
            x_BLF = convolution(x_BLF, self.present_L)
        n_people, n_places = x_BLF.shape[:2]
        window_BWF = x_BLF.view(n_people, n_places // self.window, -1) @ self.pool_TFF
        window_BFW = window_BWF.transpose(1, 2)
        return torch.relu(self.hidden(self.dropout(window_BFW.flatten(1))))

    def _mixing_weight(self) -> Tensor:
        """The first convolution's weights on channels and score, which it sees as mixtures and score.

        A convolution of mixtures is one of the channels: their mixtures need not be laid out.
        """
        weight_FI1T = cast(GenomeConvolution, self.convolutions[0]).convolution.weight
        mixtures_FM1T, score_FI1T = weight_FI1T[:, :-1], weight_FI1T[:, -1:]
        channels_FC1T = torch.einsum("fmkt,mc->fckt", mixtures_FM1T, self.mix.weight)
        return torch.cat([channels_FC1T, score_FI1T], dim=1)


def _fill(length: int, window: int, gap: int) -> int:
    """Empty places that bring an axis of `length` to a multiple of `window`, at least `gap` of them."""
    return gap + (-(length + gap)) % window
