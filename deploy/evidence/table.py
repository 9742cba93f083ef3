"""Rows of the table, made of finished cells alone: a run that was stopped shows what it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from contract.config import digest
from deploy.evidence.cells import Cell, CellStore
from deploy.evidence.grid import Planned
from deploy.evidence.judging import (
    Estimate,
    auroc,
    auroc_difference,
    pooled,
    precision_at_planted,
    row_of,
)
from deploy.evidence.models import NETWORKS, Fitting, NotPossibleError
from deploy.evidence.settings import CohortSettings

OURS = "network"
ROW = ("cohort", "people", "genes", "seed", "model", "auroc", "low", "high", "oracle", "seconds")
MORE = ("precision", "peak_rss_mb", "note", "verdict")
CHANCE = 0.5


def cohort_cell(plan: Planned, seed: int) -> tuple[str, str]:
    """Name and digest of the cell that holds the judges' status."""
    return f"{plan.name}-{seed}", plan.settings(seed).digest


def model_cell(plan: Planned, seed: int, model: str) -> tuple[str, str]:
    """Name and digest of the cell that holds a model's scores of the judges."""
    name, of_cohort = cohort_cell(plan, seed)
    overrides = [*plan.overrides, *NETWORKS.get(model, ())]
    return f"{name}-{model}", digest([of_cohort, model, overrides])


def fit_cell(fitting: Fitting, plan: Planned, seed: int, model: str) -> Cell:
    """Fit a model and judge it; a model that can't be fitted leaves a note in place of numbers."""
    truth = fitting.truth
    facts = {"model": model, "seed": seed, **cohort_facts(plan, truth.settings)}
    facts["oracle"] = round(truth.oracle_auroc, 4)
    try:
        scored = fitting.fit(model, seed)
    except NotPossibleError as reason:
        return {**facts, "auroc": None, "low": None, "high": None, "seconds": None, "note": str(reason)}
    precision = None
    if scored.ranking_G is not None:
        precision = precision_at_planted(scored.ranking_G, truth.causal)
    return {
        **facts,
        **row_of(auroc(truth.is_case_M[truth.judge_M], scored.score_M)),
        "seconds": round(scored.seconds, 1),
        "peak_rss_mb": None if scored.peak_rss_mb is None else round(scored.peak_rss_mb),
        "precision": precision,
        "note": scored.note,
        "verdict": scored.verdict,
        "score_M": scored.score_M,
    }


def cohort_facts(plan: Planned, settings: CohortSettings) -> dict[str, Any]:
    """Columns of a row that the cohort decides."""
    return {"cohort": plan.name, "people": settings.n_people, "genes": settings.n_genes}


def rows(store: CellStore, plans: Sequence[Planned]) -> list[Cell]:
    """Finished cells with numbers or a note, in the order of cohorts, seeds and models."""
    found = []
    for plan in plans:
        for seed in plan.seeds:
            for model in plan.models:
                cell = store.get(*model_cell(plan, seed, model))
                if cell is not None:
                    kept = {name: cell.get(name) for name in ROW}
                    kept |= {name: cell[name] for name in MORE if cell.get(name) is not None}
                    found.append(kept)
    return found


def differences(store: CellStore, plans: Sequence[Planned]) -> list[dict[str, Any]]:
    """Our network less each rival in AUROC, paired on the judges and pooled over seeds."""
    found = []
    for plan in plans:
        for rival in plan.models:
            pairs = list(_paired(store, plan, rival)) if rival != OURS else []
            if pairs:
                bounds = pooled(pairs).bounds()
                found.append({"cohort": plan.name, "rival": rival, "seeds": len(pairs), **bounds})
    return found


def null_figures(store: CellStore, plan: Planned) -> dict[str, Any]:
    """Cohorts without effect: on how many our interval holds 0.5, and the audit finds nothing."""
    cells = [store.get(*model_cell(plan, seed, OURS)) for seed in plan.seeds]
    done = [cell for cell in cells if cell is not None and cell["auroc"] is not None]
    holding = sum(cell["low"] <= CHANCE <= cell["high"] for cell in done)
    nothing = sum(cell.get("verdict") == "nothing_found" for cell in done)
    return {"seeds": len(done), "holding": holding, "nothing_found": nothing}


def means(found: Sequence[Cell]) -> list[dict[str, Any]]:
    """One row for each cohort and model: means over the seeds that are done."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for row in found:
        if row["auroc"] is not None:
            groups.setdefault((row["cohort"], row["model"]), []).append(row)
    return [
        {
            "cohort": cohort,
            "model": model,
            "seeds": len(members),
            **{name: _mean(members, name) for name in ("auroc", "oracle", "precision", "seconds")},
        }
        for (cohort, model), members in groups.items()
    ]


def _paired(store: CellStore, plan: Planned, rival: str) -> Iterator[Estimate]:
    for seed in plan.seeds:
        judged = store.get(*cohort_cell(plan, seed))
        cells = [store.get(*model_cell(plan, seed, model)) for model in (OURS, rival)]
        if judged is None or any(cell is None or cell["auroc"] is None for cell in cells):
            continue
        ours, other = (store.scores(model_cell(plan, seed, model)[0]) for model in (OURS, rival))
        is_case_M = store.scores(cohort_cell(plan, seed)[0]).astype(np.int8)
        yield auroc_difference(is_case_M, ours, other)


def _mean(members: Sequence[Cell], name: str) -> float | None:
    values = [member[name] for member in members if member.get(name) is not None]
    return round(float(np.mean(values)), 4) if values else None
