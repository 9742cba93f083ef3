"""Genotype quality control: which calls can't be trusted, and the sparse cohort that is left."""

from __future__ import annotations

import hail as hl

from etl.thresholds import GenotypeThresholds

KEPT_FIELDS = ("GT", "AD", "DP", "GQ")


def genotype_failures(mt: hl.MatrixTable, thresholds: GenotypeThresholds) -> dict[str, hl.BooleanExpression]:
    """Named rules that a called genotype fails.

    Parameters
    ----------
    mt
        Biallelic; entries GT, AD, DP, GQ, PL.
    thresholds
        The profile's numbers.

    Returns
    -------
    dict
        Reason -> expression that is True for a call that fails the rule. A value that the rule needs and
        the call lacks fails it. Uncalled genotypes fail nothing. Source of the rules: BipEx,
        01_load_vcf_filterGT.py.
    """
    called = hl.is_defined(mt.GT)
    het, hom_var, hom_ref = mt.GT.is_het(), _is_hom_var(mt.GT), _is_hom_ref(mt.GT)
    reference_share, balance = mt.AD[0] / mt.DP, mt.AD[1] / mt.DP
    rules = {
        "depth": thresholds.min_dp <= mt.DP,
        "genotype_quality": hl.if_else(
            hom_ref, thresholds.min_gq_hom_ref <= mt.GQ, mt.PL[0] >= thresholds.min_pl_hom_ref
        ),
        "allele_balance": (
            hl.case()
            .when(het, balance >= thresholds.min_allele_balance_het)
            .when(hom_var, balance >= thresholds.min_allele_balance_hom_var)
            .default(True)
        ),
        "allelic_reads": ~het | (reference_share + balance >= thresholds.min_allelic_reads_het),
    }
    return {reason: called & ~hl.or_else(passes, False) for reason, passes in rules.items()}


def sparse_cohort(mt: hl.MatrixTable, failures: dict[str, hl.BooleanExpression]) -> hl.MatrixTable:
    """Apply the genotype rules, count by variant, and keep only entries that carry news.

    Parameters
    ----------
    mt
        Biallelic; entries with GT.
    failures
        From `genotype_failures`; empty to trust every call.

    Returns
    -------
    hail.MatrixTable
        An entry that is absent is a homozygous reference call that passed. An entry that is there with
        GT missing was not called or failed. Row field `calls`: n (people), n_called, n_het, n_hom_var,
        n_not_called (before the rules), failed (reason -> calls; a call may fail several rules).
    """
    failed = hl.any(list(failures.values())) if failures else hl.literal(False)
    kept = hl.or_missing(~failed, mt.GT)
    mt = mt.annotate_entries(kept_call=kept, **{f"fails_{reason}": rule for reason, rule in failures.items()})
    mt = mt.annotate_rows(
        calls=hl.struct(
            n=hl.agg.count(),
            n_called=hl.agg.count_where(hl.is_defined(mt.kept_call)),
            n_het=hl.agg.count_where(mt.kept_call.is_het()),
            n_hom_var=hl.agg.count_where(_is_hom_var(mt.kept_call)),
            n_not_called=hl.agg.count_where(hl.is_missing(mt.GT)),
            failed=hl.struct(**{reason: hl.agg.count_where(mt[f"fails_{reason}"]) for reason in failures}),
        )
    )
    others = [name for name in KEPT_FIELDS[1:] if name in mt.entry]
    mt = mt.select_entries(*others, GT=mt.kept_call)
    return mt.filter_entries(hl.or_else(_is_hom_ref(mt.GT), False), keep=False)


def _is_hom_ref(call: hl.CallExpression) -> hl.BooleanExpression:
    return call.n_alt_alleles() == 0


def _is_hom_var(call: hl.CallExpression) -> hl.BooleanExpression:
    return (call.n_alt_alleles() == call.ploidy) & (call.ploidy > 0)
