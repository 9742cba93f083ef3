"""One generator for each purpose and item, so that the order of work cannot change a result."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, item: int = 0) -> np.random.Generator:
    """Random generator that depends on the study's seed, a named purpose and an item's index alone."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), item])
