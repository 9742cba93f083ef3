"""Products of gene scores within given gene sets: what pathways leave behind whose genes lie anywhere.

The product of a set is the sum over pairs of its genes, P = ½ ((Σ r_g)² − Σ r_g²), with r the score of a
gene, less the mean.

Axes in names: M people, G genes, C channels, F features, N entries, K fits (see
`train.effects.stack.Cohort.unseen`), S gene sets, U genes that belong to a chosen set.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from train.effects.columns import GeneColumns
from train.effects.prior import Floats


@dataclass(frozen=True)
class GeneSets:
    """Positions of the genes of each set on the gene axis, ascending, and what the sets are called."""

    names: tuple[str, ...]
    genes: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, chosen: Sequence[int]) -> GeneSets:
        """Some of the sets, in the order given."""
        return GeneSets(tuple(self.names[s] for s in chosen), tuple(self.genes[s] for s in chosen))

    def moved(self, order_G: NDArray[np.int64]) -> GeneSets:
        """The same sets with gene order_G[g] in place of gene g."""
        return GeneSets(self.names, tuple(np.sort(order_G[genes]) for genes in self.genes))


@dataclass(frozen=True)
class SetGate:
    """Sets that count, and their weights: each gene is multiplied by 1 + Σ_s weight × the set's other genes.

    Attributes
    ----------
    sets
        Those with a weight in some fit.
    weight_KS
        0 where a fit leaves the set out.
    """

    sets: GeneSets
    weight_KS: Floats

    @classmethod
    def of(cls, gene_U: NDArray[Any], member_US: Floats, weight_KS: Floats) -> SetGate:
        """From what `members` returns; the sets are called by their numbers."""
        genes = tuple(gene_U[member_U > 0].astype(np.int64) for member_U in member_US.T)
        return cls(GeneSets(tuple(map(str, range(len(genes)))), genes), weight_KS)

    def scaled(self, factor: float) -> SetGate:
        """The same sets, weights times a factor."""
        return SetGate(self.sets, self.weight_KS * factor)

    def weights(self, fit: int) -> Floats:
        """Weights of the sets in a fit."""
        return self.weight_KS[fit] if len(self.sets) else np.zeros(0)

    def members(self) -> tuple[NDArray[np.int64], Floats]:
        """Genes that belong to any of the sets (U), and which gene belongs to which set (U, S)."""
        gene_U = np.unique(np.concatenate([np.empty(0, np.int64), *self.sets.genes]))
        member_US = np.zeros((len(gene_U), len(self.sets)))
        for s, genes in enumerate(self.sets.genes):
            member_US[np.searchsorted(gene_U, genes), s] = 1.0
        return gene_U, member_US


@dataclass(frozen=True)
class Scored:
    """Features of M people and the effects that score each of them: those of fit group_M[m]."""

    columns: GeneColumns
    effect_KGC: Floats
    group_M: NDArray[np.int64]

    @cached_property
    def mean_F(self) -> Floats:
        """Mean of each feature."""
        return self.columns.mean_F()

    def set_sums(self, genes: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Sum over genes of each person's centred scores, and of their squares."""
        columns = self.columns
        sum_M, square_M = _set_sums(
            genes,
            (columns.start_F, columns.person_N, columns.value_N),
            self.mean_F,
            self.effect_KGC,
            self.group_M,
        )
        return sum_M, square_M


def set_products(scored: Scored, sets: GeneSets, threads: int = 1) -> NDArray[np.float32]:
    """Sum over pairs of genes of each set of the product of their scores: people × sets."""

    def product(genes: NDArray[np.int64]) -> NDArray[np.float32]:
        sum_M, square_M = scored.set_sums(genes)
        return (0.5 * (sum_M**2 - square_M)).astype(np.float32)

    with ThreadPoolExecutor(threads) as pool:
        columns = list(pool.map(product, sets.genes))
    return np.column_stack(columns) if columns else np.empty((len(scored.group_M), 0), np.float32)


def gate_sets(scored: Scored, gate: SetGate, weight_KS: Floats) -> NDArray[np.float32]:
    """Entries times the part of the gate that sets add: Σ_s weight × (sum of the set's scores - own score).

    Parameters
    ----------
    scored
        Features of M people and the effects that gate them.
    gate
        Sets.
    weight_KS
        Their weights by group, in place of those of the gate.
    """
    columns = scored.columns
    sum_SM = np.stack([scored.set_sums(genes)[0] for genes in gate.sets.genes]).astype(np.float32)
    of_gene = [np.empty(0, np.int64) for _ in range(columns.n_genes)]
    for s, genes in enumerate(gate.sets.genes):
        for g in genes:
            of_gene[g] = np.append(of_gene[g], s)
    start_G = np.cumsum([0, *map(len, of_gene)])
    added_N: NDArray[np.float32] = _gate_sets(
        (columns.start_F, columns.person_N, columns.value_N),
        scored.mean_F,
        scored.effect_KGC,
        scored.group_M,
        (sum_SM, weight_KS, start_G, np.concatenate(of_gene)),
    )
    return added_N


@njit(cache=True, nogil=True)
def _base(g, mean_F, effect_KGC):  # type: ignore[no-untyped-def]
    """Centred score of a gene without alleles, by fit."""
    n_fits, n_genes, n_channels = effect_KGC.shape
    base_K = np.zeros(n_fits)
    for k in range(n_fits):
        for c in range(n_channels):
            base_K[k] -= effect_KGC[k, g, c] * mean_F[c * n_genes + g]
    return base_K


@njit(cache=True, nogil=True)
def _add_alleles(g, entries, effect_KGC, group_M, alleles_M):  # type: ignore[no-untyped-def]
    start_F, person_N, value_N = entries
    n_genes, n_channels = effect_KGC.shape[1:]
    for c in range(n_channels):
        for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
            m = person_N[j]
            alleles_M[m] += value_N[j] * effect_KGC[group_M[m], g, c]


@njit(cache=True, nogil=True)
def _set_sums(genes, entries, mean_F, effect_KGC, group_M):  # type: ignore[no-untyped-def]
    """Only entries are visited: what a gene says of people without its alleles is the same for a fit."""
    start_F, person_N, _ = entries
    n_genes, n_channels = effect_KGC.shape[1:]
    n_people = len(group_M)
    alleles_M, sum_M, square_M = np.zeros(n_people), np.zeros(n_people), np.zeros(n_people)
    sum_K, square_K = np.zeros(len(effect_KGC)), np.zeros(len(effect_KGC))
    for g in genes:
        base_K = _base(g, mean_F, effect_KGC)
        sum_K += base_K
        square_K += base_K * base_K
        _add_alleles(g, entries, effect_KGC, group_M, alleles_M)
        for c in range(n_channels):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                m = person_N[j]
                own = alleles_M[m]
                sum_M[m] += own
                square_M[m] += own * (own + 2 * base_K[group_M[m]])
                alleles_M[m] = 0.0
    for m in range(n_people):
        sum_M[m] += sum_K[group_M[m]]
        square_M[m] += square_K[group_M[m]]
    return sum_M, square_M


@njit(cache=True, nogil=True)
def _gate_sets(entries, mean_F, effect_KGC, group_M, gate):  # type: ignore[no-untyped-def]
    start_F, person_N, value_N = entries
    sum_SM, weight_KS, start_G, set_N = gate
    n_genes, n_channels = effect_KGC.shape[1:]
    alleles_M = np.zeros(len(group_M))
    added_N = np.zeros_like(value_N)
    for g in range(n_genes):
        if start_G[g + 1] == start_G[g]:
            continue
        base_K = _base(g, mean_F, effect_KGC)
        _add_alleles(g, entries, effect_KGC, group_M, alleles_M)
        for c in range(n_channels):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                m = person_N[j]
                k = group_M[m]
                factor = 0.0
                for i in range(start_G[g], start_G[g + 1]):
                    s = set_N[i]
                    factor += weight_KS[k, s] * (sum_SM[s, m] - base_K[k] - alleles_M[m])
                added_N[j] = value_N[j] * factor
        for c in range(n_channels):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                alleles_M[person_N[j]] = 0.0
    return added_N
