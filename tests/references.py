"""A reference written down by hand: one channel, one component, one gene."""

from pathlib import Path

import pandas as pd

from contract.reference import Reference, write_frame


def reference(folder: Path, **changes: object) -> Reference:
    settings = {
        "reference_genome": "GRCh38",
        "config": {"masks": {"preset": "bipex"}},
        "channels": [{"name": "plof", "definition": {}}],
        "covariates": ["is_female", "pc1"],
        "cohort_covariates": ["pc1"],
        "test_fold": 0,
        "n_people": 900,
        "n_men": 450,
        "min_cell": 5,
        "small_cells": "coarsen",
        "components": ["pc1"],
        "baseline": [0.5],
        "covariate_means": {"is_female": 0.5, "pc1": 0.0},
        "covariate_deviations": {"is_female": 0.5, "pc1": 1.0},
        "groups": [],
        "burdens": [],
        "comparisons": [],
        "lowest_call_rate": 0.98,
        "files": [write_frame(str(folder), "genes.parquet", pd.DataFrame({"gene_id": ["ENSG1"]}))],
        "variants": [],
    }
    return Reference.model_validate(settings | changes)
