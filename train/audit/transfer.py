"""The check that leaves batches out: what is learned in some must hold in another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from train.audit.alone import Comparison
from train.audit.auroc import Values, stratified_auroc
from train.audit.evidence import Evidence
from train.audit.fitting import fold_groups, logit, scaled_features
from train.audit.rules import Finding, not_possible
from train.design import Design

MIN_OF_EACH = 20
"""Cases, and controls, that a batch holds at least where it is left out and judged."""
MAX_BATCHES = 8
"""Largest batches that are left out in turn."""


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
    across, mixed = across.cross_validated(), mixed.cross_validated()
    numbers = {"left_out": across.numbers(), "all_batches": mixed.numbers(), "batches": len(batches)}
    found = f"AUROC {across} in batches left out, {mixed} by as many people of all batches"
    if Comparison(mixed, across).explained:
        means = "what tells cases in one batch does not in another: it is of the batch"
        advice = "look at the batches' calling and at the check within strata"
        return Finding("failed", found, wanted, means, advice, numbers)
    return Finding("passed", found, wanted, "nothing speaks for signals of single batches", numbers=numbers)


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
