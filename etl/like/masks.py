"""Step 7 of new people: the first cohort's features of its variants, and its masks on those that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from contract.errors import InputError, fault
from contract.reference import GENES_FILE, open_reference
from contract.storage import join, make_folder, replaced_whole
from etl.aggregate.config import EXTERNAL_FREQUENCY
from etl.aggregate.masks import FEATURES_SCHEMA, READ_COLUMNS, mask_variants
from etl.annotate.variants import ANNOTATED_SCHEMA
from etl.cohort.parts import file_name
from etl.cohort.passes import Parts
from etl.frames import read_arrow
from etl.like.variant_qc import KNOWN
from etl.steps.annotation import ANNOTATED, read_gene_axis
from etl.steps.base import Run
from etl.steps.names import FEATURES
from etl.steps.table import ANNOTATION, VARIANT_QC
from etl.workspace import StepResult

Masking = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def work(run: Run) -> StepResult:
    """Write features.parquet: what each variant of theirs adds to each channel × gene."""
    n_genes = _check_axis(run)
    record = run.workspace.record(ANNOTATION.folder)
    masking = partial(
        mask_variants,
        masks=run.config.masks.resolved(),
        n_genes=n_genes,
        score_names=record.facts.get("scores", []) if record else [],
    )
    columns = [name for name in (*READ_COLUMNS, EXTERNAL_FREQUENCY) if name in ANNOTATED_SCHEMA.names]
    annotated = Parts(run.path(ANNOTATION, ANNOTATED), columns)
    out = run.output(FEATURES)
    make_folder(out)
    write = partial(
        _write_part,
        annotated=annotated,
        masking=masking,
        known=run.path(VARIANT_QC, KNOWN),
        out=out,
    )
    counts: list[int] = annotated.tasks().map(write).collect()
    return StepResult(facts={"variants_that_count": sum(counts)})


def _write_part(part: str, annotated: Parts, masking: Masking, known: str, out: str) -> int:
    """Features of one part of the cohort: its known variants', then its other ones'."""
    name = file_name(part)
    with (
        replaced_whole(join(out, name)) as path,
        pq.ParquetWriter(str(path), FEATURES_SCHEMA, compression="zstd") as writer,
    ):
        table = read_arrow(join(known, name), FEATURES_SCHEMA.names)
        writer.write_table(table)
        n_rows = table.num_rows
        for batch in masking(annotated.batches(part)):
            writer.write_batch(batch)
            n_rows += batch.num_rows
    return n_rows


def _check_axis(run: Run) -> int:
    """Length of the gene axis, which must be the first cohort's: flat indices of features are places on it.

    Raises
    ------
    InputError
        If another gene file was given.
    """
    reference = open_reference(str(run.config.like))
    own, first = (axis[["gene_id", "contig"]] for axis in (read_gene_axis(run), reference.table(GENES_FILE)))
    if len(own) != len(first) or (own.to_numpy() != first.to_numpy()).any():
        found = f"{len(own)} genes, not those of {run.config.like}"
        wanted = f"its {len(first)} in their order, or no such key"
        raise InputError(fault(run.config.genes.path, "genes", found=found, wanted=wanted))
    return len(first)
