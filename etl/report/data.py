"""What the quality report is made of. The pipeline fills it; parts that were not measured stay None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from contract.manifest import LedgerEntry
from contract.page.panel import Cut
from etl.associate.inflation import Inflation
from etl.report.variants import VariantSums


@dataclass(frozen=True)
class Histogram:
    """Counts of variants between edges; `edges` is one longer than `counts`."""

    edges: np.ndarray
    counts: np.ndarray
    cut: Cut = field(default_factory=Cut)


@dataclass(frozen=True)
class Threshold:
    """One number of the quality-control profile."""

    group: str
    name: str
    value: str
    meaning: str
    source: str


@dataclass(frozen=True)
class Gate:
    """One verdict of the first page."""

    name: str
    verdict: Literal["pass", "warn", "fail"]
    found: str
    limit: str
    """What was wanted, with its number."""


@dataclass(frozen=True)
class Attrition:
    """Who left, at which step and why; see `etl.report.attrition`."""

    people: pd.DataFrame
    flow: pd.DataFrame
    tests: pd.DataFrame
    variants: pd.DataFrame
    n_people: tuple[int, int]
    """Who came in, and who is in the dataset."""
    n_variants: tuple[int, int]
    """Read, and passing."""


@dataclass(frozen=True)
class AssociationPart:
    """Burden tests of unrelated people outside the sealed fold."""

    table: pd.DataFrame
    """Tested rows, columns of `etl.associate.burden_tests.ASSOCIATION_SCHEMA`."""
    inflation: Sequence[Inflation]
    n_cases: int
    n_controls: int
    n_relatives: int
    """People left out because a relative is among the tested."""
    covariates: Sequence[str] = ()
    """In words."""


@dataclass(frozen=True)
class ReportData:
    """Everything in the report. No frame holds sample ids, and none the status of the sealed fold's people.

    Attributes
    ----------
    title
        Heading, such as the name of the run.
    facts
        Figures of the summary in order: label -> value.
    genotypes_judged
        False where `genotype_qc: skip` trusted every call.
    gates
        Verdicts, from `etl.report.gates.judge`.
    warnings
        Sentences of the steps that a reader must know before any figure.
    attrition
        The ledger.
    lines
        Ledger lines of units other than people, by step, that the attrition tables do not hold.
    n_genotypes
        Genotypes read: `lines` of genotypes are a part of them.
    people
        One row per person before any were dropped: status, batch, the metrics of
        `people_figures.SAMPLE_METRICS`, f_stat, reported_sex, imputed_sex, and in_end (is in the dataset).
        Metrics may be absent.
    sample_cuts
        Metric -> its limits; f_stat has the limits of the sexes as low and high.
    variants
        Metric -> histogram over variants.
    variant_sums
        Spectrum, differences of call rates, Hardy-Weinberg p-values.
    n_tested_groups
        Ancestry groups that the Hardy-Weinberg p-value is the smallest of.
    max_call_rate_difference
        Limit on the difference between cases and controls.
    components
        One row per person: pc1, pc2 …, ancestry, batch, status, is_fitted (False: projected).
    eigenvalues
        Of the components, beside the largest that noise would give: eigenvalue, noise.
    kinship
        One row per pair: kinship, relationship, and ibs0 (share of markers with opposite homozygotes) where
        it was measured.
    min_kinship_family
        Kinship from which pairs share a fold.
    n_pairs_across_folds
        Pairs at or above it whose people are in different folds.
    burden
        From `burden_by_status`.
    synonymous
        Channels of synonymous variants alone: no effect is expected of them.
    association
        Burden tests of each gene and channel.
    classes
        Variants by consequence class.
    thresholds
        The resolved profile.
    numbers
        What the methods paragraph cites of this run: name -> number or text.
    software, digests
        Versions by package; digests by what they are of.
    fitted_on
        What uses labels or was fitted -> the people it saw.
    absent
        Section -> why there is nothing in it.
    """

    title: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    genotypes_judged: bool = True
    gates: Sequence[Gate] = ()
    warnings: Sequence[str] = ()
    attrition: Attrition | None = None
    lines: Sequence[LedgerEntry] = ()
    n_genotypes: int = 0
    people: pd.DataFrame | None = None
    sample_cuts: Mapping[str, Cut] = field(default_factory=dict)
    variants: Mapping[str, Histogram] = field(default_factory=dict)
    variant_sums: VariantSums | None = None
    n_tested_groups: int = 1
    max_call_rate_difference: float | None = None
    components: pd.DataFrame | None = None
    eigenvalues: pd.DataFrame | None = None
    kinship: pd.DataFrame | None = None
    min_kinship_family: float | None = None
    n_pairs_across_folds: int | None = None
    burden: pd.DataFrame | None = None
    synonymous: Sequence[str] = ()
    association: AssociationPart | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    thresholds: Sequence[Threshold] = ()
    numbers: Mapping[str, object] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    fitted_on: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
