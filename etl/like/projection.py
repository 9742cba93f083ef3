"""New people on the first cohort's components. Axes: M markers, P people of the VCF, K components."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.cohort.calls import read_calls
from etl.cohort.passes import IS_GOOD_SITE, Parts, joined, map_parts
from etl.cohort.schema import HAPLOID_ALT, HET, HOM_ALT, KEY

IMPROBABLE = 0.001
"""Probability below which a marker that no file names is taken as one that was not measured."""

_ALLELES = np.zeros(5)
_ALLELES[[HET, HOM_ALT, HAPLOID_ALT]] = 1, 2, 2

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class MarkerWeights:
    """What an alternate allele of a marker, and a missing call, add to scores."""

    names_M: pa.Array
    mean_M: Numbers
    weight_MK: Numbers

    @classmethod
    def of(cls, table: pd.DataFrame, components: list[str]) -> MarkerWeights:
        """From the reference's loadings."""
        keys = pa.Table.from_pandas(table[list(KEY)], preserve_index=False).combine_chunks().to_batches()
        names = _names(keys[0]) if keys else pa.array([], pa.string())
        return cls(names, table["mean"].to_numpy(np.float64), table[components].to_numpy(np.float64))


@dataclass
class Scores:
    """Sums over markers."""

    sum_PK: Numbers
    n_missing_P: NDArray[np.int64]
    seen: list[NDArray[np.int64]] = field(default_factory=list)
    """Places of the markers that the files name."""

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.sum_PK + other.sum_PK, self.n_missing_P + other.n_missing_P, self.seen + other.seen
        )


def project(
    cohort: str, n_people: int, weights: MarkerWeights, baseline_K: Numbers
) -> tuple[Numbers, Numbers]:
    """Scores of everybody of a VCF, P × K, and the share of the markers that each is called at.

    A call that was not made or failed adds what the fitted people carry on average, as there. A marker that
    the files don't name is homozygous reference, as any variant; but where so many people would all be
    with a probability below `IMPROBABLE`, it was not measured in any of them.
    """
    where = IS_GOOD_SITE & (pc.field("region") == "autosome")
    adding = partial(add_scores, n_people=n_people, weights=weights)
    found: Scores = joined(map_parts(Parts(cohort, (*KEY, "person", "call"), where), adding))
    named = np.zeros(len(weights.mean_M), dtype=bool)
    named[np.concatenate([np.zeros(0, dtype=np.int64), *found.seen])] = True
    with np.errstate(divide="ignore"):
        all_reference_M = 2 * n_people * np.log1p(-np.minimum(weights.mean_M / 2, 1.0))
    unmeasured_M = ~named & (all_reference_M < np.log(IMPROBABLE))
    scores_PK = baseline_K + found.sum_PK + weights.mean_M[unmeasured_M] @ weights.weight_MK[unmeasured_M]
    n_missing_P = found.n_missing_P + int(unmeasured_M.sum())
    return scores_PK, 1 - n_missing_P / max(len(named), 1)


def add_scores(batches: Iterator[pa.RecordBatch], *, n_people: int, weights: MarkerWeights) -> Scores:
    """What a task does: sum the weights of the alleles that people carry at the markers of its part."""
    n_components = weights.weight_MK.shape[1]
    total = Scores(np.zeros((n_people, n_components)), np.zeros(n_people, dtype=np.int64))
    for batch in batches:
        place = pc.index_in(_names(batch), value_set=weights.names_M)
        rows = batch.filter(place.is_valid())
        marker_V = place.drop_null().to_numpy()
        calls = read_calls(rows)
        marker_E = marker_V[calls.variant_E]
        dosage_E = np.where(calls.missing_E, weights.mean_M[marker_E], _ALLELES[calls.call_E])
        np.add.at(total.sum_PK, calls.person_E, dosage_E[:, np.newaxis] * weights.weight_MK[marker_E])
        total.n_missing_P += np.bincount(calls.person_E[calls.missing_E], minlength=n_people)
        total.seen.append(marker_V.astype(np.int64))
    return total


def _names(rows: pa.RecordBatch) -> pa.Array:
    position = pc.cast(rows["position"], pa.string())
    return pc.binary_join_element_wise(rows["contig"], position, rows["ref"], rows["alt"], ":")
