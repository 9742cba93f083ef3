"""Step 7: which variants count in which gene feature, by the burden masks."""

from __future__ import annotations

import hail as hl
from pyspark.sql import SparkSession

from contract.errors import InputError
from etl.aggregate.masks import count_by_channel, features_frame, mask_features
from etl.steps.annotation import ANNOTATED, read_gene_axis
from etl.steps.base import Run
from etl.steps.table import ANNOTATION
from etl.workspace import StepResult

FEATURES = "features.parquet"


def work(run: Run) -> StepResult:
    """Write features.parquet: what each variant adds to each channel × gene."""
    masks = run.config.masks.resolved()
    n_genes = len(read_gene_axis(run))
    annotated = hl.read_table(run.path(ANNOTATION, ANNOTATED))
    features = mask_features(annotated, masks, n_genes)
    features_frame(features).write.parquet(run.output(FEATURES))
    written = SparkSession.builder.getOrCreate().read.parquet(run.output(FEATURES))
    by_channel = count_by_channel(written, n_genes)
    counts = {mask.name: by_channel.get(number, 0) for number, mask in enumerate(masks)}
    if not any(counts.values()):
        told = ", ".join(counts)
        raise InputError(f"masks: variants: found none that count in any of {told}, wanted some")
    return StepResult(facts={f"variants_in_{name}": count for name, count in counts.items()})
