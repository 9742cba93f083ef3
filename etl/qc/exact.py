"""Exact tests on counts, by Hail."""

from __future__ import annotations

import hail as hl
import numpy as np
from numpy.typing import NDArray

TESTS_AT_ONCE = 100_000
"""Tests that are handed to Hail together: some megabytes."""


def hardy_weinberg_p(counts_TG: NDArray[np.int32]) -> dict[tuple[int, ...], float]:
    """P-value of the exact test with mid-p (Wigginton et al. 2005) of different genotype counts.

    Parameters
    ----------
    counts_TG
        Tests × homozygous reference, heterozygous, homozygous alternate. Different ones, as a test depends on
        nothing else: a cohort's millions of variants share far fewer.
    """
    p_values: dict[tuple[int, ...], float] = {}
    for first in range(0, len(counts_TG), TESTS_AT_ONCE):
        counts = counts_TG[first : first + TESTS_AT_ONCE].tolist()
        # Evaluated in place: a table would cost a job, and Spark the start of its SQL.
        tests = hl.literal(counts, "array<array<int32>>")
        found = hl.eval(tests.map(lambda test: hl.hardy_weinberg_test(test[0], test[1], test[2]).p_value))
        p_values.update(zip(map(tuple, counts), found, strict=True))
    return p_values
