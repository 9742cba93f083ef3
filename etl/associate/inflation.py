"""Genomic control: whether tests of a channel are larger than chance makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, chi2

FEWEST_GENES = 20
"""Below it a median says nothing."""


@dataclass(frozen=True)
class Inflation:
    """Lambda of one channel with its 95 % interval.

    Attributes
    ----------
    channel
        Its name.
    genes
        Genes whose tests it is the median of.
    value, low, high
        Median chi-square over 0.4549, its median without any association (Devlin and Roeder 1999, doi
        10.1111/j.0006-341X.1999.00997.x); the interval of the median is between order statistics.
    """

    channel: str
    genes: int
    value: float
    low: float
    high: float


def inflation(channel: str, p_G: NDArray[np.float64]) -> Inflation | None:
    """Lambda of p-values of one degree of freedom, none missing; null with fewer than `FEWEST_GENES`.

    Genes are taken as independent; where neighbours share carriers the interval is too narrow.
    """
    n = len(p_G)
    if n < FEWEST_GENES:
        return None
    chi_G = np.sort(chi2.isf(p_G, 1)) / chi2.isf(0.5, 1)
    # In 95 % of samples the median lies between these order statistics, whatever the distribution.
    low, high = (int(rank) for rank in binom.ppf([0.025, 0.975], n, 0.5))
    return Inflation(channel, n, *(float(value) for value in (np.median(chi_G), chi_G[low - 1], chi_G[high])))


def channel_inflation(table: pd.DataFrame, min_expected: float) -> list[Inflation]:
    """Lambda of each channel, in the order of the table.

    Parameters
    ----------
    table
        channel, p, expected_carriers.
    min_expected
        Carriers that are expected in either status: with fewer a p-value has few values, and so has a median.
    """
    enough = table[(table["expected_carriers"] >= min_expected) & table["p"].notna()]
    found = [
        inflation(str(name), rows["p"].to_numpy()) for name, rows in enough.groupby("channel", sort=False)
    ]
    return [each for each in found if each is not None]
