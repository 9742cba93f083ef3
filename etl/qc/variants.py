"""Per-variant metrics over the people who stay, and the limits on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hail as hl
import pandas as pd
from gnomad.sample_qc.sex import adjust_sex_ploidy

from etl.qc.sites import site_failures
from etl.thresholds import VariantThresholds

STRATUM = ("is_case", "training", "ancestry", "sex", "batch")
"""What people are counted by: every metric is a sum over some of these strata."""


def keep_people(mt: hl.MatrixTable, samples: pd.DataFrame) -> hl.MatrixTable:
    """Columns of the people given, with sample_index and karyotype, ploidy set by sex.

    Outside the pseudo-autosomal regions a man's heterozygous call on X or Y becomes missing and his
    homozygous one haploid; a woman's call on Y becomes missing (`gnomad.sample_qc.sex`), and so does her
    haploid call on X.

    Parameters
    ----------
    mt
        Sparse cohort.
    samples
        sample_id, sample_index, sex (female, male, or missing: ploidy is left as it is).
    """
    karyotype = {"female": "XX", "male": "XY"}
    told = {
        sample_id: hl.Struct(sample_index=int(index), karyotype=karyotype.get(sex, "unknown"))
        for sample_id, index, sex in zip(
            samples["sample_id"], samples["sample_index"], samples["sex"], strict=True
        )
    }
    people = hl.literal(told, "dict<str, struct{sample_index: int32, karyotype: str}>")
    mt = mt.annotate_cols(**people.get(mt.s))
    mt = mt.filter_cols(hl.is_defined(mt.sample_index))
    mt = adjust_sex_ploidy(mt, mt.karyotype)
    half = (mt.karyotype == "XX") & mt.locus.in_x_nonpar() & (mt.GT.ploidy == 1)
    return mt.annotate_entries(GT=hl.or_missing(~hl.or_else(half, False), mt.GT))


def measure_variants(mt: hl.MatrixTable, samples: pd.DataFrame) -> hl.Table:
    """Count each variant by stratum and derive its metrics.

    Parameters
    ----------
    mt
        From `keep_people`: absent entries are homozygous reference.
    samples
        sample_id, is_case, ancestry, sex, batch, and `training` (False in the test fold).

    Returns
    -------
    hail.Table
        Row fields of `mt` and call_rate (all people); call_rate_cases, call_rate_controls,
        allele_count, allele_number (people outside the test fold); n_carriers (all people); hwe_p: the
        smallest exact p-value over ancestry groups of controls outside the test fold, on X outside the
        pseudo-autosomal regions of women only (Wigginton et al. 2005); batch_p: the smallest p-value of
        each batch of those controls against the others (Cochran-Mantel-Haenszel on alleles over ancestry
        groups; missing with one batch). Rates without people are missing.
    """
    strata = samples.groupby(list(STRATUM), dropna=False, sort=True).indices
    keys: list[Any] = list(strata)
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
        "batch_difference": variants.batch_p < thresholds.min_batch_p,
        "monomorphic": variants.n_carriers == 0,
    }
    return {reason: hl.or_else(failed, False) for reason, failed in failures.items()}


@dataclass(frozen=True)
class _Stratum:
    """People counted together, and the counts of one variant among them."""

    is_case: int
    training: bool
    ancestry: str
    sex: str
    batch: str
    size: int
    counts: hl.StructExpression

    @property
    def training_control(self) -> bool:
        return self.training and self.is_case == 0


def _with_metrics(counted: hl.Table, keys: Sequence[Any], sizes: Sequence[int]) -> hl.Table:
    zero = hl.struct(missing=hl.int64(0), het=hl.int64(0), hom_var=hl.int64(0), hemizygous=hl.int64(0))
    strata = [
        _Stratum(is_case, training, ancestry, sex, batch, size, counted.counted.get(number, zero))
        for number, ((is_case, training, ancestry, sex, batch), size) in enumerate(
            zip(keys, sizes, strict=True)
        )
    ]
    training = [stratum for stratum in strata if stratum.training]
    on_x = counted.locus.in_x_nonpar()
    return counted.transmute(
        call_rate=_call_rate(strata),
        call_rate_cases=_call_rate([stratum for stratum in training if stratum.is_case == 1]),
        call_rate_controls=_call_rate([stratum for stratum in training if stratum.is_case == 0]),
        n_carriers=_total(strata, "het") + _total(strata, "hom_var") + _total(strata, "hemizygous"),
        allele_count=_allele_count(training),
        allele_number=_allele_number(training, on_x),
        hwe_p=_hwe(counted.locus, [stratum for stratum in strata if stratum.training_control]),
        batch_p=_batch([stratum for stratum in strata if stratum.training_control], on_x),
    )


def _total(strata: Sequence[_Stratum], field: str) -> hl.Int64Expression:
    return sum((stratum.counts[field] for stratum in strata), hl.int64(0))


def _size(strata: Sequence[_Stratum]) -> int:
    return sum(stratum.size for stratum in strata)


def _call_rate(strata: Sequence[_Stratum]) -> hl.Float64Expression:
    n = _size(strata)
    return 1 - _total(strata, "missing") / n if n else hl.missing(hl.tfloat64)


def _allele_count(strata: Sequence[_Stratum]) -> hl.Int64Expression:
    return _total(strata, "het") + 2 * _total(strata, "hom_var") + _total(strata, "hemizygous")


def _allele_number(strata: Sequence[_Stratum], on_x: hl.BooleanExpression) -> hl.Int64Expression:
    men = [stratum for stratum in strata if stratum.sex == "male"]
    called, called_men = (_size(some) - _total(some, "missing") for some in (strata, men))
    return 2 * called - hl.if_else(on_x, called_men, 0)


def _hwe(locus: hl.LocusExpression, controls: Sequence[_Stratum]) -> hl.Float64Expression:
    autosomal, on_x = [], []
    for ancestry in sorted({stratum.ancestry for stratum in controls}):
        group = [stratum for stratum in controls if stratum.ancestry == ancestry]
        autosomal.append(_exact_test(group))
        on_x.append(_exact_test([stratum for stratum in group if stratum.sex == "female"]))
    on_x_only = hl.or_missing(locus.in_x_nonpar(), hl.min(hl.array(on_x)))
    return hl.if_else(locus.in_autosome_or_par(), hl.min(hl.array(autosomal)), on_x_only)


def _exact_test(strata: Sequence[_Stratum]) -> hl.Float64Expression:
    if not strata:
        return hl.missing(hl.tfloat64)
    het, hom_var = _total(strata, "het"), _total(strata, "hom_var")
    hom_ref = _size(strata) - _total(strata, "missing") - het - hom_var
    return hl.hardy_weinberg_test(hl.int32(hom_ref), hl.int32(het), hl.int32(hom_var)).p_value


def _batch(controls: Sequence[_Stratum], on_x: hl.BooleanExpression) -> hl.Float64Expression:
    """Smallest p-value over batches, each against the rest; missing with one batch or without carriers."""
    batches = sorted({stratum.batch for stratum in controls})
    if len(batches) < 2:
        return hl.missing(hl.tfloat64)
    return hl.min(hl.array([_one_batch(controls, batch, on_x) for batch in batches]))


def _one_batch(controls: Sequence[_Stratum], batch: str, on_x: hl.BooleanExpression) -> hl.Float64Expression:
    tables: list[list[hl.Int64Expression]] = [[], [], [], []]
    for ancestry in sorted({stratum.ancestry for stratum in controls}):
        group = [stratum for stratum in controls if stratum.ancestry == ancestry]
        inside = [stratum for stratum in group if stratum.batch == batch]
        outside = [stratum for stratum in group if stratum.batch != batch]
        if not inside or not outside:
            continue
        alternate = [_allele_count(some) for some in (inside, outside)]
        reference = [
            _allele_number(some, on_x) - count
            for some, count in zip((inside, outside), alternate, strict=True)
        ]
        for table, count in zip(tables, alternate + reference, strict=True):
            table.append(count)
    if not tables[0]:
        return hl.missing(hl.tfloat64)
    a, b, c, d = (hl.array(table) for table in tables)
    test = hl.cochran_mantel_haenszel_test(a, b, c, d)
    # Without carriers Hail divides by a variance of 0 and calls the infinite statistic significant.
    return hl.or_missing(hl.is_finite(test.test_statistic), test.p_value)
