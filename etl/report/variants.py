"""What the report shows of variants, in one pass over variants.parquet. Axis V is variants of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cohort.calls import column

READ_COLUMNS = (
    *("ref", "alt", "reasons", "passes", "allele_count", "allele_number"),
    *("call_rate_cases", "call_rate_controls", "hwe_p"),
)
"""Columns of `etl.qc.variants.VARIANT_SCHEMA` that are read."""

N_DOUBLINGS = 24
"""Bins of the frequency spectrum: minor allele counts 0, 1, 2, 3–4, 5–8 and so on."""

DIFFERENCE_EDGES = np.linspace(-0.05, 0.05, 81)
P_EDGES = np.linspace(0.0, 20.0, 2001)
"""Of −log10 p: bins of a hundredth, the last one with all that is smaller."""

MIN_FREQUENCY_TESTED = 0.01
"""Exact p-values of rarer alleles are 1 nearly always, and no quantiles can be read off them."""

Counts = NDArray[np.int64]


def _zeros(*shape: int) -> Counts:
    return np.zeros(shape, dtype=np.int64)


@dataclass
class VariantSums:
    """Sums over variants.

    `spectrum` is of passing variants: SNVs and others × bins of minor allele count outside the sealed fold.
    `differences` (call rate of cases − controls) and `p_values` (−log10 of the smallest Hardy-Weinberg p,
    alleles from MIN_FREQUENCY_TESTED on) are of variants that fail no rule on their site.
    """

    n: int = 0
    n_passing: int = 0
    first: Counter[str] = field(default_factory=Counter)
    every: Counter[str] = field(default_factory=Counter)
    spectrum: Counts = field(default_factory=lambda: _zeros(2, N_DOUBLINGS))
    differences: Counts = field(default_factory=lambda: _zeros(len(DIFFERENCE_EDGES) - 1))
    p_values: Counts = field(default_factory=lambda: _zeros(len(P_EDGES) - 1))

    def __add__(self, other: VariantSums) -> VariantSums:
        return VariantSums(
            self.n + other.n,
            self.n_passing + other.n_passing,
            self.first + other.first,
            self.every + other.every,
            self.spectrum + other.spectrum,
            self.differences + other.differences,
            self.p_values + other.p_values,
        )


def sum_variants(batches: Iterator[pa.RecordBatch], site_reasons: frozenset[str]) -> VariantSums:
    """What a task does: the sums of its batches.

    Parameters
    ----------
    batches
        READ_COLUMNS of variants.parquet.
    site_reasons
        Names of rules that need no genotypes: a variant whose first reason is one of them is not drawn in
        the figures of tests.
    """
    sums = VariantSums()
    for batch in batches:
        sums += _sum_batch(batch, site_reasons)
    return sums


def _sum_batch(batch: pa.RecordBatch, site_reasons: frozenset[str]) -> VariantSums:
    reasons = batch.column("reasons")
    offsets, names = reasons.offsets.to_numpy(), np.array(reasons.flatten().to_pylist(), dtype=object)
    named_V = np.diff(offsets) > 0
    first = names[offsets[:-1][named_V] - offsets[0]]
    tested_V = np.ones(batch.num_rows, dtype=bool)
    tested_V[named_V] = ~np.isin(first, list(site_reasons))
    passes_V = column(batch, "passes").astype(bool)
    return VariantSums(
        n=batch.num_rows,
        n_passing=int(passes_V.sum()),
        first=Counter(first.tolist()),
        every=Counter(names.tolist()),
        spectrum=_spectrum(batch, passes_V),
        differences=_differences(batch, tested_V),
        p_values=_p_values(batch, tested_V),
    )


def _minor(batch: pa.RecordBatch) -> tuple[Counts, Counts]:
    """Minor allele count and number of alleles."""
    count_V, number_V = (column(batch, name).astype(np.int64) for name in ("allele_count", "allele_number"))
    return np.minimum(count_V, number_V - count_V), number_V


def _spectrum(batch: pa.RecordBatch, passes_V: NDArray[np.bool_]) -> Counts:
    minor_V, _ = _minor(batch)
    # 0, 1, 2, 3–4, 5–8 …: the bin of a count m above 0 is 1 + ⌈log2 m⌉.
    bin_V = np.where(minor_V > 0, 1 + np.ceil(np.log2(minor_V.clip(1))), 0).clip(max=N_DOUBLINGS - 1)
    one_base = pc.and_(*(pc.equal(pc.utf8_length(batch.column(name)), 1) for name in ("ref", "alt")))
    kind_V = ~one_base.to_numpy(zero_copy_only=False)
    cell_V = kind_V * N_DOUBLINGS + bin_V.astype(np.int64)
    return np.bincount(cell_V[passes_V], minlength=2 * N_DOUBLINGS).reshape(2, N_DOUBLINGS)


def _differences(batch: pa.RecordBatch, tested_V: NDArray[np.bool_]) -> Counts:
    cases_V, controls_V = (
        column(batch, name).astype(float) for name in ("call_rate_cases", "call_rate_controls")
    )
    found = (cases_V - controls_V)[tested_V]
    limits = DIFFERENCE_EDGES[[0, -1]]
    return np.histogram(found[~np.isnan(found)].clip(*limits), DIFFERENCE_EDGES)[0]


def _p_values(batch: pa.RecordBatch, tested_V: NDArray[np.bool_]) -> Counts:
    minor_V, number_V = _minor(batch)
    p_V = column(batch, "hwe_p").astype(float)
    kept_V = tested_V & ~np.isnan(p_V) & (minor_V >= MIN_FREQUENCY_TESTED * number_V)
    logarithms = -np.log10(p_V[kept_V].clip(1e-300, 1.0))
    return np.histogram(logarithms.clip(P_EDGES[0], P_EDGES[-1]), P_EDGES)[0]
