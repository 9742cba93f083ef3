"""The chance that each bad variant can be found at all, by the rules of the bipex profile.

Normal approximations on expected counts: they tell which variants a fair score may count.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy.stats import binom, norm

from etl.simulate.truth import BadVariantTruth, Truth

TRAINING = 0.9
"""Share of the people outside the sealed fold, whom tests see."""

MAX_MISSING = 0.03
"""Bipex: call rate of at least 0.97."""

CRITICAL = float(norm.isf(0.5e-6))
"""Standard deviations of a two-sided test at 1e-6: Hardy-Weinberg equilibrium, and batches."""


def detection_power(truth: Truth) -> list[float]:
    """Chance of being dropped, along `truth.bad_variants`."""
    counts = _Counts.of(truth)
    return [_POWER[bad.kind](bad, counts) for bad in truth.bad_variants]


class _Counts:
    """People of the study outside the sealed fold, as expected."""

    def __init__(self, people: int, statuses: dict[str, float], kits: dict[str, float], alike: float) -> None:
        self.people = people
        self.by_status = statuses
        self.controls_by_kit = kits
        self.controls_alike = alike

    @classmethod
    def of(cls, truth: Truth) -> _Counts:
        controls = [person for person in truth.people if person.status == "control"]
        statuses = Counter(person.status for person in truth.people)
        return cls(
            people=len(truth.people),
            statuses={name: TRAINING * number for name, number in statuses.items()},
            kits={kit: TRAINING * n for kit, n in Counter(person.kit for person in controls).items()},
            alike=TRAINING * max(Counter(person.ancestry for person in controls).values()),
        )


def _certain(bad: BadVariantTruth, counts: _Counts) -> float:
    return 1.0


def _call_rate(bad: BadVariantTruth, counts: _Counts) -> float:
    n = round(TRAINING * counts.people)
    return float(binom.sf(np.floor(MAX_MISSING * n), n, bad.strength))


def _call_rate_of_status(bad: BadVariantTruth, counts: _Counts) -> float:
    n = round(counts.by_status[str(bad.group)])
    return float(binom.sf(np.floor(MAX_MISSING * n), n, bad.strength))


def _frequency(bad: BadVariantTruth, counts: _Counts) -> float:
    return bad.copies / (2 * counts.people)


def _with_artefact(frequency: float, strength: float) -> tuple[float, float]:
    """Heterozygotes and alternate alleles where a share of people looks heterozygous whatever they are."""
    het = strength + (1 - strength) * 2 * frequency * (1 - frequency)
    return het, strength / 2 + (1 - strength) * frequency


def _excess_heterozygotes(bad: BadVariantTruth, counts: _Counts) -> float:
    """Hardy-Weinberg test in the controls of the largest ancestry: n F squared is a chi-squared value."""
    het, frequency = _with_artefact(_frequency(bad, counts), bad.strength)
    inbreeding = 1 - het / (2 * frequency * (1 - frequency))
    return float(norm.sf(CRITICAL - np.sqrt(counts.controls_alike) * abs(inbreeding)))


def _batch_artefact(bad: BadVariantTruth, counts: _Counts) -> float:
    """Two proportions: the controls of the kit against all others."""
    outside = _frequency(bad, counts)
    _, inside = _with_artefact(outside, bad.strength)
    alleles_inside = 2 * counts.controls_by_kit.get(str(bad.group), 0.0)
    alleles_outside = 2 * sum(counts.controls_by_kit.values()) - alleles_inside
    if not alleles_inside or not alleles_outside:
        return 0.0
    pooled = (inside * alleles_inside + outside * alleles_outside) / (alleles_inside + alleles_outside)
    null = np.sqrt(pooled * (1 - pooled) * (1 / alleles_inside + 1 / alleles_outside))
    # Artefacts are heterozygotes: their number in the kit is binomial over people, not over alleles.
    spread = np.sqrt(
        bad.strength * (1 - bad.strength) / (2 * alleles_inside)
        + outside * (1 - outside) * (1 / alleles_inside + 1 / alleles_outside)
    )
    return float(norm.cdf((abs(inside - outside) - CRITICAL * null) / spread))


_POWER = {
    "excess_heterozygotes": _excess_heterozygotes,
    "differential_missingness": _call_rate_of_status,
    "low_call_rate": _call_rate,
    "batch_artefact": _batch_artefact,
    "failed_filter": _certain,
    "poor_coverage": _certain,
    "off_target": _certain,
}
