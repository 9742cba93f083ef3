"""Burden tests of a design: each channel of each gene, and each gene over its channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.association.score import combine_channels, fit_null, score_tests
from train.design import Design

METHOD = (
    "score test of a logistic regression with the model's covariates; exact mid-p with at most 10 carriers, "
    "else saddlepoint; channels of a gene by the Cauchy combination"
)


@dataclass(frozen=True)
class Burden:
    """Tests of C channels × G genes, and each gene's over its channels; nan where not tested.

    Attributes
    ----------
    log10_p_CG, log10_p_G
        -log10 of the two-sided p-value.
    effect_CG
        First step towards the log odds ratio per allele.
    """

    log10_p_CG: NDArray[np.float64]
    effect_CG: NDArray[np.float64]
    log10_p_G: NDArray[np.float64]


def burden_tests(design: Design, fewest_carriers: int) -> Burden:
    """Test every channel of every gene with enough carriers.

    Parameters
    ----------
    design
        People outside the sealed fold; their covariates are in the null model.
    fewest_carriers
        A channel of a gene with fewer carriers is not tested: its result would tell of single people.
    """
    found = score_tests(design.x_MF, fit_null(design.is_case_M, design.covariates_MP))
    n_carriers_F = np.bincount(design.x_MF.indices[design.x_MF.data != 0], minlength=design.x_MF.shape[1])
    few_F = n_carriers_F < fewest_carriers
    shape = (len(design.channels), design.n_genes)
    log10_p_CG = np.where(few_F, np.nan, found.log10_p_F).reshape(shape)
    effect_CG = np.where(few_F, np.nan, found.effect_F).reshape(shape)
    return Burden(log10_p_CG, effect_CG, combine_channels(log10_p_CG))
