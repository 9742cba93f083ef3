"""Per-variant tests on the counts of the people who stay, and the limits on them."""

from __future__ import annotations

import hail as hl
from pyspark.sql import DataFrame

from etl.genome import GenomeName
from etl.thresholds import VariantThresholds


def import_counts(counted: DataFrame, reference: GenomeName) -> hl.Table:
    """Counted variants as a Hail table keyed by locus and alleles.

    Parameters
    ----------
    counted
        See `etl.qc.variant_counts.count_variants`. Hail reads it twice (keys, then rows): give it a frame
        that was written.
    reference
        Of the positions.
    """
    table = hl.Table.from_spark(counted)
    table = table.transmute(
        locus=hl.locus(table.contig, table.position, reference), alleles=[table.ref, table.alt]
    )
    return table.key_by("locus", "alleles")


def measure_variants(counts: hl.Table) -> hl.Table:
    """Test each variant.

    Parameters
    ----------
    counts
        From `import_counts`.

    Returns
    -------
    hail.Table
        The counts of single groups give way to hwe_p: the smallest exact p-value over ancestry groups of
        controls outside the test fold, on X outside the pseudo-autosomal regions of women only, missing on Y
        and MT (Wigginton et al. 2005); and batch_p: the smallest p-value of each batch of those controls
        against the others (Cochran-Mantel-Haenszel on alleles over ancestry groups), missing with one batch
        and where nobody, or everybody, carries the variant.
    """
    genotypes = hl.zip(counts.hom_ref, counts.het, counts.hom_var)
    exact = genotypes.map(lambda group: hl.hardy_weinberg_test(*group).p_value)
    measured = counts.annotate(hwe_p=hl.min(exact), batch_p=hl.min(counts.batch_tables.map(batch_p_expr)))
    return measured.drop("hom_ref", "het", "hom_var", "batch_tables", "region")


def batch_p_expr(table: hl.ArrayExpression) -> hl.Float64Expression:
    """P-value of the Cochran-Mantel-Haenszel test with continuity correction; missing without variance.

    The formula is that of `hl.cochran_mantel_haenszel_test`, which multiplies four margins as 64-bit
    integers: from about 50,000 alleles in a cell the product overflows and the statistic is wrong.

    Parameters
    ----------
    table
        The cells a, b, c and d of the 2 × 2 tables, each a run of one value for each ancestry group.
    """
    n = hl.len(table) // 4
    terms = hl.range(n).map(
        lambda group: _mantel_haenszel_terms(*(hl.float64(table[group + cell * n]) for cell in range(4)))
    )
    difference = hl.sum(terms.map(lambda term: term.difference))
    statistic = (hl.abs(difference) - 0.5) ** 2 / hl.sum(terms.map(lambda term: term.variance))
    # Without carriers the variance is 0 and the statistic infinite, which is not significant.
    return hl.or_missing(hl.is_finite(statistic), hl.pchisqtail(statistic, 1))


def _mantel_haenszel_terms(
    a: hl.Float64Expression, b: hl.Float64Expression, c: hl.Float64Expression, d: hl.Float64Expression
) -> hl.StructExpression:
    total = a + b + c + d
    return hl.struct(
        difference=a - (a + b) * (a + c) / total,
        variance=(a + b) * (c + d) * (a + c) * (b + d) / (total**3 - total**2),
    )


def variant_failures(variants: hl.Table, thresholds: VariantThresholds) -> dict[str, hl.BooleanExpression]:
    """Named limits that a variant is outside of: reason -> expression; a missing metric fails nothing."""
    difference = hl.abs(variants.call_rate_cases - variants.call_rate_controls)
    failures = {
        "call_rate": variants.call_rate < thresholds.min_call_rate,
        "call_rate_cases": variants.call_rate_cases < thresholds.min_call_rate,
        "call_rate_controls": variants.call_rate_controls < thresholds.min_call_rate,
        "call_rate_difference": difference > thresholds.max_call_rate_difference,
        "hwe": variants.hwe_p < thresholds.min_hwe_p,
        "batch_difference": variants.batch_p < thresholds.min_batch_p,
        "monomorphic": variants.n_carriers == 0,
    }
    return {reason: hl.or_else(failed, False) for reason, failed in failures.items()}


def flag_variants(variants: hl.Table, failures: dict[str, hl.BooleanExpression]) -> hl.Table:
    """Add `reasons`, those of the site first, and `passes`; site_reasons go.

    Parameters
    ----------
    variants
        With site_reasons.
    failures
        From `variant_failures` of these variants.
    """
    measured = hl.array([hl.or_missing(failed, reason) for reason, failed in failures.items()])
    reasons = variants.site_reasons.extend(measured.filter(hl.is_defined))
    return variants.annotate(reasons=reasons, passes=hl.len(reasons) == 0).drop("site_reasons")
