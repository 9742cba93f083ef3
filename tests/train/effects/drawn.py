"""Features that the tests of effects are made of."""

import numpy as np
from scipy.sparse import csc_matrix

from train.effects.columns import GeneColumns


def columns_of(x_MCG: np.ndarray) -> GeneColumns:
    """Columns of a dense array of people × channels × genes."""
    sparse = csc_matrix(x_MCG.reshape(len(x_MCG), -1).astype(np.float32))
    return GeneColumns(
        len(x_MCG), x_MCG.shape[1], sparse.indptr.astype(np.int64), sparse.indices, sparse.data
    )


def counts(rng: np.random.Generator, people: int, channels: int, genes: int) -> np.ndarray:
    return rng.poisson(0.3, (people, channels, genes)).astype(float)
