"""Per-variant tests on the counts of the people who stay, and the limits on them. Axis V is variants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cohort.calls import column
from etl.qc.variant_counts import COUNTED_SCHEMA, GENOTYPES, genotype_counts
from etl.thresholds import VariantThresholds

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
ExactP = Mapping[tuple[int, ...], float]
"""Genotype counts (GENOTYPES) -> p-value of the exact Hardy-Weinberg test."""

_ANSWERED = ("region", "site_reasons", *GENOTYPES)
"""Columns that give way to what follows from them."""

VARIANT_SCHEMA = pa.schema(
    [
        *(column for column in COUNTED_SCHEMA if column.name not in _ANSWERED),
        pa.field("hwe_p", pa.float64()),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("passes", pa.bool_()),
    ]
)
"""A row for each variant; `reasons` names what it fails, those of its site first."""

VARIANT_REASONS = (
    "call_rate",
    "call_rate_cases",
    "call_rate_controls",
    "call_rate_difference",
    "hwe",
    "excess_heterozygosity",
    "batch_difference",
    "monomorphic",
)
"""Names of the limits, in their order."""

HISTOGRAMS = {
    "call_rate": (0.9, 1.0),
    "call_rate_cases": (0.9, 1.0),
    "call_rate_controls": (0.9, 1.0),
    "log10_hwe_p": (-20.0, 0.0),
}
"""Variant metrics that are drawn, with the range of their axes; what lies outside counts at its end."""

N_BINS = 50

MIN_PEOPLE_TESTED = 100
"""The standard error of an inbreeding coefficient is then 0.1, a third of what it is compared with."""


@dataclass
class VariantTotals:
    """What a pass over variants tells of them."""

    n: int = 0
    n_passing: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, NDArray[np.int64]] = field(
        default_factory=lambda: {name: np.zeros(N_BINS, dtype=np.int64) for name in HISTOGRAMS}
    )

    def __add__(self, other: VariantTotals) -> VariantTotals:
        return VariantTotals(
            self.n + other.n,
            self.n_passing + other.n_passing,
            self.reasons + other.reasons,
            {name: counts + other.histograms[name] for name, counts in self.histograms.items()},
        )


def flag_variants(
    batches: Iterator[pa.RecordBatch], exact_p: ExactP, thresholds: VariantThresholds
) -> Generator[pa.RecordBatch, None, VariantTotals]:
    """What a task does: batches of COUNTED_SCHEMA in, of VARIANT_SCHEMA out, and in the end their totals.

    hwe_p is the smallest exact p-value over ancestry groups of controls outside the test fold, on X outside
    the pseudo-autosomal regions of women only; null on Y and MT.
    """
    totals = VariantTotals()
    for batch in batches:
        hwe_p_V = smallest_p(batch, exact_p)
        failed = variant_failures(batch, hwe_p_V, thresholds)
        reasons_V = [
            [*of_site, *(reason for reason, fails_V in failed.items() if fails_V[place])]
            for place, of_site in enumerate(batch.column("site_reasons").to_pylist())
        ]
        _add(totals, batch, hwe_p_V, reasons_V)
        columns = {name: batch.column(name) for name in VARIANT_SCHEMA.names if name in COUNTED_SCHEMA.names}
        yield pa.RecordBatch.from_pydict(
            {
                **columns,
                "hwe_p": pa.array(hwe_p_V, from_pandas=True),
                "reasons": reasons_V,
                "passes": [not reasons for reasons in reasons_V],
            },
            schema=VARIANT_SCHEMA,
        )
    return totals


def smallest_p(counted: pa.RecordBatch, exact_p: ExactP) -> Values:
    """Smallest p-value along the variants over their ancestry groups; NaN where there are none."""
    group_p = np.array([exact_p[tuple(counts)] for counts in genotype_counts(counted).tolist()])
    n_groups_V = np.diff(counted.column(GENOTYPES[0]).offsets.to_numpy())
    smallest_V = np.full(len(n_groups_V), np.nan)
    np.fmin.at(smallest_V, np.repeat(np.arange(len(n_groups_V)), n_groups_V), group_p)
    return smallest_V


def inbreeding(counted: pa.RecordBatch) -> Values:
    """Inbreeding coefficient of those tested for equilibrium: 1 − heterozygotes over expected ones.

    Both are summed over ancestry groups, in each of which 2 n p (1 − p) are expected. Strongly negative
    values are the mark of reads that map to several places (gnomAD's InbreedingCoeff). NaN where fewer than
    MIN_PEOPLE_TESTED have a call, or nobody carries the variant.
    """
    hom_ref_G, het_G, hom_var_G = genotype_counts(counted).T.astype(np.float64)
    n_groups_V = np.diff(counted.column(GENOTYPES[0]).offsets.to_numpy())
    variant_G = np.repeat(np.arange(len(n_groups_V)), n_groups_V)
    called_G = hom_ref_G + het_G + hom_var_G
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency_G = (het_G + 2 * hom_var_G) / (2 * called_G)
        expected_G = np.nan_to_num(2 * called_G * frequency_G * (1 - frequency_G))
        called_V, het_V, expected_V = (
            np.bincount(variant_G, values_G, minlength=len(n_groups_V))
            for values_G in (called_G, het_G, expected_G)
        )
        return np.where((called_V >= MIN_PEOPLE_TESTED) & (expected_V > 0), 1 - het_V / expected_V, np.nan)


def variant_failures(
    counted: pa.RecordBatch, hwe_p_V: Values, thresholds: VariantThresholds
) -> dict[str, Flags]:
    """Variants that are outside of each of VARIANT_REASONS' limits; a missing metric fails nothing."""
    names = ("call_rate", "call_rate_cases", "call_rate_controls", "batch_p", "n_carriers")
    rate_V, cases_V, controls_V, batch_p_V, n_carriers_V = (
        column(counted, name).astype(np.float64) for name in names
    )
    # Missing values are NaN here, and no comparison with them is true.
    failing = (
        rate_V < thresholds.min_call_rate,
        cases_V < thresholds.min_call_rate,
        controls_V < thresholds.min_call_rate,
        np.abs(cases_V - controls_V) > thresholds.max_call_rate_difference,
        hwe_p_V < thresholds.min_hwe_p,
        inbreeding(counted) < thresholds.min_inbreeding,
        batch_p_V < thresholds.min_batch_p,
        n_carriers_V == 0,
    )
    return dict(zip(VARIANT_REASONS, failing, strict=True))


def _add(totals: VariantTotals, counted: pa.RecordBatch, hwe_p_V: Values, reasons_V: list[list[str]]) -> None:
    totals.n += counted.num_rows
    totals.n_passing += sum(not reasons for reasons in reasons_V)
    totals.reasons.update(reason for reasons in reasons_V for reason in reasons)
    for name, (low, high) in HISTOGRAMS.items():
        values_V = np.log10(hwe_p_V.clip(10**low)) if name == "log10_hwe_p" else column(counted, name)
        values_V = values_V[~np.isnan(values_V)].clip(low, high)
        totals.histograms[name] += np.histogram(values_V, N_BINS, (low, high))[0]
