"""Checks that groups are alike where they must be: sealed people and others, cases and controls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from train.audit.auroc import Values, stratified_auroc
from train.audit.evidence import Evidence
from train.audit.rules import (
    BALANCED_AUROC,
    FALSE_ALARMS,
    MIN_GROUP,
    SMALL_DIFFERENCE,
    STATISTICAL_CHECKS,
    VARIANCE_RATIO,
    Finding,
    not_possible,
    z_limit,
)
from train.design import Design

PERMUTATIONS = 4999
AT_ONCE = 500
"""Permutations that are in memory together."""


def sealed_is_exchangeable(evidence: Evidence) -> Finding:
    """Means and spreads of burden, covariates and quality, sealed people against others; no label is used.

    Families are dealt anew to the sealed fold, and the largest difference of all columns is compared with
    what dealing gives (Westfall & Young 1993), so that the number of columns costs no false alarms.
    """
    wanted = "people of the sealed fold look like the others, but for what dealing families gives"
    sealed = evidence.sealed
    if sealed is None or len(sealed) < MIN_GROUP:
        return not_possible("next to nobody in the sealed fold", wanted)
    frame, family_M = _both(evidence, sealed)
    inside_M = np.arange(len(frame)) >= len(evidence.open)
    columns = [str(name) for name in frame if frame[name].std() > 1e-9]
    if not columns:
        return not_possible("no burden, covariate or metric that varies", wanted)
    x_MK = frame[columns].to_numpy(np.float64)
    x_MK = np.where(np.isfinite(x_MK), x_MK, np.nanmean(x_MK, axis=0))
    x_MK = (x_MK - x_MK.mean(axis=0)) / x_MK.std(axis=0)
    differences_K2, p_K2 = _compare_groups(x_MK, inside_M, family_M, evidence.config.seed)
    material_K2 = np.stack(
        [
            np.abs(differences_K2[:, 0]) > SMALL_DIFFERENCE,
            np.abs(differences_K2[:, 1]) > np.log(VARIANCE_RATIO),
        ],
        axis=1,
    )
    failed_K2 = material_K2 & (p_K2 < FALSE_ALARMS / STATISTICAL_CHECKS)
    at, kind = np.unravel_index(np.argmin(p_K2), p_K2.shape)
    difference, ratio = differences_K2[at, 0], np.exp(differences_K2[at, 1])
    worst = f"{columns[at]}: mean {difference:+.2f} deviations, variance × {ratio:.2f}"
    found = f"{len(columns)} columns; most unlike is {worst} (p {p_K2[at, kind]:.4f} for the largest of all)"
    numbers = {
        name: {"difference": float(d), "variance_ratio": float(np.exp(v)), "p": float(min(p))}
        for name, (d, v), p in zip(columns, differences_K2, p_K2, strict=True)
    }
    if failed_K2.any():
        names = ", ".join(name for name, failed in zip(columns, failed_K2.any(axis=1), strict=True) if failed)
        means = f"the sealed fold is another kind of people ({names}): its AUROC is not that of the cohort"
        advice = "deal the folds by the ETL; look for what is fitted on others, or annotated for some only"
        return Finding("failed", found, wanted, means, advice, numbers)
    return Finding("passed", found, wanted, "the sealed fold is a fair sample", numbers=numbers)


def call_rates_by_status(evidence: Evidence) -> Finding:
    """Call rate, depth, quality and contamination of cases and controls of the same batch."""
    wanted = "cases and controls of the same batch were called alike"
    design = evidence.open
    metrics = evidence.technical(design)
    if metrics is None:
        return not_possible("no people_qc.parquet", wanted, "run the ETL again: it leaves this table now")
    batch_M = design.groups["batch"].to_numpy()
    found = {}
    for name in metrics:
        value_M = metrics[name].to_numpy(np.float64)
        known = np.isfinite(value_M)
        found[str(name)] = stratified_auroc(
            design.is_case_M[known], value_M[known], batch_M[known], design.family_M[known]
        )
    limit = z_limit(len(found), sides=2)
    failed = [
        name
        for name, measure in found.items()
        if abs(measure.deviate()) > limit and abs(measure.estimate - 0.5) > BALANCED_AUROC
    ]
    worst = max(found, key=lambda name: abs(found[name].deviate()))
    sentence = f"{worst} tells cases from controls of the same batch at AUROC {found[worst]}"
    numbers = {name: measure.numbers() for name, measure in found.items()}
    if failed:
        names = ", ".join(failed)
        means = f"cases and controls were called differently ({names}): missing calls look like few variants"
        advice = (
            "call all people jointly, or drop variants whose call rate differs by status (ETL: variant_qc)"
        )
        return Finding("failed", sentence, wanted, means, advice, numbers)
    return Finding("passed", sentence, wanted, "calling does not go with status", numbers=numbers)


def _both(evidence: Evidence, sealed: Design) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Columns that are compared, the open people first, and families."""
    parts = []
    for design in (evidence.open, sealed):
        totals = pd.DataFrame(
            design.channel_totals_MC(), columns=[f"total of {name}" for name in design.channels]
        )
        covariates = pd.DataFrame(
            design.covariates_MP, columns=[f"covariate {name}" for name in design.covariates]
        )
        metrics = evidence.technical(design)
        quality = pd.DataFrame() if metrics is None else metrics.reset_index(drop=True)
        parts.append(pd.concat([totals, covariates, quality], axis=1))
    return pd.concat(parts, ignore_index=True), np.concatenate([evidence.open.family_M, sealed.family_M])


def _compare_groups(
    x_MK: Values, inside_M: NDArray[np.bool_], family_M: NDArray[Any], seed: int
) -> tuple[Values, Values]:
    """Difference of means and log ratio of variances by column, and p-values of the largest of all."""
    _, place_M = np.unique(family_M, return_inverse=True)
    n_families = int(place_M.max()) + 1
    sums_FK = np.stack([np.bincount(place_M, column, n_families) for column in x_MK.T], axis=1)
    squares_FK = np.stack([np.bincount(place_M, column**2, n_families) for column in x_MK.T], axis=1)
    sums = np.concatenate([np.bincount(place_M, minlength=n_families)[:, None], sums_FK, squares_FK], axis=1)
    sealed_F = np.zeros(n_families)
    sealed_F[place_M[inside_M]] = 1
    found_K2 = _differences(sealed_F[None], sums)[0]
    rng = np.random.default_rng([seed, 13])
    drawn = []
    for start in range(0, PERMUTATIONS, AT_ONCE):
        count = min(AT_ONCE, PERMUTATIONS - start)
        dealt = rng.permuted(np.tile(sealed_F, (count, 1)), axis=1)
        drawn.append(_differences(dealt, sums))
    drawn_DK2 = np.concatenate(drawn)
    middle_K2, spread_K2 = drawn_DK2.mean(axis=0), drawn_DK2.std(axis=0) + 1e-12
    largest_D = np.abs((drawn_DK2 - middle_K2) / spread_K2).max(axis=(1, 2))
    size_K2 = np.abs((found_K2 - middle_K2) / spread_K2)
    p_K2 = (1 + (largest_D[:, None, None] >= size_K2).sum(axis=0)) / (1 + len(largest_D))
    return found_K2, p_K2


def _differences(sealed_DF: Values, sums: Values) -> Values:
    """Draws × columns × (difference of means, log ratio of variances), sealed against the others."""
    n_columns = (sums.shape[1] - 1) // 2
    moments = []
    for part in (sealed_DF, 1 - sealed_DF):
        total = part @ sums
        n, mean = total[:, :1], total[:, 1 : 1 + n_columns] / total[:, :1]
        variance = total[:, 1 + n_columns :] / n - mean**2
        moments.append((mean, np.log(np.maximum(variance, 1e-9))))
    return np.stack([moments[0][0] - moments[1][0], moments[0][1] - moments[1][1]], axis=2)
