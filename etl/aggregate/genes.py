"""From the cohort's lists to the non-zero gene features of people, in Spark."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql

from etl.aggregate.config import MaskConfig
from etl.aggregate.people_states import listed_states, unlisted_states
from etl.aggregate.states import REFERENCE_STATES, STATES
from etl.cohort.people import CALL_COLUMNS, KeptPeople

LISTED_COLUMNS = ("variant", *CALL_COLUMNS)
"""Columns of the cohort that are read."""

ENTRY_SCHEMA = pa.schema(
    [
        pa.field("sample_index", pa.int32()),
        pa.field("index", pa.int32()),
        pa.field("value", pa.float64()),  # sum of the contributions that are summed
        pa.field("peak", pa.float64()),  # largest of those that are collapsed
    ]
)
"""Contributions of some variants; those to a person's feature are to be combined."""


def sum_variants(
    batches: Iterator[pa.RecordBatch], people: KeptPeople, counted_K: NDArray[np.bool_]
) -> Generator[pa.RecordBatch, None, int]:
    """What a task does: combine the contributions of its variants to the gene features of each person.

    Contributions are multiples of 1 / `etl.aggregate.masks.GRID`, so that the order of sums can't show.

    Parameters
    ----------
    batches
        LISTED_COLUMNS of the cohort, and features: FEATURES_SCHEMA of `etl.aggregate.masks`.
    people
        Who is counted. People who are not listed at a variant are homozygous reference; they add something
        only where the reference allele is the one counted. A call that failed or was not made adds what the
        mask says. A man's haploid call outside the pseudo-autosomal regions counts as two alleles, so that
        men and women stand on one scale, or as one by the mask's `x_coding`.
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


def add_up(entries: DataFrame, masks: Sequence[MaskConfig] = (), n_genes: int = 1) -> DataFrame:
    """One row per person and feature that is not zero, from the entries of all tasks; lazy.

    Variants of a gene may be spread over tasks, so that what is no plain sum is settled here.

    Parameters
    ----------
    entries
        ENTRY_SCHEMA.
    masks
        Of the channels in their order; none: all sums.
    n_genes
        Length of the gene axis.
    """
    value = sql.sum("value")
    if any(mask.combine == "max" or mask.collapse_allele_count is not None for mask in masks):
        value = value + sql.max("peak")
    sums = entries.groupBy("sample_index", "index").agg(value.alias("value"))
    if not any(mask.combine in ("comphet", "two_hits") for mask in masks):
        return sums
    channel, total = sql.floor(sql.col("index") / n_genes), sql.col("value")
    capped, two_hits = (
        channel.isin([place for place, mask in enumerate(masks) if mask.combine == name])
        for name in ("comphet", "two_hits")
    )
    combined = (
        sql.when(capped, sql.least(total, sql.lit(2.0)))
        .when(two_hits, (total >= 2).cast("double"))
        .otherwise(total)
    )
    return sums.withColumn("value", combined).where("value != 0")


@dataclass(frozen=True)
class _Features:
    """Features of all variants of a batch, flat. Axes: V variants, F features, S states."""

    offsets: NDArray[np.int32]
    """Along V + 1: the features of a variant lie between two."""
    index_F: NDArray[np.int32]
    collapsed_F: NDArray[np.int32]
    added_SF: NDArray[np.float64]


def sum_features(batch: pa.RecordBatch, people: KeptPeople, counted_K: NDArray[np.bool_]) -> pa.RecordBatch:
    """Contributions of the variants of a batch combined: one row per person and non-zero feature.

    Parameters
    ----------
    batch
        CALL_COLUMNS of the cohort, and features.
    people, counted_K
        See `sum_variants`.
    """
    features = _read_features(batch)
    calls, regions = people.calls(batch), batch.column("region").to_pylist()
    states = listed_states(calls, regions, people, counted_K) + unlisted_states(
        calls, regions, people, counted_K, _counts_reference(features)
    )
    # N pairs of a person's state at a variant and a feature of the variant.
    call_N, feature_N = _pairs(states.variant_E, features.offsets)
    value_N = features.added_SF[states.state_E[call_N], feature_N]
    call_N, feature_N, value_N = (array[value_N != 0] for array in (call_N, feature_N, value_N))
    key_N = states.person_E[call_N].astype(np.int64) << 32 | features.index_F[feature_N]
    # Sorted, hence the same rows in the same order for the same batch.
    keys, place_N = np.unique(key_N, return_inverse=True)
    collapsed_N = (features.collapsed_F[feature_N] >> states.state_E[call_N]) & 1 == 1
    peaks = np.zeros(len(keys))
    np.maximum.at(peaks, place_N[collapsed_N], value_N[collapsed_N])
    return pa.RecordBatch.from_pydict(
        {
            "sample_index": pa.array(keys >> 32, pa.int32()),
            "index": pa.array(keys & 0xFFFFFFFF, pa.int32()),
            "value": np.bincount(place_N, weights=value_N * ~collapsed_N, minlength=len(keys)),
            "peak": peaks,
        },
        schema=ENTRY_SCHEMA,
    )


def _read_features(batch: pa.RecordBatch) -> _Features:
    lists = batch.column("features")
    columns = lists.flatten()
    by_name = {
        field.name: column.to_numpy() for field, column in zip(columns.type, columns.flatten(), strict=True)
    }
    return _Features(
        lists.offsets.to_numpy() - lists.offsets[0].as_py(),
        by_name["index"],
        by_name["collapsed"],
        np.stack([by_name[name] for name in STATES]),
    )


def _counts_reference(features: _Features) -> NDArray[np.int64]:
    """Variants whose reference allele counts in some feature."""
    adds_F = features.added_SF[list(REFERENCE_STATES)].any(axis=0)
    n_before = np.concatenate([[0], np.cumsum(adds_F)])
    return np.flatnonzero(np.diff(n_before[features.offsets]))


def _pairs(
    variant_E: NDArray[np.int64], offsets: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each call with each feature of its variant; a variant's features lie between two offsets."""
    n_features_E = np.diff(offsets)[variant_E]
    call_N = np.repeat(np.arange(len(n_features_E)), n_features_E)
    # Counts 0, 1, … anew for each call.
    nth_N = np.arange(len(call_N)) - np.repeat(np.cumsum(n_features_E) - n_features_E, n_features_E)
    return call_N, offsets[variant_E][call_N] + nth_N
