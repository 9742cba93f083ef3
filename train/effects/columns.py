"""Features of many people by column: what coordinate ascent over genes reads.

Axes in names: M people, C channels, G genes, F features (flat index = channel × n_genes + gene), N entries
that are not zero, P fixed columns, K groups of people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from train.sparse import SparseRows

Floats = NDArray[np.float64]
Blocks = Callable[[], Iterable[tuple[NDArray[np.int64], SparseRows]]]
"""Each call goes once over all people: rows on the axis M, and their features."""


@dataclass(frozen=True)
class GeneColumns:
    """Sparse features of M people; feature f owns entries start_F[f]:start_F[f + 1].

    The axis F is that of the dataset. Zeros are not stored, values are not scaled.
    """

    n_people: int
    n_channels: int
    start_F: NDArray[np.int64]
    person_N: NDArray[np.int32]
    value_N: NDArray[np.float32]

    @property
    def n_genes(self) -> int:
        """Length of the gene axis."""
        return (len(self.start_F) - 1) // self.n_channels

    def mean_F(self) -> Floats:
        """Mean of each feature, zeros counted."""
        ones_MP = np.ones((self.n_people, 1))
        total_F: Floats = _fixed_products(self.start_F, self.person_N, self.value_N, ones_MP)[:, 0]
        return total_F / self.n_people

    def scaled(self, value_N: NDArray[np.float32]) -> GeneColumns:
        """The same entries with other values."""
        return replace(self, value_N=value_N)


def gather_columns(blocks: Blocks, n_people: int, n_channels: int, n_features: int) -> GeneColumns:
    """Turn rows into columns in two passes, so that they never lie in memory twice.

    Parameters
    ----------
    blocks
        Gives every row once, in any order.
    n_people, n_channels, n_features
        Lengths of the axes.
    """
    count_F = np.zeros(n_features + 1, np.int64)
    for _, rows in blocks():
        count_F[1:] += np.bincount(rows.indices_N, minlength=n_features)
    start_F = np.cumsum(count_F)
    person_N, value_N = np.empty(start_F[-1], np.int32), np.empty(start_F[-1], np.float32)
    next_F = start_F[:-1].copy()
    for at, rows in blocks():
        _scatter(
            next_F, np.repeat(at, np.diff(rows.offsets)), rows.indices_N, rows.values_N, person_N, value_N
        )
    return GeneColumns(n_people, n_channels, start_F, person_N, value_N)


def fixed_products(columns: GeneColumns, fixed_MP: Floats) -> Floats:
    """X'Q by gene: products_GCP of every feature with every fixed column."""
    product_FP: Floats = _fixed_products(columns.start_F, columns.person_N, columns.value_N, fixed_MP)
    return np.ascontiguousarray(
        product_FP.reshape(columns.n_channels, columns.n_genes, -1).transpose(1, 0, 2)
    )


def gene_products(columns: GeneColumns, group_M: NDArray[np.int64], n_groups: int) -> Floats:
    """X'X within each gene, over the people of each group: products_KGCC."""
    product_KGCC: Floats = _gene_products(
        columns.start_F,
        columns.person_N,
        columns.value_N,
        (columns.n_channels, columns.n_genes, columns.n_people),
        (group_M, n_groups),
    )
    return product_KGCC


def weighted_sums(columns: GeneColumns, effect_GC: Floats) -> Floats:
    """Sum of the features of each person, weighted by effects: M numbers."""
    effect_F = effect_GC.T.ravel().copy()
    sum_M: Floats = _weighted_sums(
        columns.start_F, columns.person_N, columns.value_N, effect_F, columns.n_people
    )
    return sum_M


@njit(cache=True, nogil=True)
def _scatter(next_F, at_N, indices_N, values_N, person_N, value_N):  # type: ignore[no-untyped-def] # noqa: PLR0913
    for j in range(len(indices_N)):
        place = next_F[indices_N[j]]
        person_N[place] = at_N[j]
        value_N[place] = values_N[j]
        next_F[indices_N[j]] = place + 1


@njit(cache=True, nogil=True)
def _fixed_products(start_F, person_N, value_N, fixed_MP):  # type: ignore[no-untyped-def]
    product_FP = np.zeros((len(start_F) - 1, fixed_MP.shape[1]))
    for f in range(len(start_F) - 1):
        for j in range(start_F[f], start_F[f + 1]):
            for p in range(fixed_MP.shape[1]):
                product_FP[f, p] += value_N[j] * fixed_MP[person_N[j], p]
    return product_FP


@njit(cache=True, nogil=True)
def _gene_products(start_F, person_N, value_N, sizes, groups):  # type: ignore[no-untyped-def]
    n_channels, n_genes, n_people = sizes
    group_M, n_groups = groups
    product_KGCC = np.zeros((n_groups, n_genes, n_channels, n_channels))
    dense_MC = np.zeros((n_people, n_channels))
    for g in range(n_genes):
        for c in range(n_channels):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                dense_MC[person_N[j], c] = value_N[j]
        for c in range(n_channels):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                m = person_N[j]
                for d in range(n_channels):
                    product_KGCC[group_M[m], g, c, d] += value_N[j] * dense_MC[m, d]
        for c in range(n_channels):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                dense_MC[person_N[j], c] = 0.0
    return product_KGCC


@njit(cache=True, nogil=True)
def _weighted_sums(start_F, person_N, value_N, effect_F, n_people):  # type: ignore[no-untyped-def]
    sum_M = np.zeros(n_people)
    for f in range(len(start_F) - 1):
        if effect_F[f] != 0.0:
            for j in range(start_F[f], start_F[f + 1]):
                sum_M[person_N[j]] += value_N[j] * effect_F[f]
    return sum_M
