"""The networks, in plain torch: they know nothing of ranks, files or reports.

Axes in names: B people, C channels, G genes, L places on the padded gene axis, F filters, W windows of
neighbouring genes, P covariates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from contract.errors import InputError, fault
from train.chosen_sets import ChosenSets
from train.config import GeneCNNConfig, PaperCNNConfig
from train.effects.neighbours import neighbours_within
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
        self.norm = SharedBatchNorm(n_out) if batch_norm else nn.Identity()

    @override
    def forward(self, x_BF1L: Tensor, present_L: Tensor) -> Tensor:
        """Activations, zero at empty places."""
        return torch.relu(self.norm(self.convolution(x_BF1L))) * present_L


class DirectPath(nn.Module):
    """From features through a weight for each gene and channel straight to the logit.

    The weights come from empirical Bayes (train.effects) and do not move with gradients, which would overfit
    them: only `scale` is trained. A gene's part may be gated by its neighbours and by the other genes of
    gene sets: r_g (1 + gate × n_g + Σ_s w_s o_gs), where r are features times the reader's weights, and n and
    o sums of the neighbours' and the set's other genes' features times the scout's (`ChosenSets`).

    While training, people of group k are scored by the fit that has not seen that group, so that the other
    layers learn what is left for people whom the weights do not know. Mixed precision stops here: rounding
    many small weights would cost more than it saves.
    """

    scout_CG: Tensor
    reader_CG: Tensor
    constant_G: Tensor
    centre: Tensor
    gate: Tensor
    order_G: Tensor
    low_G: Tensor
    high_G: Tensor

    def __init__(self, shape: InputShape, reach: int) -> None:
        super().__init__()
        sizes = (shape.n_channels, shape.n_genes)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("scout_CG", torch.zeros(sizes))
        self.register_buffer("reader_CG", torch.zeros(sizes))
        self.register_buffer("constant_G", torch.zeros(shape.n_genes))
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("gate", torch.zeros(()))
        self.register_buffer("order_G", torch.arange(shape.n_genes))
        near = neighbours_within(shape.contigs, max(reach, 1))
        self.register_buffer("low_G", torch.from_numpy(near.low_G), persistent=False)
        self.register_buffer("high_G", torch.from_numpy(near.high_G), persistent=False)
        self.sets = ChosenSets(shape.n_genes)
        self.left_out: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []

    @override
    def forward(self, x_BCG: Tensor, group_B: Tensor | None) -> Tensor:
        """Logit of each person (B)."""
        logit_B = x_BCG.new_zeros(len(x_BCG))
        with torch.autocast(x_BCG.device.type, enabled=False):
            for rows, weights in self._fits(group_B):
                logit_B[rows] = self._logit(x_BCG[rows], weights)
        return self.scale * logit_B

    def scores(self, x_BCL: Tensor, gene_L: Tensor, group_B: Tensor | None) -> Tensor:
        """The scout's score of some genes (B, L), whose features are given (B, C, L)."""
        score_BL = x_BCL.new_zeros(len(x_BCL), x_BCL.shape[2])
        with torch.autocast(x_BCL.device.type, enabled=False):
            for rows, (scout_CG, *_) in self._fits(group_B):
                score_BL[rows] = torch.einsum("bcl,cl->bl", x_BCL[rows], scout_CG[:, gene_L])
        return score_BL

    def _fits(self, group_B: Tensor | None) -> Iterator[tuple[Tensor | slice, tuple[Tensor, ...]]]:
        """Rows of the batch that share a fit, and its weights."""
        if group_B is None or not self.left_out:
            fixed = (self.scout_CG, self.reader_CG, self.constant_G, self.centre, self.sets.weight_S)
            yield slice(None), fixed
            return
        for group in sorted(set(group_B.tolist())):
            yield torch.nonzero(group_B == group).squeeze(1), self.left_out[group]

    def _logit(self, x_BCG: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        scout_CG, reader_CG, constant_G, centre, set_weight_S = weights
        if not self.gate and not len(set_weight_S):
            return x_BCG.flatten(1) @ reader_CG.flatten() + constant_G.sum() - centre
        score_BG = torch.einsum("bcg,cg->bg", x_BCG, scout_CG)
        ordered_BG = score_BG[:, self.order_G]
        before_BG = nn.functional.pad(ordered_BG.double().cumsum(1), (1, 0))
        near_BG = (before_BG[:, self.high_G] - before_BG[:, self.low_G]).to(ordered_BG.dtype) - ordered_BG
        reader_BG = torch.einsum("bcg,cg->bg", x_BCG, reader_CG) + constant_G
        gated_BG = reader_BG[:, self.order_G] * (1 + self.gate * near_BG)
        logit_B = gated_BG.sum(1) - centre
        return logit_B + self.sets(score_BG, reader_BG, set_weight_S) if len(set_weight_S) else logit_B


class GenomeConvolutions(nn.Module):
    """What single genes do not tell: convolutions along the genome, pooled into windows, and a hidden layer.

    They see the scout's score of each gene, and mixtures of channels scaled by how likely the gene matters.
    Only the genes most likely to matter take part: the others would add noise and most of the time.
    """

    gene_L: Tensor
    present_L: Tensor
    relevance_L: Tensor

    def __init__(self, config: GeneCNNConfig, shape: InputShape) -> None:
        super().__init__()
        self.window, self.gap = config.window, config.kernel_size // 2
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
        self.pool = nn.AvgPool2d((1, config.window))
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

    @override
    def forward(self, x_BCG: Tensor, direct: DirectPath, group_B: Tensor | None) -> Tensor:
        """Activations of the hidden layer (B, H)."""
        x_BCL = x_BCG.index_select(2, self.gene_L)
        mixed_BLF = self.mix(x_BCL) * self.relevance_L[:, None]
        joined_BLF = torch.cat([mixed_BLF, direct.scores(x_BCL, self.gene_L, group_B)[:, :, None]], dim=2)
        x_BF1L = (joined_BLF * self.present_L[:, None]).transpose(1, 2).unsqueeze(2)
        for convolution in self.convolutions:
            x_BF1L = convolution(x_BF1L, self.present_L)
        window_BFW = self.pool(x_BF1L).squeeze(2)
        return torch.relu(self.hidden(self.dropout(window_BFW.flatten(1))))


class GeneCNN(nn.Module):
    """The project's network.

    A weight for each gene and channel, found by empirical Bayes, leads straight to the logit (`DirectPath`).
    What single genes do not tell is left to convolutions, with dropout and a hidden layer; `convolving`
    switches them off where validation people do not show that they help. Covariates join at the end. The sum
    is the logit of being a case.
    """

    convolving: Tensor

    def __init__(self, config: GeneCNNConfig, shape: InputShape) -> None:
        super().__init__()
        self.register_buffer("convolving", torch.tensor(config.convolution))
        self.direct = DirectPath(shape, config.effects.neighbours)
        self.rest = GenomeConvolutions(config, shape) if config.convolution else None
        self.dropout = PersonDropout(config.dropout)
        self.head = nn.Linear(config.hidden, 1, bias=False) if config.convolution else None
        self.intercept = nn.Parameter(torch.zeros(()))
        self.covariate_P = nn.Parameter(torch.zeros(shape.n_covariates), requires_grad=shape.n_covariates > 0)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)

    @override
    def forward(self, x_BCG: Tensor, covariates_BP: Tensor, group_B: Tensor | None = None) -> Tensor:
        """Logits, one per person; `group_B` names the fit of gene effects that does not know the person."""
        # A product and a sum, because a matrix product is rounded in mixed precision.
        fixed_B = self.intercept + (covariates_BP * self.covariate_P).sum(1)
        return fixed_B + self.gene_logit(x_BCG, group_B)

    def gene_logit(self, x_BCG: Tensor, group_B: Tensor | None = None) -> Tensor:
        """The part of the logit that genes give (B)."""
        logit_B: Tensor = self.direct(x_BCG, group_B)
        if self.rest is None or self.head is None or not self.convolving:
            return logit_B
        hidden_BH = self.dropout(self.rest(x_BCG, self.direct, group_B))
        summed_B: Tensor = logit_B + self.head(hidden_BH).squeeze(1)
        return summed_B

    @property
    def starts_somewhere(self) -> bool:
        """Whether the model says something before its first step."""
        return True

    @property
    def has_rest(self) -> bool:
        """Whether there is anything to train beside the direct path."""
        return self.rest is not None

    def without_rest(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same weights with the convolutions switched off."""
        return {**weights, "convolving": torch.tensor(False)}

    def hidden_units(self, x_BCG: Tensor) -> Tensor:
        """Activations of the hidden layer (B, H); H = 0 where the convolutions are off."""
        if self.rest is None or not self.convolving:
            return x_BCG.new_empty(len(x_BCG), 0)
        hidden_BH: Tensor = self.rest(x_BCG, self.direct, None)
        return hidden_BH

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer with the share of cases."""
        nn.init.constant_(self.intercept, math.log(case_share / (1 - case_share)))


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
            blocks += [SharedBatchNorm(config.filters)] if config.batch_norm else []
            blocks += [nn.MaxPool1d(2), PersonDropout(config.dropout)]
            n_left = (n_left - config.kernel_size + 1) // 2
        if n_left < 1:
            found = f"{shape.n_genes} genes for the paper's network with kernel_size {config.kernel_size}"
            wanted = f"at least {3 * config.kernel_size + 1}"
            raise InputError(fault("configuration", "model", found=found, wanted=wanted))
        self.convolutions = nn.Sequential(*blocks)
        self.dense = nn.Linear(config.filters * n_left, config.dense)
        self.norm = SharedBatchNorm(config.dense) if config.batch_norm else nn.Identity()
        self.dropout = PersonDropout(config.dropout)
        self.head = nn.Linear(config.dense, 1)

    @override
    def forward(self, x_BCG: Tensor, covariates_BP: Tensor, group_B: Tensor | None = None) -> Tensor:
        """Logits, one per person; `covariates_BP` and groups are ignored, as in the publication."""
        logit_B: Tensor = self.head(self.dropout(self.hidden_units(x_BCG))).squeeze(1)
        return logit_B

    def hidden_units(self, x_BCG: Tensor) -> Tensor:
        """Activations of the dense layer, normalised (B, H)."""
        hidden_BH: Tensor = self.norm(torch.relu(self.dense(self.convolutions(x_BCG).flatten(1))))
        return hidden_BH

    @property
    def starts_somewhere(self) -> bool:
        """It begins with random weights."""
        return False

    @property
    def has_rest(self) -> bool:
        """Everything is to be trained."""
        return True

    def without_rest(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """There is nothing to switch off."""
        return weights

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer near the share of cases."""
        nn.init.constant_(self.head.bias, math.log(case_share / (1 - case_share)))


def _fill(length: int, window: int, gap: int) -> int:
    """Empty places that bring an axis of `length` to a multiple of `window`, at least `gap` of them."""
    return gap + (-(length + gap)) % window
