"""Per-variant metrics over the people who stay, and the limits on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import hail as hl
import pandas as pd
from gnomad.sample_qc.sex import adjusted_sex_ploidy_expr

from etl.qc.sites import site_failures
from etl.thresholds import VariantThresholds

STRATUM = ("is_case", "training", "ancestry", "sex")


def keep_people(mt: hl.MatrixTable, samples: pd.DataFrame) -> hl.MatrixTable:
    """Columns of the people given, with sample_index and karyotype, ploidy set by sex.

    Outside the pseudo-autosomal regions a man's heterozygous call on X or Y becomes missing and his
    homozygous one haploid; a woman's call on Y becomes missing (`gnomad.sample_qc.sex`).

    Parameters
    ----------
    mt
        Sparse cohort.
    samples
        sample_id, sample_index, sex (female, male, or missing: ploidy is left as it is).
    """
    karyotype = {"female": "XX", "male": "XY"}
    told = {
        row.sample_id: hl.Struct(
            sample_index=int(row.sample_index), karyotype=karyotype.get(row.sex, "unknown")
        )
        for row in samples.itertuples()
    }
    people = hl.literal(told, "dict<str, struct{sample_index: int32, karyotype: str}>")
    mt = mt.annotate_cols(**people.get(mt.s))
    mt = mt.filter_cols(hl.is_defined(mt.sample_index))
    autosomal = mt.locus.in_autosome_or_par()
    adjusted = hl.if_else(autosomal, mt.GT, adjusted_sex_ploidy_expr(mt.locus, mt.GT, mt.karyotype))
    return mt.annotate_entries(GT=adjusted)


def measure_variants(mt: hl.MatrixTable, samples: pd.DataFrame) -> hl.Table:
    """Count each variant by stratum and derive its metrics.

    Parameters
    ----------
    mt
        From `keep_people`: absent entries are homozygous reference.
    samples
        sample_id, is_case, ancestry, sex, and `training` (False in the test fold).

    Returns
    -------
    hail.Table
        Row fields of `mt` and call_rate (all people); call_rate_cases, call_rate_controls,
        allele_count, allele_number (people outside the test fold); n_carriers (all people); hwe_p: the
        smallest exact p-value over ancestry groups of controls outside the test fold, on X outside the
        pseudo-autosomal regions of women only (Wigginton et al. 2005). Rates without people are missing.
    """
    strata = samples.groupby(list(STRATUM), dropna=False, sort=True).indices
    keys = list(strata)
    place = {samples["sample_id"].iloc[row]: number for number, key in enumerate(keys) for row in strata[key]}
    mt = mt.annotate_cols(stratum=hl.literal(place, "dict<str, int32>")[mt.s])
    counted = mt.annotate_rows(
        counted=hl.agg.group_by(
            mt.stratum,
            hl.struct(
                missing=hl.agg.count_where(hl.is_missing(mt.GT)),
                het=hl.agg.count_where(mt.GT.is_het()),
                hom_var=hl.agg.count_where((mt.GT.ploidy == 2) & mt.GT.is_hom_var()),
                hemizygous=hl.agg.count_where((mt.GT.ploidy == 1) & (mt.GT.n_alt_alleles() == 1)),
            ),
        )
    ).rows()
    return _with_metrics(counted, keys, [len(strata[key]) for key in keys])


def variant_failures(variants: hl.Table, thresholds: VariantThresholds) -> dict[str, hl.BooleanExpression]:
    """Named limits that a variant is outside of: reason -> expression; a missing metric fails nothing."""
    difference = hl.abs(variants.call_rate_cases - variants.call_rate_controls)
    failures = {
        **site_failures(variants, thresholds),
        "call_rate": variants.call_rate < thresholds.min_call_rate,
        "call_rate_cases": variants.call_rate_cases < thresholds.min_call_rate,
        "call_rate_controls": variants.call_rate_controls < thresholds.min_call_rate,
        "call_rate_difference": difference > thresholds.max_call_rate_difference,
        "hwe": variants.hwe_p < thresholds.min_hwe_p,
        "monomorphic": variants.n_carriers == 0,
    }
    return {reason: hl.or_else(failed, False) for reason, failed in failures.items()}


def _with_metrics(counted: hl.Table, keys: list[tuple[object, ...]], sizes: list[int]) -> hl.Table:
    zero = hl.struct(missing=hl.int64(0), het=hl.int64(0), hom_var=hl.int64(0), hemizygous=hl.int64(0))
    counts = [counted.counted.get(number, zero) for number in range(len(keys))]

    def total(field: str, chosen: Callable[..., bool]) -> hl.Int64Expression:
        parts = [count[field] for count, key in zip(counts, keys, strict=True) if chosen(*key)]
        return reduce(lambda left, right: left + right, parts, hl.int64(0))

    def people(chosen: Callable[..., bool]) -> int:
        return sum(size for size, key in zip(sizes, keys, strict=True) if chosen(*key))

    def call_rate(chosen: Callable[..., bool]) -> hl.Float64Expression:
        n = people(chosen)
        return 1 - total("missing", chosen) / n if n else hl.missing(hl.tfloat64)

    def everybody(is_case: int, training: bool, ancestry: str, sex: str) -> bool:
        return True

    def in_training(is_case: int, training: bool, ancestry: str, sex: str) -> bool:
        return training

    called = people(in_training) - total("missing", in_training)
    hemizygous = total("hemizygous", in_training)
    haploid_people = people(lambda case, training, ancestry, sex: training and sex == "male")
    haploid_missing = total("missing", lambda case, training, ancestry, sex: training and sex == "male")
    on_x = counted.locus.in_x_nonpar()
    return counted.transmute(
        call_rate=call_rate(everybody),
        call_rate_cases=call_rate(lambda case, training, ancestry, sex: training and case == 1),
        call_rate_controls=call_rate(lambda case, training, ancestry, sex: training and case == 0),
        n_carriers=total("het", everybody) + total("hom_var", everybody) + total("hemizygous", everybody),
        allele_count=total("het", in_training) + 2 * total("hom_var", in_training) + hemizygous,
        allele_number=2 * called - hl.if_else(on_x, haploid_people - haploid_missing, 0),
        hwe_p=_hwe(counted.locus, counts, keys, sizes),
    )


def _hwe(
    locus: hl.LocusExpression,
    counts: list[hl.StructExpression],
    keys: list[tuple[object, ...]],
    sizes: list[int],
) -> hl.Float64Expression:
    autosomal, on_x = [], []
    groups = sorted({str(ancestry) for case, training, ancestry, _ in keys if training and case == 0})
    for group in groups:
        members = [
            number for number, (case, training, ancestry, _) in enumerate(keys)
            if training and case == 0 and str(ancestry) == group
        ]  # fmt: skip
        autosomal.append(_exact_test(counts, sizes, members))
        on_x.append(_exact_test(counts, sizes, [number for number in members if keys[number][3] == "female"]))
    on_x_only = hl.or_missing(locus.in_x_nonpar(), hl.min(hl.array(on_x)))
    return hl.if_else(locus.in_autosome_or_par(), hl.min(hl.array(autosomal)), on_x_only)


def _exact_test(
    counts: list[hl.StructExpression], sizes: list[int], members: list[int]
) -> hl.Float64Expression:
    if not members:
        return hl.missing(hl.tfloat64)
    het = sum((counts[number].het for number in members), hl.int64(0))
    hom_var = sum((counts[number].hom_var for number in members), hl.int64(0))
    missing = sum((counts[number].missing for number in members), hl.int64(0))
    hom_ref = sum(sizes[number] for number in members) - missing - het - hom_var
    return hl.hardy_weinberg_test(hl.int32(hom_ref), hl.int32(het), hl.int32(hom_var)).p_value
