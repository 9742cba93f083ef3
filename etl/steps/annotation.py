"""Step 6: the genes and consequences of every variant that passed."""

from __future__ import annotations

import hail as hl
import pandas as pd

from contract.manifest import LedgerEntry
from etl.annotate.csq_format import csq_fields
from etl.annotate.genes import read_genes
from etl.annotate.variants import annotate_variants, count_classes
from etl.config import EtlConfig
from etl.ingest.files import read_headers
from etl.steps.base import Run
from etl.steps.table import ANNOTATION, VARIANT_QC
from etl.steps.variant_qc import VARIANTS
from etl.workspace import StepResult

ANNOTATED, GENES = "annotated.ht", "genes.parquet"
KEPT_FIELDS = ("variant", "allele_count", "allele_number")


def work(run: Run) -> StepResult:
    """Write annotated.ht (consequences by gene, and KEPT_FIELDS) and genes.parquet (the axis)."""
    config = run.config
    genes, ledger = read_genes(config.genes, config.reference)
    genes.to_parquet(run.output(GENES))
    variants = hl.read_table(run.path(VARIANT_QC, VARIANTS))
    variants = variants.filter(variants.passes)
    annotated = annotate_variants(variants, genes, config.annotation, fields=_fields(config))
    annotated = annotated.select(*KEPT_FIELDS, "consequences").checkpoint(run.output(ANNOTATED))
    classes = count_classes(annotated)
    ledger += [
        LedgerEntry(step="annotation", unit="variants", reason=name.replace(" ", "_"), count=classes[name])
        for name in ("in no gene", "not annotated")
    ]
    return StepResult(ledger=ledger, facts={"genes": len(genes), "classes": classes})


def read_gene_axis(run: Run) -> pd.DataFrame:
    """The gene axis that this step wrote."""
    return pd.read_parquet(run.path(ANNOTATION, GENES))


def _fields(config: EtlConfig) -> list[str]:
    if config.annotation.kind != "csq":
        return []
    header = read_headers(config.input, config.reference)[0]
    return csq_fields(config.annotation, header.info_descriptions.get(config.annotation.field), header.path)
