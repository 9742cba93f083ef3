"""Part of step 9: what the dataset keeps for new people."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from contract.manifest import Manifest
from contract.reference import REFERENCE_FOLDER, Comparison
from contract.storage import remove
from etl.export.reference import Kept, write_reference_folder
from etl.export.reference_variants import SmallCells, VariantTables, write_variants
from etl.like.settings import inherited_settings
from etl.qc.outliers import fit_comparisons
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.names import FEATURES, LOADINGS, VARIANTS
from etl.steps.table import ANCESTRY, INGEST, MASKS, VARIANT_QC


def reference_writer(run: Run, samples: pd.DataFrame) -> Callable[[str, Manifest], str]:
    """Write the variants of the reference; the rest is written when the dataset's people are."""
    rules, outside = run.config.for_new_people, samples["fold"] != run.config.folds.test
    folder = run.output(REFERENCE_FOLDER)
    tables = VariantTables(
        run.path(VARIANT_QC, VARIANTS), run.path(INGEST, COHORT), run.path(MASKS, FEATURES)
    )
    comparisons = fit_comparisons(samples, outside, run.profile.sample)
    kept = Kept(
        config=inherited_settings(run.config.model_dump(mode="json"), run.profile.model_dump(mode="json")),
        variants=write_variants(tables, folder, SmallCells(rules.min_cell, rules.small_cells)),
        loadings=run.read(ANCESTRY, LOADINGS),
        people=samples,
        comparisons=[Comparison.model_validate(found) for found in comparisons],
    )

    def write(staging: str, manifest: Manifest) -> str:
        digest = write_reference_folder(folder, staging, manifest, kept, rules)
        remove(folder)  # the dataset has it
        return digest

    return write
