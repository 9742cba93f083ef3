"""What the quality report is made of. The pipeline fills it; parts that were not measured stay None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from contract.manifest import LedgerEntry


@dataclass(frozen=True)
class Cut:
    """Limits of a metric; None leaves a side open."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Histogram:
    """Counts of variants between edges; `edges` is one longer than `counts`."""

    edges: np.ndarray
    counts: np.ndarray
    cut: Cut = Cut()


@dataclass(frozen=True)
class Threshold:
    """One number of the quality-control profile."""

    group: str
    name: str
    value: str
    meaning: str
    source: str


@dataclass(frozen=True)
class ReportData:
    """Everything in the report. No frame holds sample ids: what is not listed here is never read.

    Attributes
    ----------
    title
        Heading, such as the name of the run.
    facts
        Figures of the summary in order: label -> value.
    warnings
        Sentences that stand first.
    ledger
        Counts by step and reason, in the order of the steps.
    samples
        One row per person before any were dropped: the metrics of `figures.SAMPLE_METRICS`, f_stat,
        reported_sex, imputed_sex, is_case, batch, reasons (comma-separated, empty for people who stay).
        Columns may be absent.
    sample_cuts
        Metric -> its limits; f_stat has the limits of the sexes as low and high.
    variants
        Metric -> histogram over variants.
    components
        One row per person: PC1, PC2, ancestry, batch, is_case, and is_fitted (False: projected).
    kinship
        One row per pair: kinship, relationship.
    min_kinship_family
        Kinship from which pairs share a fold.
    burden
        From `burden_by_status`.
    classes
        Variants by consequence class.
    thresholds
        The resolved profile.
    software, digests
        Versions by package; digests by what they are of.
    fitted_on
        What uses labels or was fitted -> the people it saw.
    absent
        Section -> why there is nothing in it.
    """

    title: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    ledger: Sequence[LedgerEntry] = ()
    samples: pd.DataFrame | None = None
    sample_cuts: Mapping[str, Cut] = field(default_factory=dict)
    variants: Mapping[str, Histogram] = field(default_factory=dict)
    components: pd.DataFrame | None = None
    kinship: pd.DataFrame | None = None
    min_kinship_family: float | None = None
    burden: pd.DataFrame | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    thresholds: Sequence[Threshold] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    fitted_on: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
