"""Small cohorts in memory."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from train.design import Design

RATES = (0.05, 0.2, 0.6)


def draw_design(
    n: int,
    effects_GC: np.ndarray,
    *,
    seed: int = 0,
    covariate: float = 0.0,
    batch: float = 0.0,
    rates: tuple[float, ...] = RATES,
) -> Design:
    """Poisson counts; log odds of being a case: effects per allele, `covariate` per unit, `batch` of B."""
    rng = np.random.default_rng(seed)
    n_genes = len(effects_GC)
    x_MF = rng.poisson(np.repeat(rates, n_genes), (n, len(rates) * n_genes)).astype(np.float32)
    score_M = (x_MF - x_MF.mean(axis=0)) @ effects_GC.T.ravel()
    covariates_MP = rng.normal(size=(n, 2)).astype(np.float32)
    in_batch_b = rng.random(n) < 0.5
    logit_M = score_M + covariate * covariates_MP[:, 0] + batch * (in_batch_b - 0.5)
    is_case_M = (rng.random(n) < 1 / (1 + np.exp(-logit_M))).astype(np.int8)
    family_M = np.arange(n, dtype=np.int32) // 2
    groups = pd.DataFrame(
        {"sex": "unknown", "batch": np.where(in_batch_b, "B", "A"), "ancestry": "group1"}, index=np.arange(n)
    )
    return Design(
        sample_M=np.arange(n, dtype=np.int32),
        fold_M=(family_M % 6).astype(np.int32),
        is_case_M=is_case_M,
        family_M=family_M,
        groups=groups,
        covariates_MP=covariates_MP,
        x_MF=csr_matrix(x_MF),
        covariates=("age", "pc1"),
        channels=tuple(f"class{number}" for number in range(len(rates))),
        genes=pd.DataFrame(
            {
                "gene_id": [f"G{number}" for number in range(n_genes)],
                "symbol": [f"S{number}" for number in range(n_genes)],
                "contig": "chr1",
                "start": np.arange(n_genes) * 1000,
            }
        ),
    )


def causal_effects(
    n_genes: int, causal: int, size: float, shares: tuple[float, ...] = (1.0, 0.5, 0.0)
) -> np.ndarray:
    """Effects by gene and channel: the first genes carry them, every channel its share."""
    effects_GC = np.zeros((n_genes, len(shares)))
    effects_GC[:causal] = size * np.array(shares)
    return effects_GC
