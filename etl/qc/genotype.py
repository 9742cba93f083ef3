"""Genotype quality control: which calls can't be trusted. Pure numpy.

Axes: P people, E listed calls (of one allele, or of several one behind the other), V alleles, R rules of
`etl.cohort.schema.RULES`, C codes of `etl.cohort.schema`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from etl.cohort.schema import FAILED, HAPLOID_ALT, HET, HOM_ALT, N_CODES, NOT_CALLED, RULES
from etl.thresholds import GenotypeThresholds

Flags = NDArray[np.bool_]
Values = NDArray[np.int32]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ListedCalls:
    """Everybody who is no passing homozygous reference, before the rules. Missing values are negative."""

    person_E: Values
    called_E: Flags
    n_alt_E: NDArray[np.int8]
    """Alternate alleles of the call; 0 for reference calls and for people without a call."""
    haploid_E: Flags
    ad_ref_E: Values
    ad_alt_E: Values
    dp_E: Values
    gq_E: Values
    pl_ref_E: Values
    """Phred likelihood of no alternate allele."""

    def __len__(self) -> int:
        return len(self.person_E)


@dataclass(frozen=True)
class JudgedCalls:
    """Listed calls of several alleles after the rules."""

    n_listed_V: Counts
    count_VC: Counts
    """Listed calls by code."""
    failed_VR: Counts
    """Calls that fail each rule; one may fail several."""
    listed: ListedCalls
    code_E: NDArray[np.int8]

    @property
    def n_missing_V(self) -> Counts:
        """People without a call that counts: none in the file, or a failed one."""
        return self.count_VC[:, NOT_CALLED] + self.count_VC[:, FAILED]


def reference_fails(
    dp_P: Values | None, gq_P: Values | None, haploid_P: Flags, limits: GenotypeThresholds
) -> Flags | np.bool_:
    """Who fails, by depth or genotype quality, if their call is of the reference; a missing value fails.

    Source of all rules: BipEx, 01_load_vcf_filterGT.py; the depth of haploid calls is gnomAD's.
    """
    if dp_P is None or gq_P is None:
        return np.True_
    return (dp_P < _least_depth(haploid_P, limits)) | (gq_P < limits.min_gq_hom_ref)


def _least_depth(haploid: Flags, limits: GenotypeThresholds) -> NDArray[np.int64] | int:
    # One chromosome gives half of the reads: with the limit of two, men would lose whole genes of X.
    if not haploid.any():
        return limits.min_dp
    return np.where(haploid, limits.min_dp_haploid, limits.min_dp)


def judge_calls(listed_V: Sequence[ListedCalls], limits: GenotypeThresholds | None) -> JudgedCalls:
    """Judge the listed calls of several alleles together: a step of numpy costs the same for one as for all.

    Parameters
    ----------
    listed_V
        Of each allele, at least one.
    limits
        Genotype rules; None trusts every call.
    """
    n_listed_V = np.array([len(listed) for listed in listed_V])
    names = [part.name for part in fields(ListedCalls)]
    calls = ListedCalls(
        **{name: np.concatenate([getattr(listed, name) for listed in listed_V]) for name in names}
    )
    code_E = np.full(len(calls), NOT_CALLED, dtype=np.int8)
    code_E[calls.n_alt_E == 1] = HET
    code_E[calls.n_alt_E == 2] = HOM_ALT
    code_E[calls.haploid_E & (calls.n_alt_E > 0)] = HAPLOID_ALT
    allele_E = np.repeat(np.arange(len(listed_V)), n_listed_V)
    fails_RE = failures(calls, limits) if limits else np.zeros((len(RULES), len(calls)), dtype=bool)
    code_E[fails_RE.any(axis=0)] = FAILED
    failed_RV = [np.bincount(allele_E[fails_E], minlength=len(listed_V)) for fails_E in fails_RE]
    count_VC = np.bincount(allele_E * N_CODES + code_E, minlength=N_CODES * len(listed_V))
    return JudgedCalls(n_listed_V, count_VC.reshape(-1, N_CODES), np.stack(failed_RV, axis=1), calls, code_E)


def failures(calls: ListedCalls, limits: GenotypeThresholds) -> NDArray[np.bool_]:
    """Calls that fail each rule.

    Returns
    -------
    numpy.ndarray
        R × E. A value that the rule needs and the call lacks fails it. People without a call fail nothing.
    """
    called, alternate = calls.called_E, calls.n_alt_E > 0
    het = (calls.n_alt_E == 1) & ~calls.haploid_E
    with np.errstate(divide="ignore", invalid="ignore"):
        balance = np.where(calls.ad_alt_E < 0, np.nan, calls.ad_alt_E) / _positive(calls.dp_E)
        reference = np.where(calls.ad_ref_E < 0, np.nan, calls.ad_ref_E) / _positive(calls.dp_E)
    quality = np.where(
        alternate,
        calls.pl_ref_E >= limits.min_pl_hom_ref,
        calls.gq_E >= limits.min_gq_hom_ref,
    )
    # Written as "not at least": a comparison with a missing value is false, and so the call fails.
    least = np.where(het, limits.min_allele_balance_het, limits.min_allele_balance_hom_var)
    return np.stack(
        [
            called & ~(calls.dp_E >= _least_depth(calls.haploid_E, limits)),
            called & ~quality,
            alternate & ~(balance >= least),
            het & ~(reference + balance >= limits.min_allelic_reads_het),
        ]
    )


def _positive(dp_E: Values) -> NDArray[np.float64]:
    """Depth as a divisor; missing stays missing, 0 gives an infinite or undefined share."""
    return np.where(dp_E < 0, np.nan, dp_E)
