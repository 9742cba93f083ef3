"""The networks, in plain torch: they know nothing of ranks, files or reports.

Axes in names: B people, C channels, G genes, L places on the padded gene axis, F filters, W windows of
neighbouring genes, P covariates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from contract.errors import InputError, fault
from train.chosen_sets import ChosenSets
from train.config import GeneCNNConfig, PaperCNNConfig
from train.convolutions import GenomeConvolutions, InputShape
from train.effects.neighbours import neighbours_within
from train.features import Features, SparseFeatures, dense
from train.layers import PersonDropout, SharedBatchNorm


@dataclass(frozen=True)
class Fits:
    """K fits of gene effects side by side, in the scale of the network's features."""

    scout_KCG: Tensor
    reader_KCG: Tensor
    constant_KG: Tensor
    centre_K: Tensor
    set_weight_KS: Tensor


@dataclass(frozen=True)
class Entries:
    """Features that differ from a scaled zero: whose, of which gene, by which fit, and what they add to the
    reader's and the scout's score.
    """

    row_N: Tensor
    gene_N: Tensor
    fit_N: Tensor
    read_N: Tensor
    scored_N: Tensor


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
        self.left_out: Fits | None = None

    @override
    def forward(self, x: Features, group_B: Tensor | None) -> Tensor:
        """Logit of each person (B)."""
        with torch.autocast(self.scale.device.type, enabled=False):
            logit_B = self._sparse(x, group_B) if isinstance(x, SparseFeatures) else self._dense(x, group_B)
        return self.scale * logit_B

    def scores(self, x_BCL: Tensor, gene_L: Tensor, group_B: Tensor | None) -> Tensor:
        """The scout's score of some genes (B, L), whose features are given (B, C, L)."""
        score_BL = x_BCL.new_zeros(len(x_BCL), x_BCL.shape[2])
        fits, fit_B = self.fits_of(group_B, len(x_BCL))
        with torch.autocast(x_BCL.device.type, enabled=False):
            for k, rows in _sharing(fit_B):
                score_BL[rows] = torch.einsum("bcl,cl->bl", x_BCL[rows], fits.scout_KCG[k][:, gene_L])
        return score_BL

    def fits_of(self, group_B: Tensor | None, n_people: int) -> tuple[Fits, Tensor]:
        """The fits that people are scored by, and which of them scores each person (B)."""
        if group_B is not None and self.left_out is not None:
            return self.left_out, group_B
        own = (self.scout_CG, self.reader_CG, self.constant_G, self.centre, self.sets.weight_S)
        same_B = torch.zeros(n_people, dtype=torch.int64, device=self.scale.device)
        return Fits(*(tensor[None] for tensor in own)), same_B

    def _dense(self, x_BCG: Tensor, group_B: Tensor | None) -> Tensor:
        fits, fit_B = self.fits_of(group_B, len(x_BCG))
        logit_B = x_BCG.new_zeros(len(x_BCG))
        for k, rows in _sharing(fit_B):
            x, reader_CG, constant_G = x_BCG[rows], fits.reader_KCG[k], fits.constant_KG[k]
            if self._gates(fits):
                score_BG = torch.einsum("bcg,cg->bg", x, fits.scout_KCG[k])
                reader_BG = torch.einsum("bcg,cg->bg", x, reader_CG) + constant_G
                logit_B[rows] = self._gated(score_BG, reader_BG, fits.set_weight_KS[k]) - fits.centre_K[k]
            else:
                logit_B[rows] = x.flatten(1) @ reader_CG.flatten() + constant_G.sum() - fits.centre_K[k]
        return logit_B

    def _sparse(self, x: SparseFeatures, group_B: Tensor | None) -> Tensor:
        """The same of few entries: what scaled zeros add is one sum for all people of a fit."""
        fits, fit_B = self.fits_of(group_B, x.n_people)
        at_N = fit_B.index_select(0, x.row_N) * x.zero_CG.numel() + x.index_N
        read_N = x.change_N * fits.reader_KCG.flatten().index_select(0, at_N)
        if not self._gates(fits):
            zero_K = fits.reader_KCG.flatten(1) @ x.zero_CG.flatten() + fits.constant_KG.sum(1)
            logit_B = (zero_K - fits.centre_K).double().index_select(0, fit_B)
            return logit_B.index_add_(0, x.row_N, read_N.double()).to(x.change_N.dtype)
        scored_N = x.change_N * fits.scout_KCG.flatten().index_select(0, at_N)
        score_KG = (fits.scout_KCG * x.zero_CG).sum(1)
        reader_KG = (fits.reader_KCG * x.zero_CG).sum(1) + fits.constant_KG
        n_genes = x.zero_CG.shape[1]
        gene_N = x.index_N % n_genes
        if not fits.set_weight_KS.shape[1]:
            entries = Entries(x.row_N, gene_N, fit_B.index_select(0, x.row_N), read_N, scored_N)
            logit_K, logit_N = self._gated_entries(entries, score_KG, reader_KG, x.n_people)
            logit_B = (logit_K - fits.centre_K).index_select(0, fit_B)
            return logit_B.index_add_(0, x.row_N, logit_N).to(x.change_N.dtype)
        score_BG, reader_BG = score_KG.index_select(0, fit_B), reader_KG.index_select(0, fit_B)
        score_BG.view(-1).index_add_(0, x.row_N * n_genes + gene_N, scored_N)
        reader_BG.view(-1).index_add_(0, x.row_N * n_genes + gene_N, read_N)
        logit_B = -fits.centre_K.index_select(0, fit_B)
        for k, rows in _sharing(fit_B):
            logit_B[rows] += self._gated(score_BG[rows], reader_BG[rows], fits.set_weight_KS[k])
        return logit_B

    def _gated_entries(
        self, entries: Entries, score_KG: Tensor, reader_KG: Tensor, n_people: int
    ) -> tuple[Tensor, Tensor]:
        """What scaled zeros of each fit (K) and each entry (N) add to the logit, in double precision.

        With r and s of zeros, d and e what entries add to them, and N s sums over neighbours (N is
        symmetric), Σ (r + d) (1 + gate × N (s + e)) = Σ r (1 + gate × N s) + Σ d (1 + gate × N (s + e))
        + gate × Σ e N r. Only N e has to be summed anew for each person.
        """
        n_genes, gate = score_KG.shape[1], self.gate.double()
        place_G = torch.empty_like(self.order_G)
        place_G[self.order_G] = torch.arange(n_genes, device=place_G.device)
        place_N = place_G.index_select(0, entries.gene_N)
        reader_KG, score_KG = reader_KG.double()[:, self.order_G], score_KG.double()[:, self.order_G]
        own_BG = score_KG.new_zeros(n_people, n_genes)
        own_BG.view(-1).index_add_(0, entries.row_N * n_genes + place_N, entries.scored_N.double())
        low_N, high_N = (
            entries.row_N * (n_genes + 1) + bound_G.index_select(0, place_N)
            for bound_G in (self.low_G, self.high_G)
        )
        before_B = nn.functional.pad(own_BG.cumsum(1), (1, 0)).view(-1)
        near_N = before_B.index_select(0, high_N) - before_B.index_select(0, low_N)
        near_N -= own_BG.view(-1).index_select(0, entries.row_N * n_genes + place_N)
        near_score_KG, near_reader_KG = self._near(score_KG), self._near(reader_KG)
        at_N = entries.fit_N * n_genes + place_N
        near_N += near_score_KG.flatten().index_select(0, at_N)
        logit_N = entries.read_N * (1 + gate * near_N)
        logit_N += gate * entries.scored_N * near_reader_KG.flatten().index_select(0, at_N)
        return (reader_KG * (1 + gate * near_score_KG)).sum(1), logit_N

    def _near(self, value_XG: Tensor) -> Tensor:
        """Sums over the neighbours of each place, without itself."""
        before_XG = nn.functional.pad(value_XG.double().cumsum(1), (1, 0))
        return (before_XG[:, self.high_G] - before_XG[:, self.low_G]).to(value_XG.dtype) - value_XG

    def _gates(self, fits: Fits) -> bool:
        return bool(self.gate) or fits.set_weight_KS.shape[1] > 0

    def _gated(self, score_BG: Tensor, reader_BG: Tensor, set_weight_S: Tensor) -> Tensor:
        near_BG = self._near(score_BG[:, self.order_G])
        gated_BG = reader_BG[:, self.order_G] * (1 + self.gate * near_BG)
        logit_B = gated_BG.sum(1)
        return logit_B + self.sets(score_BG, reader_BG, set_weight_S) if len(set_weight_S) else logit_B


def _sharing(fit_B: Tensor) -> Iterator[tuple[int, Tensor | slice]]:
    """Each fit that scores someone, and the rows of those people."""
    used = sorted(set(fit_B.tolist()))
    for k in used:
        yield k, torch.nonzero(fit_B == k).squeeze(1) if len(used) > 1 else slice(None)


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
    def forward(self, x: Features, covariates_BP: Tensor, group_B: Tensor | None = None) -> Tensor:
        """Logits, one per person; `group_B` names the fit of gene effects that does not know the person."""
        # A product and a sum, because a matrix product is rounded in mixed precision.
        fixed_B = self.intercept + (covariates_BP * self.covariate_P).sum(1)
        return fixed_B + self.gene_logit(x, group_B)

    def gene_logit(self, x: Features, group_B: Tensor | None = None) -> Tensor:
        """The part of the logit that genes give (B)."""
        logit_B: Tensor = self.direct(x, group_B)
        if self.rest is None or self.head is None or not self.convolving:
            return logit_B
        hidden_BH = self.dropout(self.rest(self._attended(self.rest, x, group_B)))
        summed_B: Tensor = logit_B + self.head(hidden_BH).squeeze(1)
        return summed_B

    def _attended(self, rest: GenomeConvolutions, x: Features, group_B: Tensor | None) -> Tensor:
        """What the convolutions see (B, L, C + 1), see `GenomeConvolutions.forward`."""
        if isinstance(x, SparseFeatures):
            return self._attended_sparse(rest, x, group_B)
        x_BCL = x.index_select(2, rest.gene_L)
        score_BL = self.direct.scores(x_BCL, rest.gene_L, group_B) * rest.present_L
        return torch.cat([(x_BCL * rest.factor_L).transpose(1, 2), score_BL[:, :, None]], dim=2)

    def _attended_sparse(self, rest: GenomeConvolutions, x: SparseFeatures, group_B: Tensor | None) -> Tensor:
        n_channels, n_genes = x.zero_CG.shape
        fits, fit_B = self.direct.fits_of(group_B, x.n_people)
        zero_CL, factor_L = x.zero_CG[:, rest.gene_L], rest.factor_L
        score_KL = (fits.scout_KCG[:, :, rest.gene_L] * zero_CL).sum(1) * rest.present_L
        zero_KLC = (zero_CL * factor_L).T.expand(len(score_KL), -1, -1)
        x_BLI = torch.cat([zero_KLC, score_KL[:, :, None]], dim=2).index_select(0, fit_B)
        place_N = rest.place_G.index_select(0, x.index_N % n_genes)
        taken = torch.nonzero(place_N >= 0).squeeze(1)
        place_N, row_N = place_N[taken], x.row_N[taken]
        index_N, change_N = x.index_N[taken], x.change_N[taken]
        at_N = (row_N * len(factor_L) + place_N) * (n_channels + 1)
        score_N = change_N * fits.scout_KCG.flatten()[fit_B[row_N] * x.zero_CG.numel() + index_N]
        entries = torch.cat([change_N * factor_L[place_N], score_N])
        x_BLI.view(-1).index_add_(0, torch.cat([at_N + index_N // n_genes, at_N + n_channels]), entries)
        return x_BLI

    @property
    def starts_somewhere(self) -> bool:
        """Whether the model says something before its first step."""
        return True

    @property
    def has_rest(self) -> bool:
        """Whether there is anything to train beside the direct path."""
        return self.rest is not None

    @property
    def heavy_parts(self) -> list[nn.Module]:
        """Where a step's time goes."""
        return [] if self.rest is None else [self.rest]

    def without_rest(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same weights with the convolutions switched off."""
        return {**weights, "convolving": torch.tensor(False)}

    def hidden_units(self, x_BCG: Tensor) -> Tensor:
        """Activations of the hidden layer (B, H); H = 0 where the convolutions are off."""
        if self.rest is None or not self.convolving:
            return x_BCG.new_empty(len(x_BCG), 0)
        hidden_BH: Tensor = self.rest(self._attended(self.rest, x_BCG, None))
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
    def forward(self, x: Features, covariates_BP: Tensor, group_B: Tensor | None = None) -> Tensor:
        """Logits, one per person; `covariates_BP` and groups are ignored, as in the publication."""
        logit_B: Tensor = self.head(self.dropout(self.hidden_units(dense(x)))).squeeze(1)
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

    @property
    def heavy_parts(self) -> list[nn.Module]:
        """Where a step's time goes."""
        return [self.convolutions, self.dense]

    def without_rest(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """There is nothing to switch off."""
        return weights

    def start_from(self, case_share: float) -> None:
        """Let an untrained model answer near the share of cases."""
        nn.init.constant_(self.head.bias, math.log(case_share / (1 - case_share)))
