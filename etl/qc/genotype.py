"""Genotype quality control: which calls can't be trusted. Pure numpy; axis E is calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.thresholds import GenotypeThresholds

Flags = NDArray[np.bool_]
Values = NDArray[np.int32]


@dataclass(frozen=True)
class AlternateCalls:
    """Calls that carry the alternate allele, and people without a call. Missing values are negative."""

    n_alt_E: NDArray[np.int8]
    """Alternate alleles of the call; 0 for people without a call."""
    haploid_E: Flags
    ad_ref_E: Values
    ad_alt_E: Values
    dp_E: Values
    pl_ref_E: Values
    """Phred likelihood of no alternate allele."""

    @property
    def called_E(self) -> Flags:
        """Whether there is a call."""
        return self.n_alt_E > 0

    @property
    def het_E(self) -> Flags:
        """Diploid with one alternate allele."""
        return (self.n_alt_E == 1) & ~self.haploid_E


def reference_failures(dp_E: Values, gq_E: Values, limits: GenotypeThresholds) -> tuple[Flags, Flags]:
    """Homozygous (or haploid) reference calls that fail by depth, and by genotype quality.

    A missing value fails. Source of all rules: BipEx, 01_load_vcf_filterGT.py.
    """
    return dp_E < limits.min_dp, gq_E < limits.min_gq_hom_ref


def alternate_failures(calls: AlternateCalls, limits: GenotypeThresholds) -> NDArray[np.bool_]:
    """Calls that fail each of `etl.cohort.schema.RULES`.

    Returns
    -------
    numpy.ndarray
        Rules × E. A value that the rule needs and the call lacks fails it. People without a call fail
        nothing.
    """
    called, het = calls.called_E, calls.het_E
    with np.errstate(divide="ignore", invalid="ignore"):
        balance = np.where(calls.ad_alt_E < 0, np.nan, calls.ad_alt_E) / _positive(calls.dp_E)
        reference = np.where(calls.ad_ref_E < 0, np.nan, calls.ad_ref_E) / _positive(calls.dp_E)
    # Written as "not at least": a comparison with a missing value is false, and so the call fails.
    least = np.where(het, limits.min_allele_balance_het, limits.min_allele_balance_hom_var)
    return np.stack(
        [
            called & ~(calls.dp_E >= max(limits.min_dp, 0)),
            called & ~(calls.pl_ref_E >= max(limits.min_pl_hom_ref, 0)),
            called & ~(balance >= least),
            het & ~(reference + balance >= limits.min_allelic_reads_het),
        ]
    )


def _positive(dp_E: Values) -> NDArray[np.float64]:
    """Depth as a divisor; missing stays missing, 0 gives an infinite or undefined share."""
    return np.where(dp_E < 0, np.nan, dp_E)
