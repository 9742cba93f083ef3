"""Principal components of genotypes. Axes: M markers, P people, K components."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl.qc.eigenvectors import Matrix, leading_eigenvectors
from etl.qc.plink import Markers

GROUPING_COMPONENTS = 3
"""Leading components that ancestry groups are looked for in; later ones hold family and batch."""

VALUES_AT_ONCE = 2**20
"""Genotypes that are unpacked together: some megabytes."""

VALUES_KEPT = 2**27
"""Genotypes up to which the unpacked ones are kept, 1 GB: the search passes over them some thirty times."""

ROUGH_TOLERANCE = 1e-3
"""Likewise, where a spread is all that is asked for."""

N_PARTS = 4
LEAST_LEFT_OUT = 10
"""People of a part; fewer tell no spread."""

LEAST_REPRODUCED = 0.85
"""Spread of people left out over that of the others, or as much above 1: ancestries have 0.96 to 1.11, what
is left of linkage disequilibrium 0.4 to 0.8."""

TRACY_WIDOM = 3.2724
"""99.9th percentile of the Tracy-Widom distribution of order 1."""

SMALLEST = 1e-12
"""Relative to a square, what counts as nothing."""

PROBED_VALUES = 500_000
"""People times random vectors: the sum of squares then has a relative standard error of 0.002."""


@dataclass(frozen=True)
class Projection:
    """What places people whom the components were not fitted on."""

    sites: pd.DataFrame
    """`SITE_COLUMNS` of the markers that vary among the people fitted, M."""
    mean_M: NDArray[np.float64]
    """Alternate alleles of a person."""
    scale_M: NDArray[np.float64]
    minor_M: NDArray[np.int64]
    """Alleles of the rarer kind among the people fitted."""
    loadings_MK: Matrix
    """Of the components that are kept; what projection draws in is made good."""


@dataclass(frozen=True)
class Components:
    """Principal components of some people, and everybody's scores on them."""

    scores_PK: Matrix
    eigenvalues_K: NDArray[np.float64]
    """Of the Gram matrix of the people fitted, descending."""
    edges_K: NDArray[np.float64]
    """What noise alone would give, see `Noise.edge`."""
    n_above_noise: int
    """Leading components whose eigenvalues are above the edge."""
    reproduced_K: NDArray[np.float64]
    """Spread of people who were left out of a fit over that of the people fitted, after correction; along the
    components above noise."""
    n_kept: int
    """Leading components above noise that people who were left out show as well, see `LEAST_REPRODUCED`."""
    projection: Projection


def principal_components(markers: Markers, fitted_P: NDArray[np.bool_], n_components: int) -> Matrix:
    """Scores of everybody on the leading components of some people.

    Genotypes are normalised by the frequencies of the people that the components are fitted on, as in
    `hl.hwe_normalized_pca`: mean 0, binomial variance over the number of markers, missing ones 0. Markers
    that don't vary among these people are left out. All others are projected on the loadings, as by
    `gnomad.sample_qc.ancestry.pc_project`.

    Returns
    -------
    numpy.ndarray
        P × K; fewer components where fewer markers vary. The sign of a component is the one that makes its
        largest loading positive.
    """
    return _Decomposition.of(markers, fitted_P, n_components).scores_PK


def find_components(
    markers: Markers, fitted_P: NDArray[np.bool_], n_components: int, *, leave_out: bool = True
) -> Components:
    """`principal_components`, told from noise, and with the scores of people who were not fitted corrected.

    On components that are kept these scores are multiplied by `Noise.projection_gain` over what
    `_reproduced` finds. Theory alone takes markers for independent: what linkage disequilibrium is left makes
    components that look real and are not, since nobody else shows them.

    `leave_out` costs some further fits; without it components above noise are kept and corrected by theory.
    """
    found = _Decomposition.of(markers, fitted_P, n_components)
    n_people, scores_PK = int(fitted_P.sum()), found.scores_PK
    eigenvalues_K = np.square(scores_PK[fitted_P]).sum(axis=0)
    rest = found.genotypes.squared_norms()[fitted_P].sum() - eigenvalues_K.sum()
    rest_of_squares = _rest_of_squares(found.covariance, found.loadings_MK, n_people)
    noises = [
        Noise.of(
            n_people - 1 - place,
            rest + eigenvalues_K[place:].sum(),
            rest_of_squares + np.square(eigenvalues_K[place:]).sum(),
        )
        for place in range(len(eigenvalues_K) + 1)
    ]
    edges_K = np.array([noise.edge for noise in noises[:-1]])
    n_above_noise = int(np.cumprod(eigenvalues_K > edges_K).sum())
    noise = noises[n_above_noise]
    gain_K = noise.projection_gain(eigenvalues_K[:n_above_noise])
    reproduced_K = _reproduced(found, noise, n_above_noise) if leave_out else np.ones(n_above_noise)
    n_kept = int(np.cumprod(np.abs(reproduced_K - 1) <= 1 - LEAST_REPRODUCED).sum())
    gain_K = gain_K[:n_kept] / reproduced_K[:n_kept]
    scores_PK[:, :n_kept] *= np.where(fitted_P[:, np.newaxis], 1.0, gain_K)
    projection = found.projection(gain_K)
    return Components(scores_PK, eigenvalues_K, edges_K, n_above_noise, reproduced_K, n_kept, projection)


@dataclass(frozen=True)
class _Decomposition:
    genotypes: _Normalised
    fitted_P: NDArray[np.bool_]
    loadings_MK: Matrix
    scores_PK: Matrix

    @classmethod
    def of(cls, markers: Markers, fitted_P: NDArray[np.bool_], n_components: int) -> _Decomposition:
        genotypes = _Normalised(*_varying(markers, fitted_P))
        n_markers = len(genotypes.markers)
        loadings_MK = leading_eigenvectors(
            lambda columns: _covariance(genotypes, fitted_P, columns),
            n_markers,
            min(n_components, n_markers),
        )
        return cls(genotypes, fitted_P, loadings_MK, genotypes.scores(loadings_MK))

    def covariance(self, columns: Matrix) -> Matrix:
        return _covariance(self.genotypes, self.fitted_P, columns)

    def projection(self, gain_K: NDArray[np.float64]) -> Projection:
        """The loadings of the leading components times their gain."""
        genotypes = self.genotypes
        alleles_M, called_M = count_alleles(genotypes.markers, self.fitted_P)
        return Projection(
            sites=genotypes.markers.sites,
            mean_M=genotypes.mean_M,
            scale_M=genotypes.scale_M,
            minor_M=np.minimum(alleles_M, 2 * called_M - alleles_M).astype(np.int64),
            loadings_MK=self.loadings_MK[:, : len(gain_K)] * gain_K,
        )


def _covariance(genotypes: _Normalised, fitted_P: NDArray[np.bool_], columns: Matrix) -> Matrix:
    """The markers' covariance among the people fitted, times columns."""
    return genotypes.times(genotypes.scores(columns) * fitted_P[:, None])


def _reproduced(found: _Decomposition, noise: Noise, n_components: int) -> NDArray[np.float64]:
    """Spread of people left out over that of the others, corrected, K: fitted on parts of the people.

    Each of `N_PARTS` parts of the people is left out in turn. The correction is that of the fit on the
    others, who are fewer: it is larger than that of the whole fit.
    """
    fitted = np.flatnonzero(found.fitted_P)
    if n_components == 0 or len(fitted) < N_PARTS * LEAST_LEFT_OUT:
        return np.ones(n_components)
    ratios = []
    for part in range(N_PARTS):
        left_out = fitted[part::N_PARTS]
        others_P = found.fitted_P.copy()
        others_P[left_out] = False
        loadings_MK = leading_eigenvectors(
            partial(_covariance, found.genotypes, others_P),
            len(found.loadings_MK),
            found.loadings_MK.shape[1],
            start=found.loadings_MK,
            tolerance=ROUGH_TOLERANCE,
        )
        scores_PK = found.genotypes.scores(loadings_MK[:, :n_components])
        gain_K = replace(noise, n_people=int(others_P.sum())).projection_gain(
            np.square(scores_PK[others_P]).sum(axis=0)
        )
        ratios.append(gain_K * scores_PK[left_out].std(axis=0) / scores_PK[others_P].std(axis=0))
    reproduced_K: NDArray[np.float64] = np.mean(ratios, axis=0)
    return reproduced_K


def _rest_of_squares(covariance: Callable[[Matrix], Matrix], loadings_MK: Matrix, n_people: int) -> float:
    """Sum of the squares of all other eigenvalues, by random vectors (Hutchinson 1990)."""
    shape = (len(loadings_MK), -(-PROBED_VALUES // n_people))
    probes = np.random.default_rng(1).choice([-1.0, 1.0], size=shape)
    probes -= loadings_MK @ (loadings_MK.T @ probes)
    return float(np.square(covariance(probes)).sum() / shape[1])


@dataclass(frozen=True)
class Noise:
    """Eigenvalues of a Gram matrix that hold no structure, as independent markers would give them."""

    n_people: int
    """As many as there are eigenvalues."""
    n_markers: float
    """Effective number of independent markers; correlation makes it smaller than their number."""
    variance: float
    """Of a normalised genotype of theirs."""

    @classmethod
    def of(cls, n_eigenvalues: int, total: float, total_of_squares: float) -> Noise:
        """The noise with these sums of eigenvalues and of their squares (Patterson et al. 2006, eq. 10)."""
        m = max(n_eigenvalues, 1)
        spread = (m - 1) * total_of_squares / max(total**2, SMALLEST) - 1
        n_markers = max((m + 1) / max(spread, SMALLEST), 1.0)
        return cls(m, n_markers, total / (m * n_markers))

    @property
    def edge(self) -> float:
        """What the largest eigenvalue exceeds once in a thousand cohorts (Tracy & Widom; Johnstone 2001)."""
        markers, people = np.sqrt(max(self.n_markers - 1, 1.0)), np.sqrt(self.n_people)
        spread = (markers + people) * (1 / markers + 1 / people) ** (1 / 3)
        return float(self.variance * ((markers + people) ** 2 + TRACY_WIDOM * spread))

    def projection_gain(self, eigenvalues_K: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much wider the people fitted spread on a component than others of the same populations.

        A component partly fits the noise of the people fitted, which others don't share: plain projection
        draws them towards 0. In the spiked model (Lee, Zou & Wright 2010; Dey & Lee 2019) an eigenvalue
        tells the variance of its component in the population, and the angle between the two.

        Parameters
        ----------
        eigenvalues_K
            Above the edge.
        """
        aspect, observed_K = self.n_markers / self.n_people, eigenvalues_K / self.n_people
        sum_K = observed_K + self.variance * (1 - aspect)
        true_K = (sum_K + np.sqrt(np.maximum(sum_K**2 - 4 * observed_K * self.variance, 0.0))) / 2
        excess_K = true_K - self.variance
        cosine_K = 1 - aspect * (self.variance / excess_K) ** 2
        cosine_K /= 1 + aspect * self.variance / excess_K
        return np.sqrt(observed_K / (self.variance + excess_K * np.maximum(cosine_K, 0.0)))


@dataclass(frozen=True)
class _Normalised:
    """The matrix of normalised genotypes, unpacked a few markers at a time."""

    markers: Markers
    mean_M: NDArray[np.float64]
    scale_M: NDArray[np.float64]

    def scores(self, loadings_MK: Matrix) -> Matrix:
        """Its transpose times loadings: P × K."""
        total = np.zeros((len(self.markers.people), loadings_MK.shape[1]))
        for rows, block in self._blocks():
            total += block.T @ loadings_MK[rows]
        return total

    def times(self, scores_PK: Matrix) -> Matrix:
        """Itself times columns along the people: M × K."""
        return np.concatenate([block @ scores_PK for _, block in self._blocks()])

    def squared_norms(self) -> NDArray[np.float64]:
        """Squared length of each person's genotypes."""
        total = np.zeros(len(self.markers.people))
        for _, block in self._blocks():
            total += np.square(block).sum(axis=0)
        return total

    def _blocks(self) -> Iterable[tuple[slice, Matrix]]:
        is_small = len(self.markers) * len(self.markers.people) <= VALUES_KEPT
        return self._kept if is_small else self._unpacked()

    @cached_property
    def _kept(self) -> list[tuple[slice, Matrix]]:
        return list(self._unpacked())

    def _unpacked(self) -> Iterator[tuple[slice, Matrix]]:
        for rows in _row_blocks(self.markers):
            block = self.markers.dosages(rows.start, rows.stop)
            block -= self.mean_M[rows, None]
            block /= self.scale_M[rows, None]
            yield rows, np.nan_to_num(block, copy=False)


def _row_blocks(markers: Markers) -> Iterator[slice]:
    size = max(1, VALUES_AT_ONCE // max(1, len(markers.people)))
    for first in range(0, len(markers), size):
        yield slice(first, min(first + size, len(markers)))


def _varying(
    markers: Markers, fitted_P: NDArray[np.bool_]
) -> tuple[Markers, NDArray[np.float64], NDArray[np.float64]]:
    """Markers that vary among the people fitted, their mean dosage, and the scale of their normalisation."""
    alleles_M, called_M = count_alleles(markers, fitted_P)
    places = np.flatnonzero((alleles_M > 0) & (alleles_M < 2 * called_M))
    mean_M = alleles_M[places] / called_M[places]
    return markers.take(places), mean_M, np.sqrt(mean_M * (2 - mean_M) * len(places) / 2)


def count_alleles(
    markers: Markers, fitted_P: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Alternate alleles of some people, and how many of them are called, along the markers."""
    alleles_M, called_M = np.zeros(len(markers)), np.zeros(len(markers))
    for rows in _row_blocks(markers):
        dosage = markers.dosages(rows.start, rows.stop)[:, fitted_P]
        alleles_M[rows], called_M[rows] = np.nansum(dosage, axis=1), (~np.isnan(dosage)).sum(axis=1)
    return alleles_M, called_M
