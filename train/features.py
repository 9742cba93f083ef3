"""Scaled features of people as they travel into a network: few of them differ from a scaled zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True)
class SparseFeatures:
    """Features of B people that are those of `zero_CG`, but for N of them.

    Entry n belongs to the person in row `row_N` and the feature `index_N` (channel × n_genes + gene), at most
    once each, and lies `change_N` above the scaled zero. `densify` makes x_BCG of them.
    """

    n_people: int
    row_N: Tensor
    index_N: Tensor
    change_N: Tensor
    zero_CG: Tensor
    densify: Callable[[], Tensor]

    @cached_property
    def dense_BCG(self) -> Tensor:
        """The same features, people × channels × genes; made once."""
        return self.densify()


Features = Tensor | SparseFeatures
"""What networks take: x_BCG, or the same sparse."""


def dense(x: Features) -> Tensor:
    """x_BCG."""
    return x.dense_BCG if isinstance(x, SparseFeatures) else x
