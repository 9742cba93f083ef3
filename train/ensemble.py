"""The network of a run: one alone, or several side by side that score together.

Axes in names: K networks, B people, C channels, G genes, P covariates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from train.config import GeneCNNConfig, ModelConfig
from train.convolutions import InputShape
from train.features import Features
from train.model import GeneCNN, PaperCNN

Member = GeneCNN | PaperCNN


class Ensemble(nn.Module):
    """Networks of one configuration, each with a start and dropout of its own; their mean logit is the score.

    A deep ensemble (Lakshminarayanan et al. 2017, arXiv 1612.01474) whose members are trained in one pass.
    They share people, steps and the epoch that is kept, and no weight.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @override
    def forward(self, x: Features, covariates_BP: Tensor, group_B: Tensor | None = None) -> Tensor:
        """Mean logit of each person (B); while training, the logits of each member (K, B)."""
        # In mixed precision members may answer in 8 bits of mantissa: the mean is taken of full numbers.
        logit_KB = torch.stack([member(x, covariates_BP, group_B).float() for member in self.members])
        return logit_KB if self.training else logit_KB.mean(0)

    @property
    def starts_somewhere(self) -> bool:
        """Whether the members say something before their first step."""
        return members_of(self)[0].starts_somewhere

    @property
    def has_rest(self) -> bool:
        """Whether there is anything to train."""
        return members_of(self)[0].has_rest

    def without_rest(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same weights with the convolutions of all members switched off, where they can be."""
        found = dict(weights)
        for number, member in enumerate(members_of(self)):
            prefix = f"members.{number}."
            own = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
            found |= {prefix + name: weight for name, weight in member.without_rest(own).items()}
        return found

    def hidden_units(self, x_BCG: Tensor) -> Tensor:
        """Hidden units of all members, side by side (B, H)."""
        return torch.cat([member.hidden_units(x_BCG) for member in members_of(self)], dim=1)

    def start_from(self, case_share: float) -> None:
        """Let untrained members answer with the share of cases."""
        for member in members_of(self):
            member.start_from(case_share)


Network = GeneCNN | PaperCNN | Ensemble


def build_model(config: ModelConfig, shape: InputShape) -> Network:
    """The network that the configuration names; an `Ensemble` where it wants more than one member.

    Without convolutions there is nothing that members could differ in: then one stands for all.
    """
    if isinstance(config, GeneCNNConfig):
        networks: list[Member] = [
            GeneCNN(config, shape) for _ in range(config.members if config.convolution else 1)
        ]
    else:
        networks = [PaperCNN(config, shape) for _ in range(config.members)]
    return networks[0] if len(networks) == 1 else Ensemble(networks)


def members_of(network: Network) -> list[Member]:
    """The networks that an ensemble is made of; a network alone is its only member."""
    return cast(list[Member], list(network.members)) if isinstance(network, Ensemble) else [network]
