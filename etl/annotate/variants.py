"""Annotation of variants, whatever its source, and the count of what was found."""

from __future__ import annotations

from collections.abc import Sequence

import hail as hl
import pandas as pd

from etl.annotate.config import AnnotationConfig
from etl.annotate.csq import csq_consequences_expr
from etl.annotate.intervals import interval_consequences_expr


def annotate_variants(
    rows: hl.Table, genes: pd.DataFrame, config: AnnotationConfig, *, fields: Sequence[str] = ()
) -> hl.Table:
    """Consequences of each variant on the genes of the axis.

    Parameters
    ----------
    rows
        One row per split allele, keyed by locus and alleles; for CSQ also old_alleles, a_index, annotation.
    genes
        The gene axis, see `etl.annotate.genes.read_genes`.
    config
        Which annotation to use.
    fields
        CSQ sub-fields in order, see `etl.annotate.csq_format.csq_fields`; unused with gene intervals.

    Returns
    -------
    The rows with consequences: array<struct{gene: int32, symbol: str, consequence: str, variant_class: str}>,
    one element per gene, missing where a CSQ variant has no annotation.
    """
    if config.kind == "csq":
        consequences = csq_consequences_expr(rows, genes, config, fields)
    else:
        consequences = interval_consequences_expr(rows, genes, config.padding)
    return rows.annotate(consequences=consequences).select_globals()


def count_classes(annotated: hl.Table) -> dict[str, int]:
    """Variants by class (one that lies in several genes counts in each class once) and without any gene.

    Runs one pass: give it a table that was written before.
    """
    classes = hl.set(annotated.consequences.map(lambda consequence: consequence.variant_class))
    by_class, without, unannotated = annotated.aggregate(
        (
            hl.agg.explode(hl.agg.counter, classes),
            hl.agg.count_where(hl.len(annotated.consequences) == 0),
            hl.agg.count_where(hl.is_missing(annotated.consequences)),
        )
    )
    return {**dict(sorted(by_class.items())), "in no gene": without, "not annotated": unannotated}
