"""Heterozygous calls with nearly all reads on the alternate allele, by person.

Some versions of GATK call homozygous alternate genotypes heterozygous where a read of the reference strays
in: gnomAD v3.1 corrects heterozygotes with an allele balance above 0.9 at common sites. Where the versions
differ between batches, or between cases and controls, so does the share. Axes: E listed calls, P people of
the VCF.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cohort.calls import flat, read_calls
from etl.cohort.passes import IS_GOOD_SITE, Parts, joined, map_parts
from etl.cohort.schema import HET

HIGH_BALANCE = 0.9
"""Alternate reads / reads of both alleles, exclusive; gnomAD v3.1 and v4 (annotations/generate_freq.py)."""

READ_COLUMNS = ("person", "call", "ad_ref", "ad_alt")


def high_balance_share(cohort: str, n_people: int) -> NDArray[np.float64]:
    """Share of each person's passing heterozygous calls that have an allele balance above HIGH_BALANCE.

    Parameters
    ----------
    cohort
        Folder that the ingest step wrote; variants that fail no rule on their site count.
    n_people
        People of the VCF.

    Returns
    -------
    numpy.ndarray
        Along the VCF's people; NaN for those without heterozygous calls that carry reads.
    """
    parts = Parts(cohort, READ_COLUMNS, where=IS_GOOD_SITE)
    high_P, all_P = joined(map_parts(parts, partial(count_heterozygotes, n_people=n_people)))
    return np.divide(high_P, all_P, out=np.full(n_people, np.nan), where=all_P > 0)


def count_heterozygotes(batches: Iterator[pa.RecordBatch], n_people: int) -> NDArray[np.int64]:
    """Heterozygous calls above HIGH_BALANCE, and all that carry reads: 2 × P."""
    sums_2P = np.zeros((2, n_people), dtype=np.int64)
    for batch in batches:
        calls = read_calls(batch)
        alternate_E, reference_E = flat(batch, "ad_alt"), flat(batch, "ad_ref")
        counted_E = (calls.call_E == HET) & (alternate_E >= 0) & (reference_E >= 0)
        counted_E &= alternate_E + reference_E > 0
        high_E = counted_E & (alternate_E > HIGH_BALANCE * (alternate_E + reference_E))
        for place, chosen_E in enumerate((high_E, counted_E)):
            sums_2P[place] += np.bincount(calls.person_E[chosen_E], minlength=n_people)
    return sums_2P
