"""Step 7: which variants count in which gene feature, by the burden masks."""

from __future__ import annotations

from collections import Counter
from functools import partial

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.aggregate.masks import FEATURES_SCHEMA, READ_COLUMNS, mask_variants, why_empty
from etl.cohort.passes import Parts, rewrite_parts
from etl.steps.annotation import ANNOTATED, read_gene_axis
from etl.steps.base import Run
from etl.steps.names import FEATURES
from etl.steps.table import ANNOTATION
from etl.workspace import StepResult


def work(run: Run) -> StepResult:
    """Write features.parquet: what each variant adds to each channel × gene."""
    masks = run.config.masks.resolved()
    by_part = rewrite_parts(
        Parts(run.path(ANNOTATION, ANNOTATED), READ_COLUMNS),
        run.output(FEATURES),
        FEATURES_SCHEMA,
        partial(mask_variants, masks=masks, n_genes=len(read_gene_axis(run))),
    )
    by_channel = sum(by_part, Counter[int]())
    counts = {mask.name: by_channel[number] for number, mask in enumerate(masks)}
    if not any(counts.values()):
        told = ", ".join(counts)
        raise InputError(f"masks: variants: found none that count in any of {told}, wanted some")
    annotation = run.workspace.record(ANNOTATION.folder)
    classes = annotation.facts["classes"] if annotation else {}
    empty = [mask for mask in masks if not counts[mask.name]]
    return StepResult(
        ledger=[
            LedgerEntry(step="masks", unit="variants", reason=f"none_in_{mask.name}", count=0)
            for mask in empty
        ],
        facts={f"variants_in_{name}": count for name, count in counts.items()},
        warnings=[why_empty(mask, classes) for mask in empty],
    )
