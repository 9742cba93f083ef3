"""Step 3: markers, kinship, duplicates, families, folds."""

from __future__ import annotations

import pandas as pd

from contract.errors import InputError
from contract.manifest import LedgerEntry
from contract.storage import remove
from etl.ingest.kinship_table import read_kinship
from etl.qc.ancestry import find_groups, score_frame
from etl.qc.folds import assign_folds, declared_folds
from etl.qc.ld_pruning import prune
from etl.qc.markers import Selection, select_markers
from etl.qc.plink import Markers, write_plink
from etl.qc.related_pairs import Kinship, estimate_kinship, measure_ibs0, standard_error, with_components
from etl.qc.relatedness import (
    DISCORDANT,
    DUPLICATE,
    choose_duplicates,
    discordant_sets,
    find_families,
    relationship,
)
from etl.steps.base import Run
from etl.steps.ingest import COHORT
from etl.steps.names import KINSHIP
from etl.steps.sample_metrics import METRICS
from etl.steps.table import INGEST, SAMPLE_METRICS
from etl.workspace import StepResult

MARKERS, PEOPLE = "markers", "people.parquet"
MAX_FAMILY = 0.1
"""Share of the cohort above which a family is told of."""

CANDIDATES, DUPLICATES = "candidates.parquet", "duplicates.parquet"


def work(run: Run) -> StepResult:
    """Write the markers (PLINK files), kinship.parquet (pairs) and people.parquet (family, fold)."""
    thresholds, seed = run.profile.relatedness, run.config.folds.seed
    metrics = run.read(SAMPLE_METRICS, METRICS)
    people = metrics[metrics["reasons"] == ""].reset_index(drop=True)
    markers = _markers(run, metrics)
    kinship, warnings = _kinship(run, markers, people, metrics["sample_id"].tolist())
    pairs = kinship.pairs.assign(ibs0=measure_ibs0(kinship.pairs, markers))
    reasons = choose_duplicates(
        people,
        pairs,
        thresholds.min_kinship_duplicate,
        drop_discordant=run.config.samples.discordant_duplicates == "drop",
    )
    leaving = people.assign(reasons=reasons)[reasons != ""]
    run.write(DUPLICATES, leaving[["sample_id", "reasons"]])
    warnings += _mix_ups(people, pairs, run)
    people = people[reasons == ""].reset_index(drop=True)
    people["family"] = find_families(people, pairs, thresholds.min_kinship_family)
    warnings += _chained(people["family"])
    people["ancestry"] = _ancestry_for_balance(people, score_frame(markers.people, kinship.scores_PK), run)
    people["fold"] = (
        assign_folds(people, seed=seed) if run.config.samples.fold is None else declared_folds(people)
    )
    run.write(PEOPLE, people[["sample_id", "family", "fold"]])
    run.write(KINSHIP, pairs.assign(relationship=relationship(pairs["kinship"])))
    return StepResult(
        ledger=[
            LedgerEntry(
                step="relatedness",
                unit="samples",
                reason=reason,
                count=int(reasons.str.split(",").map(lambda found, wanted=reason: wanted in found).sum()),
            )
            for reason in (DUPLICATE, *DISCORDANT)
        ],
        facts={
            "markers": len(markers),
            "related_pairs": int((pairs["kinship"] >= thresholds.min_kinship_family).sum()),
            "families": int(people["family"].nunique()),
            "unrelated": int(kinship.fitted_P.sum()),
            "people": len(people),
            "passes_over_calls": 1,
        },
        fitted_on={
            "markers and kinship": "everybody, without labels: relatives are found before there are folds",
            "folds": "everybody: status only balances them",
        },
        warnings=warnings,
    )


def _mix_ups(people: pd.DataFrame, pairs: pd.DataFrame, run: Run) -> list[str]:
    """A sentence for each kind of duplicates that can't be one person."""
    dropped = run.config.samples.discordant_duplicates == "drop"
    found = discordant_sets(people, pairs, run.profile.relatedness.min_kinship_duplicate)
    return [
        f"{count} sets of duplicates differ in {reason.removeprefix('duplicate_other_')}: samples were mixed "
        f"up; {'all of them are left out' if dropped else 'the best called of each stays, as configured'}"
        for reason, count in found.items()
        if count
    ]


def _kinship(
    run: Run, markers: Markers, people: pd.DataFrame, everybody: list[str]
) -> tuple[Kinship, list[str]]:
    """Pairs with their kinship, as configured, components, and what a reader must know of the pairs."""
    config, thresholds = run.config, run.profile.relatedness
    file = write_plink(markers, run.output(MARKERS))
    if config.kinship == "skip":
        none = pd.DataFrame({"first": [], "second": [], "kinship": []}).astype(
            {"first": str, "second": str, "kinship": float}
        )
        return with_components(none, markers, people, thresholds), [
            "kinship was not estimated: duplicates stay, and relatives who are not declared as a family may "
            "stand on both sides of the sealed fold"
        ]
    if config.kinship != "estimate":
        pairs = read_kinship(config.kinship.table, everybody)
        return with_components(pairs, markers, people, thresholds), []
    told = f"{len(markers)} independent markers (common autosomal SNVs, pruned by linkage disequilibrium)"
    error = f"kinship has a standard error of about {standard_error(markers):.3f}"
    if len(markers) < thresholds.min_markers:
        raise InputError(
            f"{config.input.paths[0]}: kinship: found {told}, wanted at least {thresholds.min_markers}: "
            f"{error}, second degree begins at {thresholds.min_kinship_family}; give calls of more "
            "chromosomes, or set kinship: {table: PATH} of KING, plink2 or PC-Relate, or kinship: skip with "
            "declared families"
        )
    few = f"kinship rests on {told}: {error}, so that distant relatives are missed or invented"
    is_few = len(markers) < thresholds.few_markers
    return estimate_kinship(markers, file, people, thresholds), [few] if is_few else []


def _chained(family: pd.Series) -> list[str]:
    """A sentence where relatives of relatives make up a large part of the cohort."""
    largest = int(family.value_counts().iloc[0])
    if largest <= MAX_FAMILY * len(family):
        return []
    return [
        f"one family holds {largest} of {len(family)} people, chained by pairs above the kinship limit: it "
        "lies in one fold; with few markers or a mixed ancestry such chains may be false"
    ]


def _markers(run: Run, metrics: pd.DataFrame) -> Markers:
    """Markers in linkage equilibrium, with the people whom step 2 keeps."""
    config, thresholds = run.config, run.profile.relatedness
    kept = [
        name if reasons == "" else None
        for name, reasons in zip(metrics["sample_id"], metrics["reasons"], strict=True)
    ]
    scratch = run.output(CANDIDATES)
    selection = Selection(thresholds=thresholds, reference=config.reference, seed=config.folds.seed)
    candidates = select_markers(run.path(INGEST, COHORT), kept, selection, scratch)
    remove(scratch)
    markers = prune(candidates, thresholds)
    n_components = max(thresholds.n_components, run.profile.ancestry.n_components)
    if len(markers) <= n_components:
        raise InputError(
            f"{config.input.paths[0]}: common autosomal SNVs for kinship and ancestry: "
            f"found {len(markers)}, wanted more than {n_components}"
        )
    return markers


def _ancestry_for_balance(people: pd.DataFrame, scores: pd.DataFrame, run: Run) -> pd.Series:
    """Known ancestry, else rough groups from PC-Relate's components: they only balance the folds."""
    if run.config.samples.ancestry:
        return people["known_ancestry"].fillna("unknown")
    placed = scores.set_index("sample_id").loc[people["sample_id"]].reset_index()
    everybody = [True] * len(placed)
    return find_groups(placed, everybody, run.profile.ancestry, seed=run.config.folds.seed)
