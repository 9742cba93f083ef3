"""From the cohort's lists to the non-zero gene features of people, in Spark."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql

from etl.aggregate.masks import STATES
from etl.cohort.calls import Calls
from etl.cohort.people import CALL_COLUMNS, KeptPeople
from etl.cohort.schema import HAPLOID_ALT, HET, HOM_ALT

LISTED_COLUMNS = ("variant", *CALL_COLUMNS)
"""Columns of the cohort that are read."""

ENTRY_SCHEMA = pa.schema(
    [
        pa.field("sample_index", pa.int32()),
        pa.field("index", pa.int32()),
        pa.field("value", pa.float64()),
    ]
)
"""Sums of some variants; those of a person's feature are to be added up."""


def sum_variants(
    batches: Iterator[pa.RecordBatch], people: KeptPeople, counted_K: NDArray[np.bool_]
) -> Generator[pa.RecordBatch, None, int]:
    """What a task does: sum the contributions of its variants to the gene features of each person.

    Contributions are multiples of 1 / `etl.aggregate.masks.GRID`, so that the order of sums can't show.

    Parameters
    ----------
    batches
        LISTED_COLUMNS of the cohort, and features: FEATURES_SCHEMA of `etl.aggregate.masks`.
    people
        Who is counted. People who are not listed at a variant are homozygous reference and add 0; a call that
        failed or was not made adds what the mask says. A haploid call of the alternate allele counts as two
        alleles, so that men and women stand on one scale on X outside the pseudo-autosomal regions.
    counted_K
        By sample_index: whether a person's alleles are among those that frequencies were counted from.

    Returns
    -------
    Batches of ENTRY_SCHEMA, and in the end their rows.
    """
    n_rows = 0
    for batch in batches:
        sums = sum_features(batch, people, counted_K)
        n_rows += sums.num_rows
        yield sums
    return n_rows


def add_up(entries: DataFrame) -> DataFrame:
    """One row per person and feature that is not zero, from all sums of tasks; lazy."""
    return entries.groupBy("sample_index", "index").agg(sql.sum("value").alias("value"))


def sum_features(batch: pa.RecordBatch, people: KeptPeople, counted_K: NDArray[np.bool_]) -> pa.RecordBatch:
    """Sums over the variants of a batch: one row per person and non-zero feature.

    Parameters
    ----------
    batch
        CALL_COLUMNS of the cohort, and features.
    people, counted_K
        See `sum_variants`.
    """
    calls = people.calls(batch)
    features = batch.column("features")
    # Axes: F features of all variants, in their order; N pairs of a listed call and a feature of its variant.
    index_F, *added_SF = (part.to_numpy() for part in features.flatten().flatten())
    call_N, feature_N = _pairs(calls, features.offsets.to_numpy() - features.offsets[0].as_py())
    value_N = np.stack(added_SF)[_states(calls, counted_K)[call_N], feature_N]
    added_N = value_N != 0
    key_N = calls.person_E[call_N[added_N]].astype(np.int64) << 32 | index_F[feature_N[added_N]]
    # Sorted, hence the same rows in the same order for the same batch.
    keys, place_N = np.unique(key_N, return_inverse=True)
    return pa.RecordBatch.from_pydict(
        {
            "sample_index": pa.array(keys >> 32, pa.int32()),
            "index": pa.array(keys & 0xFFFFFFFF, pa.int32()),
            "value": np.bincount(place_N, weights=value_N[added_N], minlength=len(keys)),
        },
        schema=ENTRY_SCHEMA,
    )


def _pairs(calls: Calls, offsets: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each listed call with each feature of its variant; a variant's features lie between two offsets."""
    n_features_E = np.diff(offsets)[calls.variant_E]
    call_N = np.repeat(np.arange(len(n_features_E)), n_features_E)
    # Counts 0, 1, … anew for each call.
    nth_N = np.arange(len(call_N)) - np.repeat(np.cumsum(n_features_E) - n_features_E, n_features_E)
    return call_N, offsets[calls.variant_E][call_N] + nth_N


def _states(calls: Calls, counted_K: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place of each call in `etl.aggregate.masks.STATES`."""
    counted_E = counted_K[calls.person_E]
    states_E = np.full(len(calls.call_E), STATES.index("missing"))
    for code, name, others in (
        (HET, "het", "others_het"),
        (HOM_ALT, "hom", "others_hom"),
        (HAPLOID_ALT, "hom", "others_haploid"),
    ):
        of_code_E = calls.call_E == code
        states_E[of_code_E & ~counted_E] = STATES.index(name)
        states_E[of_code_E & counted_E] = STATES.index(others)
    return states_E
