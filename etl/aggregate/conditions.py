"""Which consequences meet the conditions of a mask.

Axes: V variants of a batch, C consequences of all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.aggregate.config import ANY, Condition, MaskConfig, ScoreRange

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Consequences:
    """Consequences of a batch, flat. Their fields are known by name, so that others may stand among them."""

    variant_C: Places
    """Row of the batch, ascending."""
    fields: dict[str, pa.Array]
    """Columns along C, see `etl.annotate.consequence.CONSEQUENCE`."""
    score_names: Sequence[str] = ()
    """In the order of the field `scores`."""

    @property
    def gene_C(self) -> NDArray[np.int32]:
        """Place on the gene axis."""
        return self.fields["gene"].to_numpy()

    def score_C(self, name: str) -> Values:
        """A score, NaN where it is missing; `weight` is that of a group file."""
        if name not in self.score_names and name in self.fields:
            own: Values = self.fields[name].to_numpy(zero_copy_only=False).astype(np.float64)
            return own
        lists = self.fields["scores"]
        offsets = lists.offsets.to_numpy()
        place_C = offsets[:-1] + self.score_names.index(name)
        known_C = place_C < offsets[1:]
        value_C = np.full(len(place_C), np.nan)
        value_C[known_C] = lists.values.to_numpy(zero_copy_only=False)[place_C[known_C]]
        return value_C


def read_consequences(batch: pa.RecordBatch, score_names: Sequence[str] = ()) -> Consequences:
    """Consequences of a batch with that column; variants without any have none here."""
    lists = batch.column("consequences")
    variant_C = np.repeat(np.arange(batch.num_rows), np.diff(lists.offsets.to_numpy()))
    found = lists.flatten()
    names = [field.name for field in found.type]
    return Consequences(variant_C, dict(zip(names, found.flatten(), strict=True)), score_names)


def counted(mask: MaskConfig, found: Consequences) -> Flags:
    """Whether each consequence is one that the mask counts, whatever its frequency."""
    met_C = np.zeros(len(found.variant_C), dtype=bool)
    for condition in mask.conditions:
        met_C |= meets(condition, found)
    for condition in mask.none_of:
        met_C &= ~meets(condition, found)
    return met_C


def meets(condition: Condition, found: Consequences) -> Flags:
    """Whether each consequence has all that a condition asks for; a missing value meets nothing."""
    met_C = np.ones(len(found.variant_C), dtype=bool)
    if condition.classes and ANY not in condition.classes:
        met_C &= _among(found.fields["variant_class"], condition.classes)
    if condition.terms:
        met_C &= _has_term(found, condition.terms)
    if condition.loftee:
        met_C &= _among(found.fields["loftee"], condition.loftee)
    for name, limits in condition.scores.items():
        met_C &= _in_range(found.score_C(name), limits)
    return met_C


def _among(values: pa.Array, wanted: Collection[str]) -> Flags:
    # A null is in no set.
    flags: Flags = pc.is_in(values, value_set=pa.array(wanted, pa.string())).to_numpy(zero_copy_only=False)
    return flags


def _has_term(found: Consequences, wanted: Collection[str]) -> Flags:
    if "terms" not in found.fields:
        return _among(found.fields["consequence"], wanted)
    lists = found.fields["terms"]
    offsets = lists.offsets.to_numpy()
    n_before = np.concatenate([[0], np.cumsum(_among(lists.values, wanted))])
    flags: Flags = n_before[offsets[1:]] > n_before[offsets[:-1]]
    return flags


def _in_range(value_C: Values, limits: ScoreRange) -> Flags:
    within_C = ~np.isnan(value_C)
    if limits.min is not None:
        within_C &= value_C >= limits.min
    if limits.above is not None:
        within_C &= value_C > limits.above
    if limits.max is not None:
        within_C &= value_C <= limits.max
    if limits.below is not None:
        within_C &= value_C < limits.below
    return within_C
