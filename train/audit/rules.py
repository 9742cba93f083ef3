"""How checks decide: error rates, limits of what matters, and what a check hands over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from scipy.stats import norm

Status = Literal["passed", "failed", "not_possible"]

FALSE_ALARMS = 0.05
"""Chance that any of the checks fails in a clean cohort, at most (Bonferroni over `STATISTICAL_CHECKS`)."""
STATISTICAL_CHECKS = 12
"""Checks that decide by a test; the others compare files and digests, and can't fail by chance."""

SMALL_DIFFERENCE = 0.1
"""Standardised mean difference below which groups count as balanced (Austin 2009, Stat Med 28:3083)."""
BALANCED_AUROC = 0.028
"""The same as a distance of an AUROC from 0.5: Φ(0.1 / √2) − 0.5."""
SMALL_AUROC = 0.056
"""Distance from 0.5 of a small effect, d = 0.2 (Cohen 1988): Φ(0.2 / √2) − 0.5."""
VARIANCE_RATIO = 1.25
"""Ratio of variances up to which two groups are spread alike: 4/5 to 5/4 is "good", beyond 1/2 to 2 "bad"
(Rubin 2001, Health Serv Outcomes Res Methodol 2:169). Few people exceed it by chance: a test decides too."""
MATERIAL_GAIN = 0.01
"""Gain in AUROC below which it does not matter, however many people make it significant."""
LOST_SHARE = 0.5
"""Share of the distance from 0.5 that may be lost within strata before strata explain a score."""
MIN_GROUP = 10
"""People of a kind (cases, a batch) that a test wants at least."""


@dataclass(frozen=True)
class Finding:
    """What a check found; sentences for people, numbers for programs."""

    status: Status
    found: str
    wanted: str
    means: str = ""
    advice: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


def not_possible(why: str, wanted: str, advice: str = "") -> Finding:
    """A check that the run or its dataset gives no ground for."""
    return Finding("not_possible", why, wanted, "not looked at", advice)


def z_limit(n_tests: int = 1, *, sides: int = 1) -> float:
    """Normal deviate from which one of a check's tests fails; all checks together keep `FALSE_ALARMS`.

    Parameters
    ----------
    n_tests
        Tests of the check, any of which fails it.
    sides
        1 or 2: directions in which a test may fail.
    """
    return float(norm.isf(FALSE_ALARMS / STATISTICAL_CHECKS / n_tests / sides))
