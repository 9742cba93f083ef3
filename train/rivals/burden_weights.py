"""Empirical-Bayes weights of gene burdens: how far case counts stray from what totals lead to expect.

In each channel, and each bin of gene constraint, log odds ratios come from an unknown distribution on a grid;
EM finds it (Kiefer and Wolfowitz 1956; Efron 2016, empirical-Bayes deconvolution), and a gene's weight is its
posterior mean. Axes in names: F features (genes of a channel), K points of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from train.design import Design
from train.rivals.protocol import LinearFit, Values
from train.rivals.simple import covariate_logit

GRID_K = np.concatenate([np.linspace(-1.0, -0.1, 4), [0.0], np.geomspace(0.05, 4.0, 24)])
"""Log odds ratios; more and larger ones on the side of harm, where rare alleles mostly are."""
CONSTRAINT = ("loeuf", "s_het")
"""Columns of the gene axis that say how constrained a gene is; the first that is there is used."""
BINS = 5
MAX_ROUNDS = 500
TOLERANCE = 1e-7
"""EM ends when no share of the grid moves by more."""


@dataclass(frozen=True)
class BurdenWeightsRival:
    """Weighted burden beside the covariates."""

    seeded: bool = False

    def missing(self, design: Design) -> str | None:
        """Every dataset serves."""
        return None

    def fit(self, design: Design, seed: int) -> LinearFit:
        """Weights of all features from everybody in the design."""
        standard, unpenalised_P = covariate_logit(design)
        expected_M = expit(standard.columns(design) @ unpenalised_P)
        cases_F, total_F, share_F = count_cases(design, expected_M)
        bin_G, what = constraint_bins(design)
        weight_F = np.zeros(len(total_F))
        for channel in range(len(design.channels)):
            for number in np.unique(bin_G):
                at = channel * design.n_genes + np.flatnonzero(bin_G == number)
                at = at[(total_F[at] > 0) & (share_F[at] > 0) & (share_F[at] < 1)]
                log_likelihood_FK = binomial_log_likelihood(cases_F[at], total_F[at], share_F[at], GRID_K)
                weight_F[at] = posterior_means(log_likelihood_FK, GRID_K)
        # The intercept stays that of the covariates: on average the burden adds nothing.
        unpenalised_P = unpenalised_P.copy()
        unpenalised_P[0] -= float(np.mean(design.x_MF @ weight_F))
        return LinearFit(standard, weight_F, unpenalised_P, what)


def count_cases(design: Design, expected_M: Values) -> tuple[Values, Values, Values]:
    """Alleles of each feature in cases, in all, and the share that cases would have by the covariates alone.

    Parameters
    ----------
    design
        People and features.
    expected_M
        Probability of being a case by the covariates.
    """
    cases_F = np.asarray(design.x_MF.T @ design.is_case_M.astype(np.float64))
    total_F = np.asarray(design.x_MF.sum(axis=0), dtype=np.float64).ravel()
    expected_F = np.asarray(design.x_MF.T @ expected_M)
    return cases_F, total_F, np.divide(expected_F, total_F, out=np.zeros_like(total_F), where=total_F > 0)


def binomial_log_likelihood(cases_F: Values, total_F: Values, share_F: Values, grid_K: Values) -> Values:
    """Log likelihood (up to a constant) of case counts at each log odds ratio.

    An odds ratio e^θ turns the share f of cases into f·e^θ / (f·e^θ + 1 − f).
    """
    logit_FK = np.log(share_F / (1 - share_F))[:, None] + grid_K
    controls_F1 = (total_F - cases_F)[:, None]
    log_likelihood_FK = -cases_F[:, None] * np.logaddexp(0, -logit_FK)
    return np.asarray(log_likelihood_FK - controls_F1 * np.logaddexp(0, logit_FK))


def posterior_means(log_likelihood_FK: Values, grid_K: Values, rounds: int = MAX_ROUNDS) -> Values:
    """Posterior mean of each feature under the distribution on the grid that EM finds from a flat start."""
    if not len(log_likelihood_FK):
        return np.empty(0)
    likelihood_FK = np.exp(log_likelihood_FK - log_likelihood_FK.max(axis=1, keepdims=True))
    prior_K = np.full(len(grid_K), 1 / len(grid_K))
    for _ in range(rounds):
        posterior_FK = likelihood_FK * prior_K
        posterior_FK /= posterior_FK.sum(axis=1, keepdims=True)
        moved, prior_K = np.abs(posterior_FK.mean(axis=0) - prior_K).max(), posterior_FK.mean(axis=0)
        if moved < TOLERANCE:
            break
    posterior_FK = likelihood_FK * prior_K
    return np.asarray(posterior_FK @ grid_K / posterior_FK.sum(axis=1))


def constraint_bins(design: Design) -> tuple[NDArray[np.int64], str]:
    """Bin of each gene by its constraint, genes without a value in a bin of their own, and what was used."""
    columns = {str(name).lower(): name for name in design.genes.columns if design.genes[name].notna().any()}
    names = [name for name in CONSTRAINT if name in columns]
    if not names:
        return np.zeros(design.n_genes, np.int64), "no bins: genes have no constraint"
    value_G = design.genes[columns[names[0]]].to_numpy(np.float64, na_value=np.nan)
    edges = np.nanquantile(value_G, np.linspace(0, 1, BINS + 1)[1:-1])
    bin_G = np.where(np.isnan(value_G), BINS, np.searchsorted(edges, value_G, side="right"))
    return bin_G.astype(np.int64), f"bins of {names[0]}"
