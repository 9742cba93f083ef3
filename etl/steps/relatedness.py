"""Step 3: markers, kinship, duplicates, families, folds."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.qc.ancestry import find_groups, score_frame
from etl.qc.components import principal_components
from etl.qc.folds import assign_folds
from etl.qc.markers import prune, select_markers
from etl.qc.plink import Markers, write_plink
from etl.qc.relatedness import (
    choose_duplicates,
    estimate_kinship,
    find_families,
    relationship,
)
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.sample_metrics import METRICS
from etl.steps.table import INGEST, SAMPLE_METRICS
from etl.workspace import StepResult

MARKERS, KINSHIP, PEOPLE = "markers", "kinship.parquet", "people.parquet"
CANDIDATES = "candidates.parquet"


def work(run: Run) -> StepResult:
    """Write the markers (PLINK files), kinship.parquet (pairs) and people.parquet (family, fold)."""
    thresholds, seed = run.profile.relatedness, run.config.folds.seed
    metrics = pd.read_parquet(run.path(SAMPLE_METRICS, METRICS))
    people = metrics[metrics["reasons"] == ""].reset_index(drop=True)
    markers = _markers(run, metrics)
    write_plink(markers, run.output(MARKERS))
    n_components = max(thresholds.n_components, run.profile.ancestry.n_components)
    if len(markers) <= n_components:
        raise InputError(
            f"{run.config.input.vcf[0]}: common autosomal SNVs for kinship and ancestry: "
            f"found {len(markers)}, wanted more than {n_components}"
        )
    everybody = np.ones(len(people), dtype=bool)
    scores_PK = principal_components(markers, everybody, thresholds.n_components)
    pairs = estimate_kinship(markers, scores_PK, thresholds)
    duplicates = choose_duplicates(pairs, people.set_index("sample_id")["call_rate"], thresholds)
    people = people[~people["sample_id"].isin(duplicates)].reset_index(drop=True)
    people["family"] = find_families(people, pairs, thresholds.min_kinship_family)
    people["ancestry"] = _ancestry_for_balance(people, score_frame(markers.people, scores_PK), run)
    people["fold"] = assign_folds(people, seed=seed)
    people[["sample_id", "family", "fold"]].to_parquet(run.output(PEOPLE))
    pairs.assign(relationship=relationship(pairs["kinship"])).to_parquet(run.output(KINSHIP))
    return StepResult(
        ledger=[LedgerEntry(step="relatedness", unit="samples", reason="duplicate", count=len(duplicates))],
        facts={
            "markers": len(markers),
            "related_pairs": int((pairs["kinship"] >= thresholds.min_kinship_family).sum()),
            "families": int(people["family"].nunique()),
            "people": len(people),
            "passes_over_calls": 1,
        },
        fitted_on={"folds": "everybody: kinship and ancestry need no label; status only balances the folds"},
    )


def _markers(run: Run, metrics: pd.DataFrame) -> Markers:
    """Markers in linkage equilibrium, with the people whom step 2 keeps."""
    kept = [
        name if reasons == "" else None
        for name, reasons in zip(metrics["sample_id"], metrics["reasons"], strict=True)
    ]
    scratch = run.output(CANDIDATES)
    candidates = select_markers(
        run.path(INGEST, COHORT), kept, run.profile.relatedness, scratch, seed=run.config.folds.seed
    )
    shutil.rmtree(scratch)
    return prune(candidates, run.profile.relatedness)


def _ancestry_for_balance(people: pd.DataFrame, scores: pd.DataFrame, run: Run) -> pd.Series:
    """Known ancestry, else rough groups from PC-Relate's components: they only balance the folds."""
    if run.config.samples.ancestry:
        return people["known_ancestry"].fillna("unknown")
    placed = scores.set_index("sample_id").loc[people["sample_id"]].reset_index()
    everybody = [True] * len(placed)
    return find_groups(placed, everybody, run.profile.ancestry, seed=run.config.folds.seed)
