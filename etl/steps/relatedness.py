"""Step 3: markers, kinship, duplicates, families, folds."""

from __future__ import annotations

import logging

import hail as hl
import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from etl.qc.ancestry import find_groups
from etl.qc.folds import assign_folds
from etl.qc.relatedness import (
    choose_duplicates,
    estimate_kinship,
    find_families,
    prune,
    relationship,
    select_markers,
)
from etl.qc.sites import good_sites
from etl.session import small_partitions
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.sample_metrics import METRICS
from etl.steps.table import INGEST, SAMPLE_METRICS
from etl.workspace import StepResult

MARKERS, KINSHIP, PEOPLE = "markers.mt", "kinship.parquet", "people.parquet"
log = logging.getLogger(__name__)


def work(run: Run) -> StepResult:
    """Write markers.mt (dense, pruned), kinship.parquet (pairs) and people.parquet (family, fold)."""
    thresholds, seed = run.profile.relatedness, run.config.folds.seed
    metrics = pd.read_parquet(run.path(SAMPLE_METRICS, METRICS))
    people = metrics[metrics["reasons"] == ""].reset_index(drop=True)
    mt = good_sites(hl.read_matrix_table(run.path(INGEST, COHORT)), run.profile.variant)
    mt = mt.filter_cols(hl.literal(set(people["sample_id"])).contains(mt.s))
    unpruned_path = hl.utils.new_temp_file("markers", "mt")
    select_markers(mt, thresholds, seed=seed).write(unpruned_path)
    n_partitions = small_partitions(thresholds.max_markers * len(people))
    unpruned = hl.read_matrix_table(unpruned_path, _n_partitions=n_partitions)
    markers = prune(unpruned, thresholds).checkpoint(run.output(MARKERS))
    n_markers = markers.count_rows()
    n_components = max(thresholds.n_components, run.profile.ancestry.n_components)
    if n_markers <= n_components:
        raise InputError(
            f"{run.config.input.vcf[0]}: common autosomal SNVs for kinship and ancestry: found {n_markers}, "
            f"wanted more than {n_components}"
        )
    pairs, scores = estimate_kinship(markers, thresholds)
    duplicates = choose_duplicates(pairs, people.set_index("sample_id")["call_rate"], thresholds)
    people = people[~people["sample_id"].isin(duplicates)].reset_index(drop=True)
    people["family"] = find_families(people, pairs, thresholds.min_kinship_family)
    people["ancestry"] = _ancestry_for_balance(people, scores, run)
    people["fold"] = assign_folds(people, seed=seed)
    people[["sample_id", "family", "fold"]].to_parquet(run.output(PEOPLE))
    pairs.assign(relationship=relationship(pairs["kinship"])).to_parquet(run.output(KINSHIP))
    return StepResult(
        ledger=[LedgerEntry(step="relatedness", unit="samples", reason="duplicate", count=len(duplicates))],
        facts={
            "markers": n_markers,
            "related_pairs": int((pairs["kinship"] >= thresholds.min_kinship_family).sum()),
            "families": int(people["family"].nunique()),
            "people": len(people),
        },
        fitted_on={"folds": "everybody: kinship and ancestry need no label; status only balances the folds"},
    )


def _ancestry_for_balance(people: pd.DataFrame, scores: pd.DataFrame, run: Run) -> pd.Series:
    """Known ancestry, else rough groups from PC-Relate's components: they only balance the folds."""
    if run.config.samples.ancestry:
        return people["known_ancestry"].fillna("unknown")
    placed = scores.set_index("sample_id").loc[people["sample_id"]].reset_index()
    everybody = [True] * len(placed)
    return find_groups(placed, everybody, run.profile.ancestry, seed=run.config.folds.seed)
