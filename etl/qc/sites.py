"""What a record says about itself: the rules that need no genotypes and no labels."""

from __future__ import annotations

import hail as hl

from etl.ingest.normalise import is_sequence
from etl.thresholds import VariantThresholds


def site_failures(
    rows: hl.MatrixTable | hl.Table, thresholds: VariantThresholds
) -> dict[str, hl.BooleanExpression]:
    """Named rules that a split record fails: reason -> expression.

    Rows have `alleles`, `old_alleles` and `filters` (a missing FILTER passes).
    """
    failures = {
        "not_bases": ~is_sequence(rows.alleles[1]),
        "too_many_alleles": hl.len(rows.old_alleles) > thresholds.max_alleles,
    }
    if thresholds.require_pass:
        failures["filter_not_pass"] = hl.or_else(hl.len(rows.filters) > 0, False)
    return failures


def good_sites(mt: hl.MatrixTable, thresholds: VariantThresholds) -> hl.MatrixTable:
    """Rows that fail none of `site_failures`."""
    return mt.filter_rows(~hl.any(list(site_failures(mt, thresholds).values())))


def dense(mt: hl.MatrixTable) -> hl.MatrixTable:
    """Give a sparse cohort its homozygous reference calls back; the only entry field left is GT.

    Use on few rows: the result has a value for every person. Calls that are missing stay missing.
    """
    mt = mt.select_entries(present=True, call=mt.GT).unfilter_entries()
    return mt.select_entries(GT=hl.if_else(hl.is_defined(mt.present), mt.call, hl.call(0, 0)))
