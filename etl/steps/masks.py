"""Step 7: which variants count in which gene feature, by the burden masks."""

from __future__ import annotations

from functools import partial

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.aggregate.channels import why_empty
from etl.aggregate.checks import overlaps
from etl.aggregate.config import EXTERNAL_FREQUENCY
from etl.aggregate.masks import FEATURES_SCHEMA, READ_COLUMNS, MaskCounts, mask_variants
from etl.annotate.group_masks import unused_masks
from etl.annotate.variants import ANNOTATED_SCHEMA
from etl.cohort.passes import Parts, rewrite_parts
from etl.steps.annotation import ANNOTATED, read_gene_axis
from etl.steps.base import Run
from etl.steps.names import FEATURES
from etl.steps.table import ANNOTATION
from etl.workspace import StepResult


def work(run: Run) -> StepResult:
    """Write features.parquet: what each variant adds to each channel × gene."""
    masks = run.config.masks.resolved()
    annotation = run.workspace.record(ANNOTATION.folder)
    told = annotation.facts if annotation else {}
    columns = [name for name in (*READ_COLUMNS, EXTERNAL_FREQUENCY) if name in ANNOTATED_SCHEMA.names]
    by_part = rewrite_parts(
        Parts(run.path(ANNOTATION, ANNOTATED), columns),
        run.output(FEATURES),
        FEATURES_SCHEMA,
        partial(
            mask_variants,
            masks=masks,
            n_genes=len(read_gene_axis(run)),
            score_names=told.get("scores", []),
        ),
    )
    found = sum(by_part, MaskCounts())
    counts = {mask.name: found.counting[number] for number, mask in enumerate(masks)}
    if not any(counts.values()):
        names = ", ".join(counts)
        raise InputError(f"masks: variants: found none that count in any of {names}, wanted some")
    empty = {number: mask for number, mask in enumerate(masks) if not counts[mask.name]}
    classes = told.get("classes", {})
    return StepResult(
        ledger=[
            LedgerEntry(step="masks", unit="variants", reason=f"none_in_{mask.name}", count=0)
            for mask in empty.values()
        ],
        facts={f"variants_in_{name}": count for name, count in counts.items()},
        warnings=unused_masks(run.config.annotation.groups, run.config.masks)
        + [why_empty(mask, found.meeting[number], classes) for number, mask in empty.items()]
        # Whose preset it is, meant it.
        + (overlaps(masks) if run.config.masks.preset is None else []),
    )
