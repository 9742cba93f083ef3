"""Annotation of variants, whatever its source, and the count of what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence

import pandas as pd
import pyarrow as pa

from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import CONSEQUENCE, Annotator, Consequence, Site
from etl.annotate.csq import CsqAnnotator
from etl.annotate.intervals import IntervalAnnotator
from etl.cohort.schema import KEY
from etl.genome import Genome
from etl.qc.variants import VARIANT_SCHEMA

KEPT_COLUMNS = ("variant", *KEY, "allele_count", "allele_number")
READ_COLUMNS = (*KEPT_COLUMNS, "old_alleles", "a_index", "annotation", "passes")
"""Columns of the variants that are read."""

ANNOTATED_SCHEMA = pa.schema(
    [
        *(VARIANT_SCHEMA.field(name) for name in KEPT_COLUMNS),
        pa.field("consequences", pa.list_(CONSEQUENCE)),  # null where nothing annotated the variant
    ]
)
"""A row for each variant that passed, with one consequence for each gene."""

IN_NO_GENE, NOT_ANNOTATED = "in no gene", "not annotated"


def make_annotator(
    genes: pd.DataFrame, config: AnnotationConfig, reference: Genome, *, fields: Sequence[str] = ()
) -> Annotator:
    """What finds consequences on the genes of the axis.

    Parameters
    ----------
    genes
        The gene axis, see `etl.annotate.genes.read_genes`.
    config
        Which annotation to use.
    reference
        Genome of genes and variants.
    fields
        CSQ sub-fields in order, see `etl.annotate.csq_format.csq_fields`; unused with gene intervals.

    Raises
    ------
    InputError
        If genes are taken as intervals and one lies outside its contig.
    """
    if config.kind == "csq":
        return CsqAnnotator(genes, config, fields)
    return IntervalAnnotator(genes, config.padding, reference)


def annotate_variants(
    batches: Iterator[pa.RecordBatch], annotator: Annotator
) -> Generator[pa.RecordBatch, None, Counter[str]]:
    """What a task does: batches of READ_COLUMNS in, ANNOTATED_SCHEMA out, and in the end `count_classes`."""
    counts: Counter[str] = Counter()
    for batch in batches:
        passing = batch.filter(batch.column("passes"))
        sites = zip(*(passing.column(name).to_pylist() for name in Site._fields), strict=True)
        consequences = [annotator(Site(*site)) for site in sites]
        counts += count_classes(consequences)
        columns = {name: passing.column(name) for name in KEPT_COLUMNS}
        columns["consequences"] = [
            None if found is None else [one._asdict() for one in found] for found in consequences
        ]
        yield pa.RecordBatch.from_pydict(columns, schema=ANNOTATED_SCHEMA)
    return counts


def count_classes(consequences: Sequence[Sequence[Consequence] | None]) -> Counter[str]:
    """Variants by class (one that lies in several genes counts in each class once) and without any gene."""
    counts: Counter[str] = Counter()
    for found in consequences:
        if found is None:
            counts[NOT_ANNOTATED] += 1
        else:
            counts.update({one.variant_class for one in found} or {IN_NO_GENE})
    return counts
