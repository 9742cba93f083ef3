"""How often a stated 95 % interval contains the truth, on simulated test folds of people in families.

python -m deploy.evidence.coverage [OUT.csv]: 1,000 test folds for each cell, in about 20 minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from train.intervals import (
    FamilyDraws,
    Measured,
    auroc_difference,
    auroc_interval,
    family_draws,
    measure,
)
from train.metrics import (
    Labels,
    Metric,
    Values,
    accuracy,
    auroc,
    average_precision,
    balanced_accuracy,
    brier,
    calibration_intercept,
    calibration_slope,
    liability_r2,
    scaled_brier,
)

CASE_SHARE = 0.44  # of the published cohort: 55.7 % are controls
RELATED = 0.5  # correlation of liability, and of the noise of a score, between members of a family
RIVAL_STRENGTH, SHARED_NOISE = 0.8, 0.8  # the rival's correlation with liability and with the score's noise
POPULATION = 2_000_000  # people whose metric is the truth
SIMULATIONS = 1000
METRICS: dict[str, Metric] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "brier": brier,
    "scaled_brier": scaled_brier,
    "calibration_slope": calibration_slope,
    "calibration_intercept": calibration_intercept,
    "liability_r2": liability_r2,
}


@dataclass(frozen=True)
class Cell:
    """One kind of test fold."""

    people: int
    family: int
    auroc: float

    def __str__(self) -> str:
        return f"{self.people} people, families of {self.family}, AUROC {self.auroc}"


CELLS = tuple(Cell(*cell) for cell in product((113, 400), (1, 4), (0.6, 0.75, 0.92)))


@dataclass(frozen=True)
class Fold:
    """People of a simulated test fold: calibrated probabilities of a score, and a weaker rival's score."""

    is_case_M: Labels
    probability_M: Values
    rival_M: Values
    family_M: NDArray[np.int64]


def coverage(
    draws: int,
    cells: Sequence[Cell],
    seed: int,
    simulations: int = SIMULATIONS,
    metrics: Sequence[str] = ("auroc", "accuracy", "brier"),
) -> pd.DataFrame:
    """Share of simulated test folds whose interval contains the truth.

    Parameters
    ----------
    draws
        Bootstrap draws behind an interval.
    cells
        Kinds of test folds.
    seed
        Of everything.
    simulations
        Test folds for each cell.
    metrics
        Names of `METRICS` whose bootstrap is looked at; none: DeLong's intervals alone, in seconds.

    Returns
    -------
    One row for each cell, metric and method: people, family, auroc, metric, method, share (of intervals
    that contain the truth), above and below (shares that lie wholly above or below it), width (mean).
    """
    return pd.concat(
        [_cell_rows(draws, cell, (seed, simulations), metrics) for cell in cells], ignore_index=True
    )


def simulate(cell: Cell, strength: float, rng: np.random.Generator) -> Fold:
    """Draw a test fold: liability and the noise of scores correlate by `RELATED` within families.

    Parameters
    ----------
    cell
        Its people and families.
    strength
        Correlation of the score with liability.
    rng
        Random numbers.
    """
    family_M = np.arange(cell.people) // cell.family
    related = RELATED if cell.family > 1 else 0.0

    def draw() -> Values:
        own_M = np.sqrt(1 - related) * rng.standard_normal(cell.people)
        return np.sqrt(related) * rng.standard_normal(family_M[-1] + 1)[family_M] + own_M

    liability_M, noise_M = draw(), draw()
    threshold = float(ndtri(1 - CASE_SHARE))
    score_M = strength * liability_M + np.sqrt(1 - strength**2) * noise_M
    weaker = RIVAL_STRENGTH * strength
    rival_noise_M = SHARED_NOISE * noise_M + np.sqrt(1 - SHARED_NOISE**2) * draw()
    return Fold(
        is_case_M=(liability_M > threshold).astype(np.int8),
        # Liability given the score is normal with mean strength × score.
        probability_M=ndtr((strength * score_M - threshold) / np.sqrt(1 - strength**2)),
        rival_M=weaker * liability_M + np.sqrt(1 - weaker**2) * rival_noise_M,
        family_M=family_M,
    )


@cache
def strength_for(wanted: float) -> float:
    """Correlation of score and liability that gives an AUROC."""

    def excess(strength: float) -> float:
        people = simulate(Cell(POPULATION // 4, 1, wanted), strength, np.random.default_rng(5))
        return auroc(people.is_case_M, people.probability_M) - wanted

    return float(brentq(excess, 0.01, 0.999, xtol=1e-4))


def truths(cell: Cell, strength: float, metrics: Sequence[str]) -> dict[str, float]:
    """Metrics in a population so large that pairs within a family no longer count, and auroc_difference."""
    people = simulate(Cell(POPULATION, 1, cell.auroc), strength, np.random.default_rng(6))
    wanted = {"auroc", *metrics}
    found = {name: METRICS[name](people.is_case_M, people.probability_M) for name in wanted}
    return found | {"auroc_difference": found["auroc"] - auroc(people.is_case_M, people.rival_M)}


def percentile(measured: Measured) -> tuple[float, float]:
    """The middle 95 % of the draws: the interval that was used before."""
    low, high = np.quantile(measured.value_D, [0.025, 0.975])
    return float(low), float(high)


def widened(measured: Measured) -> tuple[float, float]:
    """The same with the levels of Hesterberg 2015 for few families."""
    unbiased = Measured(float(np.median(measured.value_D)), measured.value_D, measured.families)
    low, high = np.quantile(measured.value_D, unbiased.levels(measured.value_D))
    return float(low), float(high)


def bias_corrected(measured: Measured) -> tuple[float, float]:
    """The same, corrected for the bias of the draws (Efron 1987, no acceleration)."""
    low, high = np.quantile(measured.value_D, measured.levels(measured.value_D))
    return float(low), float(high)


BOOTSTRAPS: dict[str, Callable[[Measured], tuple[float, float]]] = {
    "percentile": percentile,
    "widened percentile": widened,
    "widened, bias-corrected": bias_corrected,
}


def _cell_rows(draws: int, cell: Cell, repeats: tuple[int, int], metrics: Sequence[str]) -> pd.DataFrame:
    seed, simulations = repeats
    used = {name: METRICS[name] for name in metrics}
    strength = strength_for(cell.auroc)
    truth = truths(cell, strength, metrics)
    rows: list[dict[str, Any]] = []
    for number in range(simulations):
        rng = np.random.default_rng([seed, cell.people, cell.family, round(1000 * cell.auroc), number])
        fold = simulate(cell, strength, rng)
        if 0 < fold.is_case_M.sum() < cell.people:
            rows += _delong(fold)
            if used:
                drawn = family_draws(fold.is_case_M, fold.family_M, draws, number)
                rows += _bootstrap(fold, used, drawn)
    frame = pd.DataFrame(rows)
    truth_R = frame["metric"].map(truth)
    frame = frame.assign(
        share=(frame["low"] <= truth_R) & (truth_R <= frame["high"]),
        above=frame["low"] > truth_R,
        below=frame["high"] < truth_R,
        width=frame["high"] - frame["low"],
    )
    table = frame.groupby(["metric", "method"], sort=False)[["share", "above", "below", "width"]].mean()
    return table.reset_index().assign(people=cell.people, family=cell.family, auroc=cell.auroc)


def _delong(fold: Fold) -> list[dict[str, Any]]:
    one = auroc_interval(fold.is_case_M, fold.probability_M, fold.family_M)
    two = auroc_difference(fold.is_case_M, fold.probability_M, fold.rival_M, fold.family_M)
    return [
        {"metric": "auroc", "method": one.method, "low": one.low, "high": one.high},
        {"metric": "auroc_difference", "method": two.method, "low": two.low, "high": two.high},
    ]


def _bootstrap(fold: Fold, metrics: dict[str, Metric], drawn: FamilyDraws) -> list[dict[str, Any]]:
    measured = measure(metrics, fold.is_case_M, fold.probability_M, drawn)
    if "auroc" in metrics:
        rival = measure({"auroc": auroc}, fold.is_case_M, fold.rival_M, drawn)
        measured["auroc_difference"] = measured["auroc"] - rival["auroc"]
    rows = []
    for metric, value in measured.items():
        for method, bounds in BOOTSTRAPS.items():
            low, high = bounds(value)
            rows.append({"metric": metric, "method": method, "low": low, "high": high})
    return rows


def main(out: str = "build/figures/coverage.csv") -> None:
    """Measure cell by cell, go on where an earlier call was stopped, print the table."""
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    few = [Cell(people, 4, 0.75) for people in (113, 400)]
    others = [name for name in METRICS if name not in ("accuracy", "brier")]
    parts = [(cell, 1, ["auroc", "accuracy", "brier"]) for cell in CELLS]
    parts += [(cell, 2, others) for cell in few]
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["seed", *vars(CELLS[0])])
    for cell, seed, metrics in parts:
        done = table[["seed", *vars(cell)]] == [seed, *vars(cell).values()]
        if done.all(axis=1).any():
            continue
        rows = coverage(1000, [cell], seed, metrics=metrics).assign(seed=seed)
        table = rows if table.empty else pd.concat([table, rows], ignore_index=True)
        partial = path.with_suffix(".partial")
        table.to_csv(partial, index=False, float_format="%.5f")
        partial.replace(path)
    print(table.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main(*sys.argv[1:])
