"""Checks of batch and ancestry: within strata, across batches, and what score and network know of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.audit.alone import Comparison
from train.audit.auroc import Measure, Values, cross, stratified_auroc
from train.audit.evidence import Evidence
from train.audit.fitting import fold_groups, logit, scaled_features
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
"""Cases, and controls, that a batch holds at least where it is left out and judged."""
MAX_BATCHES = 8
"""Largest batches that are left out in turn."""


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
    numbers = comparison.numbers() | {"share_of_pairs": share, "by_stratum": _by_stratum(evidence, names_M)}
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


def leave_one_batch_out(evidence: Evidence) -> Finding:
    """A ridge fitted on the other batches, against one fitted on as many people of all batches."""
    wanted = "what is learned in some batches holds in another one"
    design = evidence.open
    batches = _judged_batches(design)
    if len(batches) < 2:
        why = f"fewer than two batches with {MIN_OF_EACH} cases and {MIN_OF_EACH} controls"
        return not_possible(why, wanted)
    batch_M = design.groups["batch"].to_numpy()
    x_MF = scaled_features(design.x_MF, design.n_genes)
    kept = np.isin(batch_M, batches)
    across_M, size = _across(design, x_MF, batches)
    mixed_M = _mixed(design, x_MF, size)
    people = design.take(kept)
    across = stratified_auroc(people.is_case_M, across_M[kept], batch_M[kept], people.family_M)
    mixed = stratified_auroc(people.is_case_M, mixed_M[kept], people.fold_M, people.family_M)
    numbers = {"left_out": across.numbers(), "all_batches": mixed.numbers(), "batches": len(batches)}
    found = f"AUROC {across} in batches left out, {mixed} by as many people of all batches"
    if Comparison(mixed, across).explained:
        means = "what tells cases in one batch does not in another: it is of the batch"
        advice = "look at the batches' calling and at the check within strata"
        return Finding("failed", found, wanted, means, advice, numbers)
    return Finding("passed", found, wanted, "nothing speaks for signals of single batches", numbers=numbers)


def score_tells_batch(evidence: Evidence) -> Finding:
    """Whether the genetic part of the score tells batches apart among people of one status and ancestry."""
    wanted = "among cases alone, and among controls alone, the score says nothing about batch"
    if evidence.open.groups["batch"].nunique() < 2:
        return not_possible("one batch", wanted)
    judged = evidence.judged
    if judged is None:
        return not_possible("no scores", wanted, "evaluate the run, or fit it with out-of-fold scores")
    names = sorted(set(judged.design.groups["batch"]))
    columns = {name: judged.genetic_M for name in names}
    return _tells_batch(evidence, judged.design, columns, wanted, "the score tells")


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
        return Finding("passed", "all hidden units are constant", wanted, "the network's own part is off")
    columns = batch_log_odds(hidden_MH, design)
    return _tells_batch(evidence, design, columns, wanted, "hidden units tell")


MAX_HIDDEN = 4000
"""People whose hidden units are looked at."""


def _tells_batch(
    evidence: Evidence, design: Design, columns: dict[str, Values], wanted: str, what: str
) -> Finding:
    """Largest one-against-rest AUROC for a batch, by the column that should be high in it."""
    groups = design.groups
    batch_M = groups["batch"].to_numpy()
    stratum_M = cross(design.fold_M, design.is_case_M, groups["ancestry"].to_numpy())
    found: dict[str, tuple[Measure, Measure]] = {}
    for name, column_M in columns.items():
        inside = batch_M == name
        if min(inside.sum(), (~inside).sum()) >= MIN_GROUP:
            given = stratified_auroc(inside, column_M, stratum_M, design.family_M)
            found[name] = given, stratified_auroc(inside, column_M, design.fold_M, design.family_M)
    if not found:
        return not_possible(f"no batch of {MIN_GROUP} people", wanted)
    worst = max(found, key=lambda name: abs(found[name][0].deviate()))
    given, plain = found[worst]
    alone = stratified_auroc(
        evidence.open.is_case_M,
        evidence.predict_alone("batch", evidence.batches(evidence.open)),
        evidence.open.fold_M,
        evidence.open.family_M,
    )
    linked = alone.deviate() > z_limit() and alone.estimate - 0.5 > BALANCED_AUROC
    numbers = {"given_status": given.numbers(), "over_all": plain.numbers(), "batch_alone": alone.numbers()}
    sentence = (
        f"{what} one batch from the rest at {given} given status and ancestry, {plain} without; "
        f"batch alone tells status at {alone}"
    )
    telling = abs(given.deviate()) > z_limit(len(found), sides=2) and abs(given.estimate - 0.5) > SMALL_AUROC
    if telling and linked:
        means = "the network knows batches, and batches go with status"
        advice = "the AUROC holds batch: report it within batches, and mend calling or design"
        return Finding("failed", sentence, wanted, means, advice, numbers)
    means = "batch shows, but does not go with status" if telling else "batch does not show"
    return Finding("passed", sentence, wanted, means, numbers=numbers)


def _by_stratum(evidence: Evidence, names_M: NDArray[Any]) -> list[dict[str, float]]:
    judged = evidence.judged
    assert judged is not None  # the caller has looked
    rows = []
    for name in np.unique(names_M):
        inside = names_M == name
        people = judged.design.take(inside)
        cases = int(people.is_case_M.sum())
        if min(cases, len(people) - cases) >= MIN_OF_EACH:
            measure = stratified_auroc(
                people.is_case_M, judged.score_M[inside], people.fold_M, people.family_M
            )
            rows.append({"people": len(people), "cases": cases, **measure.numbers()})
    return rows


def _shared(design: Design, names_M: NDArray[Any]) -> int:
    """Cases, or controls, whichever are fewer, who share a stratum with one of the other kind."""
    cases = np.bincount(names_M, design.is_case_M == 1)
    controls = np.bincount(names_M, design.is_case_M == 0)
    both = (cases > 0) & (controls > 0)
    return int(min(cases[both].sum(), controls[both].sum()))


def _judged_batches(design: Design) -> list[str]:
    kept = []
    for name, size in design.groups["batch"].value_counts().items():
        cases = int(design.is_case_M[(design.groups["batch"] == name).to_numpy()].sum())
        if min(cases, size - cases) >= MIN_OF_EACH:
            kept.append(str(name))
    return kept[:MAX_BATCHES]


def _across(design: Design, x_MF: Any, batches: Iterable[str]) -> tuple[Values, dict[int, int]]:
    """Log odds of each batch by the others, families that stand in both left out; smallest training set."""
    batch_M = design.groups["batch"].to_numpy()
    logit_M = np.zeros(len(design))
    sizes: dict[int, list[int]] = {0: [], 1: []}
    for name in batches:
        inside = batch_M == name
        training = ~inside & ~np.isin(design.family_M, design.family_M[inside])
        labels = design.is_case_M[training]
        for status in sizes:
            sizes[status].append(int((labels == status).sum()))
        if min(sizes[0][-1], sizes[1][-1]):
            logit_M[inside] = logit(x_MF[training], labels, x_MF[inside])
    return logit_M, {status: min(found) for status, found in sizes.items()}


def _mixed(design: Design, x_MF: Any, size: dict[int, int]) -> Values:
    """Log odds out of fold, by as many cases and controls as the smallest fit on the other batches had."""
    rng = np.random.default_rng(0)
    group_M = fold_groups(design.fold_M)
    logit_M = np.zeros(len(design))
    for group in np.unique(group_M):
        inside = group_M == group
        chosen = []
        for status, wanted in size.items():
            members = np.flatnonzero(~inside & (design.is_case_M == status))
            chosen.append(rng.permutation(members)[:wanted])
        training = np.concatenate(chosen)
        if min(map(len, chosen)):
            logit_M[inside] = logit(x_MF[training], design.is_case_M[training], x_MF[inside])
    return logit_M
