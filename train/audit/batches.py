"""Checks of batch and ancestry: within strata, across batches, and what score and network know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.audit.alone import Comparison
from train.audit.auroc import Measure, Values, cross, stratified_auroc
from train.audit.evidence import Evidence, Judged
from train.audit.hidden import batch_log_odds, hidden_units
from train.audit.rules import (
    BALANCED_AUROC,
    MIN_GROUP,
    SMALL_AUROC,
    Finding,
    not_possible,
    z_limit,
)
from train.design import Design

MIN_OF_EACH = 20
"""Cases, and controls, of a stratum that is told of by itself."""
MAX_HIDDEN = 4000
"""People whose hidden units are looked at."""


def within_strata(evidence: Evidence) -> Finding:
    """The score within batch × ancestry: the number that neither batch nor ancestry can make."""
    wanted = "the score tells cases from controls of the same batch and ancestry"
    judged = evidence.judged
    if judged is None:
        return not_possible("no scores", wanted, "evaluate the run, or fit it with out-of-fold scores")
    if min(int((judged.design.is_case_M == status).sum()) for status in (0, 1)) < MIN_GROUP:
        return not_possible(f"fewer than {MIN_GROUP} cases or controls have scores", wanted)
    groups = judged.design.groups
    names_M = cross(groups["batch"].to_numpy(), groups["ancestry"].to_numpy())
    comparison = Comparison(
        judged.auroc(), judged.auroc(groups["batch"].to_numpy(), groups["ancestry"].to_numpy())
    )
    share = comparison.within.n_pairs / max(comparison.overall.n_pairs, 1)
    numbers = comparison.numbers() | {"share_of_pairs": share, "by_stratum": _by_stratum(judged, names_M)}
    if _shared(judged.design, names_M) < MIN_GROUP:
        means = "status goes with batch or ancestry: nothing can tell disease from either"
        advice = "only a cohort whose batches and ancestries hold both cases and controls can tell"
        found = (
            f"next to no case shares batch and ancestry with a control; AUROC {comparison.overall} over all"
        )
        return Finding("failed", found, wanted, means, advice, numbers)
    found = f"AUROC {comparison.within} within, {comparison.overall} over all"
    if comparison.explained:
        means = "the score tells batches or ancestries apart, and cases only by that"
        advice = "don't report the overall AUROC; compare within batch, or balance batches by status"
        return Finding("failed", found, wanted, means, advice, numbers)
    return Finding("passed", found, wanted, "batch and ancestry don't explain the score", numbers=numbers)


def score_tells_batch(evidence: Evidence) -> Finding:
    """Whether the genetic part of the score tells batches apart among people of one status and ancestry."""
    wanted = "among cases alone, and among controls alone, the score says nothing about batch"
    if evidence.open.groups["batch"].nunique() < 2:
        return not_possible("one batch", wanted)
    judged = evidence.judged
    if judged is None:
        return not_possible("no scores", wanted, "evaluate the run, or fit it with out-of-fold scores")
    names = sorted(set(judged.design.groups["batch"]))
    shown = Shown("the score tells", {name: judged.genetic_M for name in names}, fitted=False)
    return _tells_batch(evidence, judged.design, shown, wanted)


def hidden_units_tell_batch(evidence: Evidence) -> Finding:
    """Whether the network's last hidden units tell batches apart among people of one status and ancestry."""
    wanted = "among cases alone, and among controls alone, hidden units say nothing about batch"
    design = evidence.open
    if design.groups["batch"].nunique() < 2:
        return not_possible("one batch", wanted)
    people = np.arange(len(design))
    if len(people) > MAX_HIDDEN:
        people = np.sort(
            np.random.default_rng(evidence.config.seed).choice(people, MAX_HIDDEN, replace=False)
        )
    design = design.take(people)
    hidden_MH = hidden_units(evidence.bundle, design)
    if hidden_MH is None:
        return not_possible("the network shows no hidden units", wanted)
    if not np.ptp(hidden_MH, axis=0).any():
        return Finding("passed", "no hidden unit that varies", wanted, "convolutions are off")
    shown = Shown("hidden units tell", batch_log_odds(hidden_MH, design), fitted=True)
    return _tells_batch(evidence, design, shown, wanted)


@dataclass(frozen=True)
class Shown:
    """What may show batches: words for it, a column by batch that should be high there."""

    words: str
    columns: dict[str, Values]
    fitted: bool
    """Whether the columns were fitted to the batches, out of fold."""


def _tells_batch(evidence: Evidence, design: Design, shown: Shown, wanted: str) -> Finding:
    """Largest one-against-rest AUROC for a batch, by the column that should be high in it."""
    groups = design.groups
    batch_M = groups["batch"].to_numpy()
    stratum_M = cross(design.fold_M, design.is_case_M, groups["ancestry"].to_numpy())
    found: dict[str, tuple[Measure, Measure]] = {}
    for name, column_M in shown.columns.items():
        inside = batch_M == name
        if min(inside.sum(), (~inside).sum()) >= MIN_GROUP:
            given, plain = (
                stratified_auroc(inside, column_M, strata, design.family_M)
                for strata in (stratum_M, design.fold_M)
            )
            found[name] = (given.cross_validated(), plain) if shown.fitted else (given, plain)
    if not found:
        return not_possible(f"no batch of {MIN_GROUP} people", wanted)
    worst = max(found, key=lambda name: abs(found[name][0].deviate()))
    given, plain = found[worst]
    alone = stratified_auroc(
        evidence.open.is_case_M,
        evidence.predict_alone("batch", evidence.batches(evidence.open)),
        evidence.open.fold_M,
        evidence.open.family_M,
    ).cross_validated()
    linked = alone.deviate() > z_limit() and alone.estimate - 0.5 > BALANCED_AUROC
    numbers = {"given_status": given.numbers(), "over_all": plain.numbers(), "batch_alone": alone.numbers()}
    sentence = (
        f"{shown.words} one batch from the rest at {given} given status and ancestry, {plain} without; "
        f"batch alone tells status at {alone}"
    )
    telling = abs(given.deviate()) > z_limit(len(found), sides=2) and abs(given.estimate - 0.5) > SMALL_AUROC
    if telling and linked:
        means = "the network knows batches, and batches go with status"
        advice = "the AUROC holds batch: report it within batches, and mend calling or design"
        return Finding("failed", sentence, wanted, means, advice, numbers)
    means = "batch shows, but does not go with status" if telling else "batch does not show"
    return Finding("passed", sentence, wanted, means, numbers=numbers)


def _by_stratum(judged: Judged, names_M: NDArray[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name in np.unique(names_M):
        inside = names_M == name
        people = judged.design.take(inside)
        cases = int(people.is_case_M.sum())
        if min(cases, len(people) - cases) >= MIN_OF_EACH:
            measure = stratified_auroc(
                people.is_case_M, judged.score_M[inside], people.fold_M, people.family_M
            )
            first = people.groups.iloc[0]
            named = {"batch": str(first["batch"]), "ancestry": str(first["ancestry"])}
            rows.append({**named, "people": len(people), "cases": cases, **measure.numbers()})
    return rows


def _shared(design: Design, names_M: NDArray[Any]) -> int:
    """Cases, or controls, whichever are fewer, who share a stratum with one of the other kind."""
    cases = np.bincount(names_M, design.is_case_M == 1)
    controls = np.bincount(names_M, design.is_case_M == 0)
    both = (cases > 0) & (controls > 0)
    return int(min(cases[both].sum(), controls[both].sum()))
