"""Step 7: which variants count in which gene feature, by the burden masks."""

from __future__ import annotations

import hail as hl

from contract.errors import InputError
from etl.aggregate.masks import mask_features
from etl.steps.annotation import ANNOTATED, read_gene_axis
from etl.steps.base import Run
from etl.steps.table import ANNOTATION
from etl.workspace import StepResult

FEATURES = "features.ht"


def work(run: Run) -> StepResult:
    """Write features.ht: what each variant adds to each channel × gene."""
    masks = run.config.masks.resolved()
    n_genes = len(read_gene_axis(run))
    annotated = hl.read_table(run.path(ANNOTATION, ANNOTATED))
    features = mask_features(annotated, masks, n_genes).checkpoint(run.output(FEATURES))
    by_channel = features.aggregate(
        hl.agg.explode(
            lambda channel: hl.agg.counter(channel),
            hl.set(features.features.map(lambda feature: feature.index // n_genes)),
        )
    )
    counts = {mask.name: by_channel.get(number, 0) for number, mask in enumerate(masks)}
    if not any(counts.values()):
        told = ", ".join(counts)
        raise InputError(f"masks: variants: found none that count in any of {told}, wanted some")
    return StepResult(facts={f"variants_in_{name}": count for name, count in counts.items()})
