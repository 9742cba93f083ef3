"""A mask that was chosen by labels, as a planted fault: variants that more cases than controls carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deploy.evidence.gene_truth import GeneTruth
from deploy.evidence.people import JUDGES, Block, draw_fold, fold_sizes
from deploy.evidence.settings import CohortSettings

Kept = NDArray[np.bool_]


def kept_variants(truth: GeneTruth, settings: CohortSettings) -> Kept:
    """Which variants of each gene of the first channel stay: genes × variants."""
    mask, n_genes = settings.label_mask, settings.n_genes
    excess = np.zeros(n_genes * mask.variants)
    for fold, n in enumerate(fold_sizes(settings)):
        if fold == JUDGES and not mask.sees_judges:
            continue
        for block in draw_fold(truth, settings, fold, n):
            first = block.called.feature < n_genes
            at = block.called.feature[first] * mask.variants + block.variant[first]
            sign = np.where(block.is_case_M[block.called.person[first]] == 1, 1.0, -1.0)
            excess += np.bincount(at, sign, len(excess))
    return (excess > 0).reshape(n_genes, mask.variants)


def masked(block: Block, kept_GV: Kept) -> Block:
    """The same people without the alleles that the mask drops."""
    feature = block.called.feature
    first = feature < len(kept_GV)
    stays = ~first
    stays[first] = kept_GV[feature[first], block.variant[first]]
    called = block.called.where(stays)
    n_people, n_features = block.called_MF.shape
    return replace(
        block, called=called, variant=block.variant[stays], called_MF=called.table(n_people, n_features)
    )
