"""Annotation of variants, whatever its source, and the count of what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from etl.annotate.bcsq import BcsqAnnotator, Linked
from etl.annotate.config import AnnotationConfig
from etl.annotate.consequence import CONSEQUENCE, Annotator, Consequence, Site
from etl.annotate.csq import CsqAnnotator
from etl.annotate.groups import GroupAnnotator
from etl.annotate.header import AnnotationHeader
from etl.annotate.intervals import IntervalAnnotator
from etl.annotate.part_rows import PartRows
from etl.annotate.scored import ScoredAnnotator
from etl.annotate.scores import predictor_names, table_names
from etl.annotate.snpeff import SnpEffAnnotator
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


@dataclass(frozen=True)
class Sources:
    """What annotators take from elsewhere than a variant's own record."""

    intervals: pd.DataFrame | None = None
    """Parts of genes, see `etl.annotate.intervals.read_parts`; None: the genes themselves."""
    linked: Linked = field(default_factory=dict)
    """Records that BCSQ refers to, see `etl.annotate.bcsq.entries_of`."""
    groups: PartRows | None = None
    """Rows of a group file by variant, see `etl.annotate.groups.GroupAnnotator`."""
    scores: PartRows | None = None
    """Rows of a score table by variant."""


def make_annotator(
    genes: pd.DataFrame,
    config: AnnotationConfig,
    reference: Genome,
    *,
    header: AnnotationHeader | None = None,
    sources: Sources | None = None,
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
    header
        What the variants' file says of its annotation.
    sources
        What comes from elsewhere.

    Raises
    ------
    InputError
        If genes are taken as intervals and one lies outside its contig.
    """
    header, sources = header or AnnotationHeader(), sources or Sources()
    inner = _make(genes, config, reference, header, sources)
    if sources.scores is None:
        return inner
    n_own = len(predictor_names(config, header.fields))
    return ScoredAnnotator(inner, sources.scores, n_own, table_names(config))


def _make(
    genes: pd.DataFrame,
    config: AnnotationConfig,
    reference: Genome,
    header: AnnotationHeader,
    sources: Sources,
) -> Annotator:
    if config.kind == "csq":
        return CsqAnnotator(genes, config, header.fields, header.where)
    if config.kind in ("ann", "eff"):
        return SnpEffAnnotator(genes, config, header.fields, calls_loss=header.calls_loss, where=header.where)
    if config.kind == "bcsq":
        return BcsqAnnotator(genes, config, sources.linked)
    if config.kind == "groups":
        return GroupAnnotator(genes, sources.groups or PartRows(None))
    intervals = genes if sources.intervals is None else sources.intervals
    return IntervalAnnotator(intervals, config.padding, reference)


@dataclass
class AnnotationCounts:
    """What a task tells of its variants."""

    classes: Counter[str] = field(default_factory=Counter)
    """Variants by class, see `count_classes`."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Variants by each term that has no rank."""
    notes: Counter[str] = field(default_factory=Counter)
    """What else a reader must know, and how often it was met."""

    def __add__(self, other: AnnotationCounts) -> AnnotationCounts:
        return AnnotationCounts(
            self.classes + other.classes, self.unknown + other.unknown, self.notes + other.notes
        )


def annotate_variants(
    batches: Iterator[pa.RecordBatch], annotator: Annotator
) -> Generator[pa.RecordBatch, None, AnnotationCounts]:
    """What a task does: batches of READ_COLUMNS in, ANNOTATED_SCHEMA out, and in the end what it counted."""
    classes: Counter[str] = Counter()
    before = AnnotationCounts(Counter(), Counter(annotator.unknown), Counter(annotator.counts))
    for batch in batches:
        passing = batch.filter(batch.column("passes"))
        sites = zip(*(passing.column(name).to_pylist() for name in Site._fields), strict=True)
        consequences = [annotator(Site(*site)) for site in sites]
        classes += count_classes(consequences)
        columns = [passing.column(name) for name in KEPT_COLUMNS]
        yield pa.RecordBatch.from_arrays(
            [*columns, consequences_array(consequences)], schema=ANNOTATED_SCHEMA
        )
    return AnnotationCounts(classes, annotator.unknown - before.unknown, annotator.counts - before.notes)


def consequences_array(consequences: Sequence[Sequence[Consequence] | None]) -> pa.ListArray:
    """Lists of CONSEQUENCE, null where there is None; made by columns, which is faster than by dicts."""
    offsets, end = [], 0
    for found in consequences:
        offsets.append(None if found is None else end)
        end += len(found or ())
    flat = [one for found in consequences if found for one in found]
    columns = zip(*flat, strict=True) if flat else [()] * len(CONSEQUENCE)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, CONSEQUENCE, strict=True)]
    structs = pa.StructArray.from_arrays(arrays, fields=list(CONSEQUENCE))
    return pa.ListArray.from_arrays(pa.array([*offsets, end], pa.int32()), structs)


def count_classes(consequences: Sequence[Sequence[Consequence] | None]) -> Counter[str]:
    """Variants by class (one that lies in several genes counts in each class once) and without any gene."""
    counts: Counter[str] = Counter()
    for found in consequences:
        if found is None:
            counts[NOT_ANNOTATED] += 1
        else:
            counts.update({one.variant_class for one in found} or {IN_NO_GENE})
    return counts
