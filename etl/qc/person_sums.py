"""The pass over the cohort that measures people: integer sums over their listed calls.

Axes: V variants of a batch, E listed calls, P people in the order of the VCF's header.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cohort.calls import Calls, column, flat, read_calls
from etl.cohort.passes import IS_GOOD_SITE, Parts, joined, map_parts
from etl.cohort.schema import HAPLOID_ALT, HET, HOM_ALT
from etl.qc.allele_kinds import KINDS, OTHER, TRANSVERSION, allele_kinds

GRID = 2**32
"""Shares are summed as whole numbers of 1/GRID: the order of summation, so the partitions, can't show."""

MIN_COMMON_FREQUENCY = 0.05
"""Minor allele frequency of the sites that F statistics are of; BipEx uses common variants."""

CHARR_FREQUENCY = (0.05, 0.95)
CHARR_DEPTH = (10, 100)
CHARR_MIN_QUALITY = 20
"""Limits of CHARR: the reference allele's frequency (excluded), depth and quality (included); the defaults
of `hl.compute_charr`, after Lu et al. 2023."""

PERSON_SUMS = (
    *(f"n_{kind}" for kind in KINDS[:OTHER]),  # alternate alleles on autosomes
    "n_missing",
    "n_het",
    "n_hom_var",  # haploid calls among them
    "n_singleton",
    "n_charr",
    "charr",  # in 1/GRID
    # Common sites of autosomes and of X:
    *(f"{part}_{name}" for part in ("a", "x") for name in ("missing", "het", "expected_missing")),
)
"""expected_missing: expected homozygosity of the sites without a call, in 1/GRID."""
TOTALS = ("n_sites", "a_sites", "a_expected", "x_sites", "x_expected")
"""Sums over sites: autosomal ones; common ones of autosomes and of X, and their expected homozygosity in
1/GRID."""

COLUMNS = (
    *("region", "ref", "alt", "n_called", "n_het", "n_hom_alt", "n_haploid_alt"),
    *("person", "call", "ad_ref", "ad_alt", "dp", "gq"),
)

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What the pass leaves."""

    people: pd.DataFrame
    """One row per person in the order of the VCF's header, a column for each of `PERSON_SUMS`."""
    totals: dict[str, int]
    """By the names of `TOTALS`."""


def sum_over_people(cohort: str, n_people: int, *, has_depth: bool) -> Measured:
    """Run the pass over the good sites of autosomes, and of X outside the pseudo-autosomal regions.

    Parameters
    ----------
    cohort
        Folder of the cohort.
    n_people
        People of the VCF.
    has_depth
        Whether the files give DP; without it the sum of AD is the depth that CHARR looks at.
    """
    where = IS_GOOD_SITE & pc.field("region").isin(["autosome", "x"])
    work = partial(sum_calls, n_people=n_people, has_depth=has_depth)
    sums: Sums = joined(map_parts(Parts(cohort, COLUMNS, where), work))
    return Measured(pd.DataFrame(sums.people).rename_axis("person"), sums.totals)


def sum_calls(batches: Iterator[pa.RecordBatch], *, n_people: int, has_depth: bool) -> Sums:
    """What a task does: the sums over the calls of its batches."""
    sums = Sums(n_people)
    for batch in batches:
        calls = read_calls(batch)
        x_V = np.asarray(column(batch, "region") == "x", dtype=bool)
        frequency_V = alternate_frequency(batch)
        kind_V = allele_kinds(batch.column("ref").to_pylist(), batch.column("alt").to_pylist())
        sums.totals["n_sites"] += int((~x_V).sum())
        _add_autosomes(sums, batch, calls.where(~x_V[calls.variant_E]), kind_V)
        reference_V = np.where(x_V | (kind_V > TRANSVERSION), np.nan, 1 - frequency_V)
        share_E = _charr_shares(batch, calls, reference_V, has_depth=has_depth)
        counts_E = ~np.isnan(share_E)
        sums.add("n_charr", calls.person_E[counts_E])
        sums.add("charr", calls.person_E[counts_E], on_grid(share_E[counts_E]))
        _add_common(sums, "a", calls, np.where(x_V, np.nan, frequency_V))
        _add_common(sums, "x", calls, np.where(x_V, frequency_V, np.nan))
    return sums


class Sums:
    """The sums of one task, or of several."""

    def __init__(self, n_people: int) -> None:
        self.people = {name: np.zeros(n_people, dtype=np.int64) for name in PERSON_SUMS}
        self.totals = dict.fromkeys(TOTALS, 0)

    def add(self, name: str, person_E: NDArray[np.int32], value_E: NDArray[np.int64] | None = None) -> None:
        """Add a whole number for each call to its person, 1 where none is given."""
        sums_P = self.people[name]
        # bincount sums in float64: exact, as a batch's sums stay far below 2**53.
        sums_P += np.bincount(person_E, value_E, minlength=len(sums_P)).astype(np.int64)

    def __add__(self, other: Sums) -> Sums:
        joined = Sums(0)
        joined.people = {name: sums_P + other.people[name] for name, sums_P in self.people.items()}
        joined.totals = {name: total + other.totals[name] for name, total in self.totals.items()}
        return joined


def on_grid(value: Values) -> NDArray[np.int64]:
    """The nearest whole numbers of 1/GRID."""
    return np.rint(value * GRID).astype(np.int64)


def alternate_frequency(batch: pa.RecordBatch) -> Values:
    """Alternate alleles over all alleles along the variants, with haploid calls counted as homozygous ones.

    NaN where nobody is called.
    """
    called_V, het_V, hom_V, haploid_V = _counts(batch)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (het_V + 2 * (hom_V + haploid_V)) / (2 * called_V)


def _counts(batch: pa.RecordBatch) -> list[Values]:
    names = ("n_called", "n_het", "n_hom_alt", "n_haploid_alt")
    return [column(batch, name).astype(np.float64) for name in names]


_ALLELES = np.zeros(5, dtype=np.int64)
_ALLELES[[HET, HAPLOID_ALT, HOM_ALT]] = [1, 1, 2]
"""Alternate alleles by the code of a call."""


def _add_autosomes(sums: Sums, batch: pa.RecordBatch, calls: Calls, kind_V: NDArray[np.int8]) -> None:
    """What `hl.sample_qc` counts: a haploid alternate call is a homozygous one with one allele."""
    carried = calls.where(~calls.missing_E)
    alleles_E = _ALLELES[carried.call_E]
    _, het_V, hom_V, haploid_V = _counts(batch)
    single_V = het_V + 2 * hom_V + haploid_V == 1
    sums.add("n_missing", calls.person_E[calls.missing_E])
    sums.add("n_het", carried.person_E[carried.call_E == HET])
    sums.add("n_hom_var", carried.person_E[carried.call_E != HET])
    sums.add("n_singleton", carried.person_E[single_V[carried.variant_E]])
    for kind, name in enumerate(KINDS[:OTHER]):
        of_kind_E = kind_V[carried.variant_E] == kind
        sums.add(f"n_{name}", carried.person_E[of_kind_E], alleles_E[of_kind_E])


def _charr_shares(batch: pa.RecordBatch, calls: Calls, reference_V: Values, *, has_depth: bool) -> Values:
    """Reference reads' share of a call over the reference allele's frequency; NaN for calls that don't count.

    Homozygous alternate calls count, within the limits above, where `reference_V` is no NaN. A call without
    reads has no share.
    """
    low, high = CHARR_FREQUENCY
    counts_V = (reference_V > low) & (reference_V < high)
    ad_ref_E, ad_alt_E, dp_E, gq_E = (flat(batch, name) for name in ("ad_ref", "ad_alt", "dp", "gq"))
    reads_E = ad_ref_E + ad_alt_E
    depth_E = dp_E if has_depth else reads_E
    counts_E = (
        counts_V[calls.variant_E]
        & ((calls.call_E == HOM_ALT) | (calls.call_E == HAPLOID_ALT))
        & (gq_E >= CHARR_MIN_QUALITY)
        & (depth_E >= CHARR_DEPTH[0])
        & (depth_E <= CHARR_DEPTH[1])
        & (ad_ref_E >= 0)
        & (reads_E > 0)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts_E, ad_ref_E / reads_E / reference_V[calls.variant_E], np.nan)


def _add_common(sums: Sums, part: str, calls: Calls, frequency_V: Values) -> None:
    """What `hl.impute_sex` counts: expected homozygosity 1 − 2p(1 − p) over the sites with a call."""
    common_V = (frequency_V >= MIN_COMMON_FREQUENCY) & (frequency_V <= 1 - MIN_COMMON_FREQUENCY)
    expected_V = on_grid(np.where(common_V, 1 - 2 * frequency_V * (1 - frequency_V), 0))
    sums.totals[f"{part}_sites"] += int(common_V.sum())
    sums.totals[f"{part}_expected"] += int(expected_V.sum())
    calls = calls.where(common_V[calls.variant_E])
    missing = calls.where(calls.missing_E)
    sums.add(f"{part}_het", calls.person_E[calls.call_E == HET])
    sums.add(f"{part}_missing", missing.person_E)
    sums.add(f"{part}_expected_missing", missing.person_E, expected_V[missing.variant_E])
