"""What a dataset tells of people beside their alleles: pairs of relatives, metrics of sequencing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.manifest import TableFile
from contract.people_tables import KINSHIP, PEOPLE_QC, write_kinship, write_people_qc

SIBLINGS = 0.25
"""Kinship of siblings."""


def write_people_tables(
    staging: str, second_M: NDArray[np.bool_], call_rate_M: NDArray[np.float64], seed: int
) -> dict[str, TableFile]:
    """Write kinship and quality tables.

    Parameters
    ----------
    staging
        The dataset's staging folder.
    second_M
        Who is the second of a pair; the first has the sample_index before.
    call_rate_M
        Chance of an allele to be called. A person's call rate is that, less a little at random.
    seed
        Of what differs at random.
    """
    rng, n = np.random.default_rng([seed, 31]), len(second_M)
    second = np.flatnonzero(second_M)
    pairs = {"sample_index_1": second - 1, "sample_index_2": second, "kinship": SIBLINGS}
    metrics = {
        "sample_index": np.arange(n),
        "call_rate": call_rate_M - rng.beta(4, 400, n),
        "mean_dp": rng.normal(45, 6, n),
        "mean_gq": rng.normal(80, 3, n),
    }
    return {
        KINSHIP: write_kinship(staging, pd.DataFrame(pairs)),
        PEOPLE_QC: write_people_qc(staging, pd.DataFrame(metrics)),
    }
