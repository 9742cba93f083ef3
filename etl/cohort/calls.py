"""The listed calls of a batch of variants as flat arrays: what every kernel starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.cohort.schema import FAILED, HAPLOID_ALT, HET, HOM_ALT, NOT_CALLED

UNKNOWN, FEMALE, MALE = range(3)
"""Codes of a person's sex."""


@dataclass(frozen=True)
class Calls:
    """Listed calls of a batch, flat. Axes: V variants of the batch, E listed calls.

    People who are not listed at a variant have a passing homozygous (or haploid) reference call there.
    """

    n_variants: int
    variant_E: NDArray[np.int64]
    """Row of the batch that a call belongs to, ascending."""
    person_E: NDArray[np.int32]
    call_E: NDArray[np.int8]
    """See `etl.cohort.schema`: NOT_CALLED, HET, HOM_ALT, HAPLOID_ALT, FAILED."""

    @property
    def missing_E(self) -> NDArray[np.bool_]:
        """No call in the file, or a failed one."""
        return (self.call_E == NOT_CALLED) | (self.call_E == FAILED)

    def where(self, keep_E: NDArray[np.bool_]) -> Calls:
        """Some of the calls; the variants stay as they are."""
        return replace(
            self, variant_E=self.variant_E[keep_E], person_E=self.person_E[keep_E], call_E=self.call_E[keep_E]
        )


def read_calls(batch: pa.RecordBatch) -> Calls:
    """Calls of a batch with the columns person and call."""
    people = batch.column("person")
    lengths = np.diff(people.offsets.to_numpy())
    return Calls(
        n_variants=batch.num_rows,
        variant_E=np.repeat(np.arange(batch.num_rows), lengths),
        person_E=people.flatten().to_numpy(),
        call_E=batch.column("call").flatten().to_numpy(),
    )


def flat(batch: pa.RecordBatch, name: str) -> NDArray[np.int32]:
    """Values of a list column along the listed calls."""
    return batch.column(name).flatten().to_numpy()


def nested(values: pa.Array, lengths: NDArray[np.int64]) -> pa.ListArray:
    """A list column: flat values, cut into lists of these lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def column(batch: pa.RecordBatch, name: str) -> NDArray[np.generic]:
    """A column of plain values along the variants."""
    return batch.column(name).to_numpy(zero_copy_only=False)


def keep_people(calls: Calls, index_P: NDArray[np.int32]) -> Calls:
    """The calls of some people, under other numbers.

    Parameters
    ----------
    calls
        With the numbers of the VCF's header.
    index_P
        Along the VCF's people: the new number, or -1 for people to leave out.
    """
    person_E = index_P[calls.person_E]
    return replace(calls, person_E=person_E).where(person_E >= 0)


def fit_ploidy(calls: Calls, regions: Sequence[str], sex_P: NDArray[np.int8]) -> Calls:
    """Set ploidy on X and Y by sex, as `gnomad.sample_qc.sex.adjust_sex_ploidy` does.

    Outside the pseudo-autosomal regions a man's heterozygous call fails and his homozygous one is haploid; a
    woman's calls on Y fail, and so does her haploid call on X. People of unknown sex keep their calls. Unlike
    there, women keep calls in the pseudo-autosomal regions of Y, which callers mask: their reads map to X.

    Parameters
    ----------
    calls
        With numbers that `sex_P` knows.
    regions
        Along the variants, see `etl.cohort.schema.REGIONS`.
    sex_P
        Along the people: UNKNOWN, FEMALE or MALE.
    """
    on_x, on_y = (np.array([region == name for region in regions], dtype=bool) for name in ("x", "y"))
    if not (on_x.any() or on_y.any()):
        return calls
    x_E, y_E, sex_E = on_x[calls.variant_E], on_y[calls.variant_E], sex_P[calls.person_E]
    call_E = calls.call_E.copy()
    man_E = (x_E | y_E) & (sex_E == MALE)
    woman_E = sex_E == FEMALE
    call_E[man_E & (calls.call_E == HET)] = FAILED
    call_E[man_E & (calls.call_E == HOM_ALT)] = HAPLOID_ALT
    call_E[woman_E & y_E] = FAILED
    call_E[woman_E & x_E & (calls.call_E == HAPLOID_ALT)] = FAILED
    return replace(calls, call_E=call_E)


def sex_codes(sex: Sequence[str]) -> NDArray[np.int8]:
    """Codes of 'female' and 'male'; anything else is unknown."""
    codes = {"female": FEMALE, "male": MALE}
    return np.array([codes.get(name, UNKNOWN) for name in sex], dtype=np.int8)
