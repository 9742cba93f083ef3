"""Which state of `etl.aggregate.states` each person is in at each variant of a batch.

Axes: V variants of a batch, E states of people at variants, K people who stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.aggregate.states import ALL
from etl.cohort.calls import FEMALE, MALE, Calls
from etl.cohort.people import KeptPeople
from etl.cohort.schema import HAPLOID_ALT, HET, HOM_ALT

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_PLACES = {(state.alternate, state.ploidy, state.counted): place for place, state in enumerate(ALL)}


@dataclass(frozen=True)
class PersonStates:
    """States of people at variants, in any order."""

    variant_E: Places
    person_E: NDArray[np.int32]
    state_E: Places

    def __add__(self, other: PersonStates) -> PersonStates:
        if not len(other.variant_E):
            return self
        return PersonStates(
            np.concatenate([self.variant_E, other.variant_E]),
            np.concatenate([self.person_E, other.person_E]),
            np.concatenate([self.state_E, other.state_E]),
        )


def listed_states(calls: Calls, regions: Sequence[str], people: KeptPeople, counted_K: Flags) -> PersonStates:
    """States of the people who are listed; on Y women have none, as they have no allele there.

    Parameters
    ----------
    calls
        With ploidy set by sex, see `etl.cohort.people.KeptPeople.calls`.
    regions
        Along the variants, see `etl.cohort.schema.REGIONS`.
    people
        Whose sexes tell how many alleles a man's missing call on X would have.
    counted_K
        By sample_index: whether a person's alleles are among those that frequencies were counted from.
    """
    on_y_V, haploid_V = np.isin(regions, ("y",)), np.isin(regions, ("x", "y"))
    calls = calls.where(~on_y_V[calls.variant_E] | (people.sex_K[calls.person_E] != FEMALE))
    man_E = people.sex_K[calls.person_E] == MALE
    # Frequencies on Y were counted from men alone.
    counted_E = counted_K[calls.person_E] & (man_E | ~on_y_V[calls.variant_E])
    haploid_E = haploid_V[calls.variant_E] & man_E
    state_E = np.where(haploid_E, _PLACES[None, 1, False], _PLACES[None, 2, False])
    for code, alternate, ploidy in ((HET, 1, 2), (HOM_ALT, 2, 2), (HAPLOID_ALT, 1, 1)):
        of_code_E = calls.call_E == code
        for counted in (False, True):
            state_E[of_code_E & (counted_E == counted)] = _PLACES[alternate, ploidy, counted]
    return PersonStates(calls.variant_E, calls.person_E, state_E)


def unlisted_states(
    calls: Calls, regions: Sequence[str], people: KeptPeople, counted_K: Flags, variants: Places
) -> PersonStates:
    """States of the people who are not listed at some variants: their calls are reference.

    Those are the variants whose reference allele is the rarer one: most people are listed there, so that
    naming the others costs no more than the lists.

    Parameters
    ----------
    calls, regions, people, counted_K
        See `listed_states`. Women have no reference call on Y.
    variants
        Rows of the batch.
    """
    if not len(variants):
        return PersonStates(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
    ends = np.searchsorted(calls.variant_E, variants, side="right")
    starts = np.searchsorted(calls.variant_E, variants, side="left")
    man_K = people.sex_K == MALE
    diploid_K = np.where(counted_K, _PLACES[0, 2, True], _PLACES[0, 2, False])
    haploid_K = np.where(counted_K, _PLACES[0, 1, True], _PLACES[0, 1, False])
    by_region = {
        "x": np.where(man_K, haploid_K, diploid_K),
        "y": np.where(man_K, haploid_K, _PLACES[0, 2, False]),
    }
    persons, states = [], []
    for variant, start, end in zip(variants, starts, ends, strict=True):
        region = regions[variant]
        unlisted_K = people.sex_K != FEMALE if region == "y" else np.ones(len(counted_K), dtype=bool)
        unlisted_K[calls.person_E[start:end]] = False
        persons.append(np.flatnonzero(unlisted_K).astype(np.int32))
        states.append(by_region.get(region, diploid_K)[persons[-1]])
    owner_E = np.repeat(variants, [len(person) for person in persons])
    return PersonStates(owner_E, np.concatenate(persons), np.concatenate(states))
