"""All pairs of people, a Spark task for each pair of blocks: nothing of people × people lies in one place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from threadpoolctl import threadpool_limits

BLOCK = 1024
"""People of a block, a multiple of the four in a byte."""

DIGITS = 5
"""Decimals that are kept: sums in single precision are no better, and may differ between machines."""

Estimate = Callable[[slice, slice], NDArray[np.float32]]
"""Kinship of the people of one block with those of another: a module's function, or a `partial` of one."""


def close_pairs(estimate: Estimate, n_people: int, min_kinship: float) -> pd.DataFrame:
    """Pairs of at least a kinship, which is estimated for all pairs.

    Parameters
    ----------
    estimate
        What a task does.
    n_people
        How many there are; blocks are of `BLOCK`.
    min_kinship
        Pairs below it, and those without an estimate, are left out.

    Returns
    -------
    pandas.DataFrame
        first and second (places of people, first before second) and kinship, rounded to `DIGITS`; in the
        order of pairs, the same whatever the tasks are.
    """
    blocks = [slice(first, min(first + BLOCK, n_people)) for first in range(0, n_people, BLOCK)]
    pairs = [(mine, theirs) for place, mine in enumerate(blocks) for theirs in blocks[place:]]
    context = SparkSession.builder.getOrCreate().sparkContext
    task = partial(_close_pairs_of, estimate=estimate, min_kinship=min_kinship)
    found = pd.concat(context.parallelize(pairs, len(pairs)).map(task).collect())
    return found.sort_values(["first", "second"], ignore_index=True)


def _close_pairs_of(blocks: tuple[slice, slice], estimate: Estimate, min_kinship: float) -> pd.DataFrame:
    mine, theirs = blocks
    # Spark runs a task on each core: two of one thread do 1.7 times as much as one of two threads.
    with threadpool_limits(1, user_api="blas"):
        kinship_BB = estimate(mine, theirs)
    first, second = np.nonzero(kinship_BB >= min_kinship)
    values = np.round(kinship_BB[first, second].astype(np.float64), DIGITS)
    frame = pd.DataFrame({"first": first + mine.start, "second": second + theirs.start, "kinship": values})
    return frame[(frame["first"] < frame["second"]) & np.isfinite(frame["kinship"])]
