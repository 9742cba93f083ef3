"""Counts of each variant's calls by stratum of people: a kernel on batches of the cohort.

Axes: V variants of a batch, E listed calls, K people who stay, C classes of calls, X sexes, G groups of
people, A ancestry groups, B batches. A stratum is a group and a sex; the cost is that of the listed calls and
of one count by class and stratum for each variant.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from etl.cohort.calls import FEMALE, Calls, flat, nested, sex_codes
from etl.cohort.people import KeptPeople
from etl.cohort.schema import COHORT_SCHEMA, HAPLOID_ALT, HET, HOM_ALT
from etl.qc.batch_test import batch_p

N_SEXES, N_CLASSES = 3, 4
MAX_CELLS = 2**20
"""Counts (variants × classes × strata) held at once: 8 MiB, whatever the number of strata."""

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

CARRIED = (
    "variant", "contig", "position", "ref", "alt", "region", "old_alleles", "a_index", "filters",
    "annotation", "site_reasons",
)  # fmt: skip
"""Columns of the cohort that pass through unchanged."""

READ_COLUMNS = (*CARRIED, "person", "call")
"""Columns of the cohort that are read."""

RATES = ("call_rate", "call_rate_cases", "call_rate_controls")
ALLELES = ("n_carriers", "allele_count", "allele_number")
GENOTYPES = ("hom_ref", "het", "hom_var")

COUNTED_SCHEMA = pa.schema(
    [
        *(COHORT_SCHEMA.field(name) for name in CARRIED),
        *(pa.field(name, pa.float64()) for name in RATES),
        *(pa.field(name, pa.int64()) for name in ALLELES),
        pa.field("batch_p", pa.float64()),
        *(pa.field(name, pa.list_(pa.int32())) for name in GENOTYPES),
    ]
)
"""What the pass leaves of each variant, see `count_batch`."""


@dataclass(frozen=True)
class Strata:
    """Whom each person is counted with.

    The groups are controls outside the test fold by ancestry × batch, which Hardy-Weinberg equilibrium and
    batches are tested in; then all cases outside the test fold; then the test fold.
    """

    stratum_K: NDArray[np.int32]
    """By sample_index: sex × n_groups + group."""
    size_XG: Counts
    n_ancestries: int
    n_batches: int

    def by_batch(self, values_VG: Counts) -> Counts:
        """Values of the controls outside the test fold as V × A × B."""
        return values_VG[:, CONTROLS].reshape(len(values_VG), self.n_ancestries, self.n_batches)


PLOIDY = {"x": (2, 2, 1), "y": (0, 0, 1)}
"""Alleles of a called person that frequencies count, by UNKNOWN, FEMALE and MALE; two of each elsewhere."""

CONTROLS, CASES, TRAINING = slice(None, -2), slice(-2, -1), slice(None, -1)
"""Groups of people outside the test fold, and all of them."""


def ploidy(regions: Iterable[str]) -> Counts:
    """PLOIDY of variants × sexes."""
    counted = [PLOIDY.get(region, (2, 2, 2)) for region in regions]
    return np.array(counted, dtype=np.int64).reshape(-1, N_SEXES)


def make_strata(samples: pd.DataFrame) -> Strata:
    """Number the strata of the people who stay.

    Parameters
    ----------
    samples
        sample_index (0, 1, …), is_case, training (False in the test fold), sex, ancestry, batch. Batches and
        ancestry groups without controls outside the test fold get no stratum.
    """
    samples = samples.sort_values("sample_index")
    training, case = samples["training"].to_numpy(bool), samples["is_case"].to_numpy() == 1
    control = training & ~case
    ancestry, ancestries = pd.factorize(samples["ancestry"].where(control), sort=True)
    batch, batches = pd.factorize(samples["batch"].where(control), sort=True)
    n_cells = len(ancestries) * len(batches)
    n_groups = n_cells + 2
    group = np.where(control, ancestry * len(batches) + batch, n_cells + ~training)
    stratum_K = sex_codes(samples["sex"].tolist()) * np.int32(n_groups) + group.astype(np.int32)
    size_XG = np.bincount(stratum_K, minlength=N_SEXES * n_groups).reshape(N_SEXES, n_groups)
    return Strata(stratum_K, size_XG, len(ancestries), len(batches))


def count_variants(
    batches: Iterator[pa.RecordBatch], people: KeptPeople, strata: Strata
) -> Generator[pa.RecordBatch, None, NDArray[np.int32]]:
    """What a task does: batches of COUNTED_SCHEMA, and in the end the genotype counts to be tested.

    Parameters
    ----------
    batches
        READ_COLUMNS of the cohort.
    people, strata
        The people who stay, and whom they are counted with.

    Returns
    -------
    numpy.ndarray
        Different genotype counts × GENOTYPES: a test depends on nothing else, and most variants share theirs.
    """
    step = max(1, MAX_CELLS // (N_CLASSES * strata.size_XG.size))
    seen = [np.empty((0, len(GENOTYPES)), dtype=np.int32)]
    for batch in batches:
        for start in range(0, batch.num_rows, step):
            counted = count_batch(batch.slice(start, step), people, strata)
            yield counted
            seen.append(np.unique(genotype_counts(counted), axis=0))
    return np.unique(np.concatenate(seen), axis=0)


def genotype_counts(counted: pa.RecordBatch) -> NDArray[np.int32]:
    """Genotype counts of all variants and ancestry groups of a batch, one behind the other × GENOTYPES."""
    return np.stack([flat(counted, name) for name in GENOTYPES], axis=1)


def count_batch(batch: pa.RecordBatch, people: KeptPeople, strata: Strata) -> pa.RecordBatch:
    """Count the calls of each variant and derive what its limits and tests need.

    Returns
    -------
    pyarrow.RecordBatch
        Columns of COUNTED_SCHEMA. call_rate, call_rate_cases and call_rate_controls, allele_count and
        allele_number are of people outside the test fold, on Y of men alone; n_carriers is of all who stay.
        A man has one allele on Y and on X, there outside the pseudo-autosomal regions.
        Rates without people are null. Of controls outside the test fold: hom_ref, het and hom_var by ancestry
        group (on X outside the pseudo-autosomal regions of women only; empty on Y and MT), and batch_p: the
        smallest p-value of each batch against the others, see `etl.qc.batch_test`.
    """
    regions = np.array(batch.column("region").to_pylist(), dtype=object)
    counts = count_calls(people.calls(batch), strata, ploidy(regions))
    columns = {name: batch.column(name) for name in CARRIED}
    columns |= _rates(counts) | _alleles(counts) | _genotypes(counts, regions)
    columns["batch_p"] = _batch_p(counts)
    return pa.RecordBatch.from_pydict(columns, schema=COUNTED_SCHEMA)


@dataclass(frozen=True)
class StratumCounts:
    """Calls of each variant by stratum. Reference calls, diploid or haploid, are the rest of a stratum."""

    strata: Strata
    ploidy_VX: Counts
    """Alleles of a called person; 0 of those who have none, whatever their calls."""
    missing_VXG: Counts
    het_VXG: Counts
    hom_alt_VXG: Counts
    haploid_alt_VXG: Counts

    @cached_property
    def alternate_VG(self) -> Counts:
        """Alternate alleles."""
        return self.of_counted(self.het_VXG + 2 * self.hom_alt_VXG + self.haploid_alt_VXG)

    @cached_property
    def alleles_VG(self) -> Counts:
        """Alleles of called people."""
        return (self.ploidy_VX[..., np.newaxis] * (self.strata.size_XG - self.missing_VXG)).sum(axis=1)

    def of_counted(self, values_VXG: Counts) -> Counts:
        """Sums over the sexes that have an allele: on Y men."""
        return ((self.ploidy_VX > 0)[..., np.newaxis] * values_VXG).sum(axis=1)


def count_calls(calls: Calls, strata: Strata, ploidy_VX: Counts) -> StratumCounts:
    """Count the calls of each variant by class and stratum, in one array."""
    class_E = np.zeros(len(calls.call_E), dtype=np.int64)  # 0: not called, or failed
    for place, code in enumerate((HET, HOM_ALT, HAPLOID_ALT), start=1):
        class_E[calls.call_E == code] = place
    cell_E = calls.variant_E * N_CLASSES + class_E
    cell_E = cell_E * strata.size_XG.size + strata.stratum_K[calls.person_E]
    shape = (calls.n_variants, N_CLASSES, *strata.size_XG.shape)
    counts_VCXG = np.bincount(cell_E, minlength=math.prod(shape)).reshape(shape)
    return StratumCounts(strata, ploidy_VX, *counts_VCXG.swapaxes(0, 1))


def _rates(counts: StratumCounts) -> dict[str, pa.Array]:
    missing_VG = counts.of_counted(counts.missing_VXG)
    size_VG = counts.of_counted(counts.strata.size_XG)
    groups = {"": TRAINING, "_cases": CASES, "_controls": CONTROLS}
    with np.errstate(invalid="ignore"):
        return {
            f"call_rate{suffix}": pa.array(
                1 - missing_VG[:, group].sum(axis=1) / size_VG[:, group].sum(axis=1), from_pandas=True
            )
            for suffix, group in groups.items()
        }


def _alleles(counts: StratumCounts) -> dict[str, pa.Array]:
    carriers_VXG = counts.het_VXG + counts.hom_alt_VXG + counts.haploid_alt_VXG
    return {
        "n_carriers": pa.array(carriers_VXG.sum(axis=(1, 2))),
        "allele_count": pa.array(counts.alternate_VG[:, TRAINING].sum(axis=1)),
        "allele_number": pa.array(counts.alleles_VG[:, TRAINING].sum(axis=1)),
    }


def _genotypes(counts: StratumCounts, regions: NDArray[np.object_]) -> dict[str, pa.Array]:
    """Genotypes of the controls in which equilibrium is tested, by ancestry group that has some."""
    on_x_V, diploid_V = regions == "x", np.isin(regions, ("autosome", "par"))

    def tested_VA(values_VXG: Counts) -> Counts:
        values_VG = np.where(on_x_V[:, np.newaxis], values_VXG[:, FEMALE], values_VXG.sum(axis=1))
        return counts.strata.by_batch(values_VG).sum(axis=2)

    size_VA = tested_VA(np.broadcast_to(counts.strata.size_XG, counts.het_VXG.shape))
    het_VA, hom_var_VA = tested_VA(counts.het_VXG), tested_VA(counts.hom_alt_VXG)
    hom_ref_VA = size_VA - tested_VA(counts.missing_VXG) - het_VA - hom_var_VA
    kept_VA = (on_x_V | diploid_V)[:, np.newaxis] & (size_VA > 0)
    return {
        name: nested(pa.array(values_VA[kept_VA], pa.int32()), kept_VA.sum(axis=1))
        for name, values_VA in (("hom_ref", hom_ref_VA), ("het", het_VA), ("hom_var", hom_var_VA))
    }


def _batch_p(counts: StratumCounts) -> pa.Array:
    strata = counts.strata
    size_AB = strata.by_batch(strata.size_XG.sum(axis=0, keepdims=True))[0]
    alternate_VAB, alleles_VAB = strata.by_batch(counts.alternate_VG), strata.by_batch(counts.alleles_VG)
    p_VB = batch_p(alternate_VAB, alleles_VAB, size_AB)
    return pa.array(np.fmin.reduce(p_VB, axis=1, initial=np.nan), from_pandas=True)
