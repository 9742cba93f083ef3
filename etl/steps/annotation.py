"""Step 6: the genes and consequences of every variant that passed."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pandas as pd

from contract.manifest import LedgerEntry
from etl.annotate.csq_format import csq_fields
from etl.annotate.genes import read_genes
from etl.annotate.variants import (
    ANNOTATED_SCHEMA,
    IN_NO_GENE,
    NOT_ANNOTATED,
    READ_COLUMNS,
    annotate_variants,
    make_annotator,
)
from etl.cohort.passes import Parts, rewrite_parts
from etl.config import EtlConfig
from etl.genome import genome
from etl.ingest.files import read_headers
from etl.steps.base import Run
from etl.steps.names import VARIANTS
from etl.steps.table import ANNOTATION, VARIANT_QC
from etl.workspace import StepResult

ANNOTATED, GENES = "annotated.parquet", "genes.parquet"


def work(run: Run) -> StepResult:
    """Write annotated.parquet (consequences by gene and allele counts) and genes.parquet (the axis)."""
    config = run.config
    genes, ledger = read_genes(config.genes, config.reference)
    genes.to_parquet(run.output(GENES))
    annotator = make_annotator(genes, config.annotation, genome(config.reference), fields=_fields(config))
    counts = rewrite_parts(
        Parts(run.path(VARIANT_QC, VARIANTS), READ_COLUMNS),
        run.output(ANNOTATED),
        ANNOTATED_SCHEMA,
        partial(annotate_variants, annotator=annotator),
    )
    told = sum(counts, Counter[str]())
    without = {name: told.pop(name, 0) for name in (IN_NO_GENE, NOT_ANNOTATED)}
    ledger += [
        LedgerEntry(step="annotation", unit="variants", reason=name.replace(" ", "_"), count=count)
        for name, count in without.items()
    ]
    classes = dict(sorted(told.items())) | without
    return StepResult(ledger=ledger, facts={"genes": len(genes), "classes": classes})


def read_gene_axis(run: Run) -> pd.DataFrame:
    """The gene axis that this step wrote."""
    return pd.read_parquet(run.path(ANNOTATION, GENES))


def _fields(config: EtlConfig) -> list[str]:
    if config.annotation.kind != "csq":
        return []
    header = read_headers(config.input, config.reference)[0]
    return csq_fields(config.annotation, header.info_descriptions.get(config.annotation.field), header.path)
