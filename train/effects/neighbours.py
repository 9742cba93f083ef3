"""Products of gene scores with those of their neighbours: what pathways of neighbouring genes leave behind.

The score h of a gene is its part of the logit. Where variants in two genes of a pathway do more together
than each alone, the sum of products h_g h_j over neighbours says more than the scores do. The same sum with a
weight is a gate on every gene: h_g (1 + gate × neighbours' sum).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from train.effects.columns import GeneColumns
from train.effects.prior import Floats


@dataclass(frozen=True)
class Neighbours:
    """Which genes are neighbours: those at places low_G[i] to high_G[i] - 1 around place i, itself left out.

    `order_G` is the gene at each place: genome order, or another one to compare with.
    """

    order_G: NDArray[np.int64]
    low_G: NDArray[np.int64]
    high_G: NDArray[np.int64]


def neighbours_within(
    contigs: Sequence[str], reach: int, order_G: NDArray[np.int64] | None = None
) -> Neighbours:
    """Genes within `reach` places on the same chromosome.

    Parameters
    ----------
    contigs
        Chromosome of each gene; those of a chromosome follow each other.
    reach
        Places to either side.
    order_G
        Gene at each place; None: as they stand. It must keep genes on their chromosome.
    """
    names = np.asarray(contigs)
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1], True])
    own_G = np.searchsorted(first, np.arange(len(names)), "right") - 1
    place_G = np.arange(len(names))
    return Neighbours(
        place_G if order_G is None else order_G,
        np.maximum(place_G - reach, first[own_G]),
        np.minimum(place_G + reach + 1, first[own_G + 1]),
    )


def gate_entries(
    columns: GeneColumns,
    effect_KGC: Floats,
    group_M: NDArray[np.int64],
    neighbours: Neighbours,
    gate: float,
) -> tuple[GeneColumns, Floats]:
    """Entries times (1 + gate × sum of the neighbours' scores), and half the sum of products by person.

    Parameters
    ----------
    columns
        Features of M people.
    effect_KGC
        Effects by fit: those of fit k score the people of group k.
    group_M
        Group of each person.
    neighbours
        Of each gene.
    gate
        Weight of the neighbours' sum; 0 leaves the entries as they are.
    """
    mean_F = columns.mean_F()
    value_N, product_M = _gate_entries(
        (columns.start_F, columns.person_N, columns.value_N),
        mean_F,
        effect_KGC,
        group_M,
        (neighbours.order_G, neighbours.low_G, neighbours.high_G),
        gate,
    )
    return (columns.scaled(value_N) if gate else columns), product_M


@njit(cache=True, nogil=True)
def _score(g, entries, mean_F, effect_KGC, group_M, score_M):  # type: ignore[no-untyped-def] # noqa: PLR0913
    """Centred score of one gene for everybody, written into `score_M`."""
    start_F, person_N, value_N = entries
    n_groups, n_genes, n_channels = effect_KGC.shape
    base_K = np.zeros(n_groups)
    for k in range(n_groups):
        for c in range(n_channels):
            base_K[k] -= effect_KGC[k, g, c] * mean_F[c * n_genes + g]
    for m in range(len(score_M)):
        score_M[m] = base_K[group_M[m]]
    for c in range(n_channels):
        for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
            m = person_N[j]
            score_M[m] += value_N[j] * effect_KGC[group_M[m], g, c]


@njit(cache=True, nogil=True)
def _gate_entries(entries, mean_F, effect_KGC, group_M, bounds, gate):  # type: ignore[no-untyped-def] # noqa: PLR0913
    start_F, person_N, value_N = entries
    order_G, low_G, high_G = bounds
    n_genes, n_channels = effect_KGC.shape[1:]
    n_people = len(group_M)
    width = (high_G - low_G).max() + 1
    ring_WM = np.zeros((width, n_people))
    sum_M, product_M = np.zeros(n_people), np.zeros(n_people)
    gated_N = value_N.copy() if gate != 0.0 else value_N[:0].copy()
    first, after = 0, 0  # places whose scores are in the sum
    for place in range(n_genes):
        # The last chromosome's places leave first, whose rows of the ring the next ones take.
        while first < low_G[place]:
            sum_M -= ring_WM[first % width]
            first += 1
        while after < high_G[place]:
            _score(order_G[after], entries, mean_F, effect_KGC, group_M, ring_WM[after % width])
            sum_M += ring_WM[after % width]
            after += 1
        own_M = ring_WM[place % width]
        g = order_G[place]
        for m in range(n_people):
            product_M[m] += 0.5 * own_M[m] * (sum_M[m] - own_M[m])
        for c in range(n_channels if gate != 0.0 else 0):
            for j in range(start_F[c * n_genes + g], start_F[c * n_genes + g + 1]):
                m = person_N[j]
                gated_N[j] = value_N[j] * (1.0 + gate * (sum_M[m] - own_M[m]))
    return gated_N, product_M
