"""The states a person may be in at a variant, and what each leaves of the allele counts. Axis C: variants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class State:
    """A call as masks see it."""

    name: str
    alternate: int | None
    """Alternate alleles of the call; None: it is missing."""
    ploidy: int = 2
    counted: bool = False
    """The person's own alleles are among those that the frequencies were counted from."""

    @property
    def is_reference(self) -> bool:
        """No alternate allele: people who are not listed at a variant."""
        return self.alternate == 0


_SEALED = (
    State("reference", 0),
    State("reference_haploid", 0, ploidy=1),
    State("het", 1),
    State("hom", 2),
    State("haploid", 1, ploidy=1),
)
ALL = (
    State("missing", None),
    State("missing_haploid", None, ploidy=1),
    *_SEALED,
    *(State(f"others_{state.name}", state.alternate, state.ploidy, counted=True) for state in _SEALED),
)
STATES = tuple(state.name for state in ALL)
"""What a call may be; `others_…` are of people whose alleles are among those counted, for whom a variant is
as rare as in all others. A missing call adds nothing to the counts. A state's number is its place here."""

REFERENCE_STATES = tuple(place for place, state in enumerate(ALL) if state.is_reference)
"""States of people who are not listed."""


@dataclass(frozen=True)
class Alleles:
    """The allele that a mask counts, as common as it is in other people."""

    count_C: Values
    number_C: Values
    """Alleles called in them."""
    is_reference_C: Flags
    """It is the reference allele, because that is the rarer one."""

    @property
    def frequency_C(self) -> Values:
        """Its frequency, NaN where nobody else was called, or where nobody can be in this state."""
        known_C = (self.number_C > 0) & (self.count_C >= 0) & (self.count_C <= self.number_C)
        return np.where(known_C, self.count_C / np.where(known_C, self.number_C, 1), np.nan)

    def carried(self, state: State) -> NDArray[np.int64]:
        """How many of them a call that was made has."""
        alternate = state.alternate or 0
        return np.where(self.is_reference_C, state.ploidy - alternate, alternate)

    def external_C(self, frequency_C: Values) -> Values:
        """Its frequency in a catalogue, given the alternate allele's; NaN, which is not in it, is 0."""
        known_C = np.where(np.isnan(frequency_C), 0.0, frequency_C)
        return np.where(self.is_reference_C, 1 - known_C, known_C)


def alleles_of_others(state: State, count_C: Values, number_C: Values, *, minor: bool) -> Alleles:
    """What is left of the counts for a person in a state, and which allele is counted.

    Parameters
    ----------
    state
        Whose own alleles are taken out where they were counted.
    count_C, number_C
        Alternate and called alleles of people outside the test fold.
    minor
        Count the rarer allele: the reference where the alternate is above one half in all others.
    """
    if state.counted:
        count_C, number_C = count_C - (state.alternate or 0), number_C - state.ploidy
    is_reference_C = (2 * count_C > number_C) if minor else np.zeros(len(count_C), dtype=bool)
    return Alleles(np.where(is_reference_C, number_C - count_C, count_C), number_C, is_reference_C)
