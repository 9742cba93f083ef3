"""Step 6: the genes and consequences of every variant that passed."""

from __future__ import annotations

from functools import partial

import pandas as pd

from contract.manifest import LedgerEntry
from contract.storage import remove
from etl.annotate.bcsq import LINK_COLUMNS, Linked, entries_of, linked_places, merged
from etl.annotate.genes import read_genes
from etl.annotate.group_table import join_groups
from etl.annotate.header import AnnotationHeader, annotation_header
from etl.annotate.intervals import read_parts
from etl.annotate.part_rows import PartRows
from etl.annotate.score_table import join_scores
from etl.annotate.scores import score_names
from etl.annotate.variant_join import passing_variants
from etl.annotate.variants import (
    ANNOTATED_SCHEMA,
    IN_NO_GENE,
    NOT_ANNOTATED,
    READ_COLUMNS,
    AnnotationCounts,
    Sources,
    annotate_variants,
    make_annotator,
)
from etl.cohort.passes import Parts, map_parts, rewrite_parts
from etl.config import EtlConfig
from etl.genome import genome
from etl.ingest.files import read_headers
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.names import VARIANTS
from etl.steps.table import ANNOTATION, INGEST, VARIANT_QC
from etl.workspace import StepResult

ANNOTATED, GENES = "annotated.parquet", "genes.parquet"
GROUPS, SCORES = "groups", "scores"


def work(run: Run) -> StepResult:
    """Write annotated.parquet (consequences by gene and allele counts) and genes.parquet (the axis)."""
    config, reference = run.config.annotation, genome(run.config.reference)
    genes, ledger = read_genes(run.config.genes, run.config.reference)
    run.write(GENES, genes)
    header = _header(run.config)
    sources, facts, warnings = _sources(run, genes)
    annotator = make_annotator(genes, config, reference, header=header, sources=sources)
    by_part = rewrite_parts(
        Parts(run.path(VARIANT_QC, VARIANTS), READ_COLUMNS),
        run.output(ANNOTATED),
        ANNOTATED_SCHEMA,
        partial(annotate_variants, annotator=annotator),
    )
    for name in (GROUPS, SCORES):
        remove(run.output(name))
    counts = sum(by_part, AnnotationCounts())
    without = {name: counts.classes.pop(name, 0) for name in (IN_NO_GENE, NOT_ANNOTATED)}
    ledger += [
        LedgerEntry(step="annotation", unit="variants", reason=name.replace(" ", "_"), count=count)
        for name, count in without.items()
    ]
    facts |= {
        "genes": len(genes),
        "classes": dict(sorted(counts.classes.items())) | without,
        "scores": score_names(config, header.fields),
        "unknown_terms": dict(sorted(counts.unknown.items())),
    }
    return StepResult(ledger=ledger, facts=facts, warnings=[*warnings, *_warnings(counts)])


def read_gene_axis(run: Run) -> pd.DataFrame:
    """The gene axis that this step wrote."""
    return run.read(ANNOTATION, GENES)


def _header(config: EtlConfig) -> AnnotationHeader:
    if config.annotation.info_field is None:
        return AnnotationHeader()
    header = read_headers(config.input, config.reference)[0]
    return annotation_header(config.annotation, header.info_descriptions, header.path)


def _sources(run: Run, genes: pd.DataFrame) -> tuple[Sources, dict[str, object], list[str]]:
    """What annotators need from elsewhere; facts and warnings on it."""
    config, reference = run.config.annotation, genome(run.config.reference)
    variants = passing_variants(run.path(VARIANT_QC, VARIANTS))
    facts: dict[str, object] = {}
    warnings: list[str] = []
    groups = scores = intervals = None
    if config.kind == "intervals":
        intervals = read_parts(config, run.config.genes, genes, reference)
    if config.groups is not None:
        counts, warnings = join_groups(config.groups, genes, reference, variants, run.output(GROUPS))
        groups, facts["groups"] = PartRows(run.output(GROUPS)), counts
    if config.scores is not None:
        matches = join_scores(config.scores, reference, variants, run.output(SCORES))
        scores, facts["variants_scored"] = PartRows(run.output(SCORES)), matches.joined
    linked = _linked(run) if config.kind == "bcsq" else {}
    return Sources(intervals, linked, groups, scores), facts, warnings


def _linked(run: Run) -> Linked:
    """Entries of the records that others refer to: two passes over the annotation, no calls."""
    parts = Parts(run.path(INGEST, COHORT), LINK_COLUMNS)
    places = set().union(*map_parts(parts, linked_places).collect())
    if not places:
        return {}
    return merged(map_parts(parts, partial(entries_of, places=places)).collect())


def _warnings(counts: AnnotationCounts) -> list[str]:
    told = [f"annotation: {number} {text}" for text, number in sorted(counts.notes.items())]
    if counts.unknown:
        terms = ", ".join(f"{term} ({number})" for term, number in counts.unknown.most_common(10))
        told.append(
            f"annotation: {len(counts.unknown)} terms have no known severity and rank last, class other "
            f"(variants): {terms}"
        )
    return told
