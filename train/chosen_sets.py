"""Gene sets that training chose, as a part of the network: they travel with its weights.

Axes in names: B people, G genes, U genes that belong to a set, S sets.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

NAMES = ("gene_U", "member_US", "weight_S")


class ChosenSets(nn.Module):
    """What the other genes of a gene's sets multiply its part by: Σ_s w_s (Σ_{j in s} score_j - score_g).

    Only the sets chosen and their genes are kept, so that scoring needs no file of sets.
    """

    gene_U: Tensor
    member_US: Tensor
    weight_S: Tensor

    def __init__(self, n_genes: int) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.register_buffer("gene_U", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("member_US", torch.zeros(0, 0))
        self.register_buffer("weight_S", torch.zeros(0))

    def choose(self, gene_U: Tensor, member_US: Tensor, weight_S: Tensor) -> None:
        """Take these sets: their genes, which gene belongs to which, and the sets' weights."""
        device = self.weight_S.device
        self.gene_U, self.member_US = gene_U.to(device), member_US.to(device)
        self.weight_S = weight_S.to(device)

    @override
    def forward(self, score_BG: Tensor, reader_BG: Tensor, weight_S: Tensor) -> Tensor:
        """What sets add to the logit (B), with `weight_S` in place of the weights kept.

        Parameters
        ----------
        score_BG
            Scores that gate.
        reader_BG
            Parts of the logit that are gated.
        weight_S
            Weights of the fit whose scores these are.
        """
        score_BU = score_BG[:, self.gene_U]
        # A set's sum holds the gene itself, whose share is taken off again.
        others_BU = (score_BU @ self.member_US * weight_S) @ self.member_US.T
        others_BU = others_BU - score_BU * (self.member_US @ weight_S)
        return (reader_BG[:, self.gene_U] * others_BU).sum(1)

    @override
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any, **more: Any) -> None:
        """How many sets there are, the weights themselves tell; those of a network without sets have none."""
        given = [state_dict.setdefault(prefix + name, getattr(self, name)) for name in NAMES]
        gene_U, member_US, weight_S = given
        fits = member_US.shape == (len(gene_U), len(weight_S))
        if fits and bool(((gene_U >= 0) & (gene_U < self.n_genes)).all()):
            self.choose(*(torch.empty_like(tensor) for tensor in given))
        else:
            # A size that no buffer has: torch refuses it as that of another network.
            state_dict[prefix + "member_US"] = member_US.new_zeros(len(self.member_US) + 1, 0)
        super()._load_from_state_dict(state_dict, prefix, *rest, **more)
