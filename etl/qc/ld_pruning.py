"""Thinning of markers to linkage equilibrium.

Axes: M markers of a block, C these and the ones before them that stayed, P people.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from etl.qc.plink import CALLED, DOSAGE, Markers, unpacked
from etl.thresholds import RelatednessThresholds

MARKERS_AT_ONCE = 256
VALUES_AT_ONCE = 2**23
"""Genotypes that are unpacked together, at most: 32 MB as float32."""


def prune(markers: Markers, thresholds: RelatednessThresholds) -> Markers:
    """Markers in approximate linkage equilibrium, chosen from the start of each chromosome to its end.

    A marker stays unless its squared correlation with one that stayed, at most the window's base pairs
    before it, reaches the limit; without variation among the people it goes. Missing genotypes stand at the
    mean. This is the rule of `hl.ld_prune` within a partition.
    """
    positions, contigs = markers.sites["position"].to_numpy(), markers.sites["contig"].to_numpy()
    stayed: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    near = stayed[0]
    standard_WP = np.empty((0, len(markers.people)), dtype=np.float32)
    for places_M in _blocks(contigs, len(markers.people)):
        if len(near) and contigs[near[0]] != contigs[places_M[0]]:
            near, standard_WP = near[:0], standard_WP[:0]
        standard_MP = _standardised(markers, places_M)
        places_C, standard_CP = np.append(near, places_M), np.vstack([standard_WP, standard_MP])
        distance_MC = positions[places_M][:, None] - positions[places_C]
        linked_MC = np.square(standard_MP @ standard_CP.T) >= thresholds.max_r2
        linked_MC &= distance_MC <= thresholds.window_bp
        stays_C = np.arange(len(places_C)) < len(near)
        # Of the block itself only what was decided before stays so far.
        for place in np.flatnonzero(standard_MP.any(axis=1)):
            stays_C[len(near) + place] = not (linked_MC[place] & stays_C).any()
        stayed.append(places_C[len(near) :][stays_C[len(near) :]])
        stays_C &= distance_MC[-1] <= thresholds.window_bp
        near, standard_WP = places_C[stays_C], standard_CP[stays_C]
    return markers.take(np.concatenate(stayed))


def _blocks(contigs: NDArray[np.object_], n_people: int) -> Iterator[NDArray[np.int64]]:
    """Places of some markers of one chromosome, in order."""
    size = max(1, min(MARKERS_AT_ONCE, VALUES_AT_ONCE // n_people))
    ends = np.flatnonzero(contigs[1:] != contigs[:-1]) + 1
    for first, last in zip([0, *ends], [*ends, len(contigs)], strict=True):
        for start in range(first, last, size):
            yield np.arange(start, min(start + size, last))


def _standardised(markers: Markers, places_M: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean 0 and length 1, so that a product is a correlation; 0 where nothing varies."""
    packed = markers.packed_MB[places_M]
    dosage_MP, called_MP = (unpacked(packed, len(markers.people), table) for table in (DOSAGE, CALLED))
    mean_M = dosage_MP.sum(axis=1) / np.maximum(called_MP.sum(axis=1), 1)
    centred_MP = dosage_MP - called_MP * mean_M[:, None]
    length_M = np.linalg.norm(centred_MP, axis=1)
    return centred_MP / np.where(length_M > 0, length_M, np.inf)[:, None]
