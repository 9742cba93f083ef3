"""One cohort of `make paper`: every protocol on it, and our network beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.config import digest
from contract.manifest import read_manifest
from deploy.evidence.cells import Cell, CellStore
from deploy.evidence.cohorts import Truth, open_cohort
from deploy.evidence.judging import Estimate, auroc, pooled
from deploy.evidence.models import Fitting
from deploy.evidence.people import JUDGES
from deploy.evidence.protocols import PROTOCOLS, Cohort, run_protocols, split_people
from deploy.evidence.published import Training
from deploy.evidence.settings import CohortSettings
from train.config import DataConfig
from train.design import Design, read_design

Values = NDArray[np.float64]
Labels = NDArray[np.int8]
OURS = "ours"


@dataclass(frozen=True)
class Tested:
    """Test people of one cohort: status, batch, true genetic liability, and probability by protocol."""

    is_case_M: Labels
    in_b_M: NDArray[np.bool_]
    liability_M: Values
    probability: Mapping[str, Values]

    def pair(self, name: str, before: str) -> tuple[Values, Values]:
        """Probabilities under two protocols."""
        return self.probability[name], self.probability[before]


def make_replicate(store: CellStore, settings: CohortSettings, training: Training, folder: Path) -> None:
    """Run all protocols on a cohort, unless that is done."""
    cohort = folder / "cohort"
    store.make(*_cell(settings, training), lambda: _protocols(open_cohort(settings, cohort), training))


def make_ours(store: CellStore, settings: CohortSettings, folder: Path, *overrides: str) -> None:
    """Fit our network outside the sealed fold and score that, unless it is done."""
    cohort = folder / "cohort"
    store.make(*_our_cell(settings), lambda: _ours(open_cohort(settings, cohort), folder, overrides))


def tested_people(
    store: CellStore, settings: CohortSettings, training: Training
) -> tuple[Tested | None, Tested | None]:
    """Test people of the protocols and of our network; none where they are not finished."""
    found: list[Tested | None] = []
    for names, cell in ((PROTOCOLS, _cell(settings, training)), ((OURS,), _our_cell(settings))):
        if store.get(*cell) is None:
            found.append(None)
            continue
        is_case_M, in_b_M, liability_M, *probabilities = store.scores(cell[0])
        scores = dict(zip(names, probabilities, strict=True))
        found.append(Tested(is_case_M.astype(np.int8), in_b_M == 1, liability_M, scores))
    return found[0], found[1]


def accuracy(is_case_M: Labels, probability_M: Values) -> Estimate:
    """Share of people on the right side of one half."""
    return _mean((probability_M >= 0.5) == (is_case_M == 1))


def accuracy_difference(is_case_M: Labels, probability_M: Values, other_M: Values) -> Estimate:
    """Accuracy less that of another score on the same people."""
    right_M, other_right_M = ((score >= 0.5) == (is_case_M == 1) for score in (probability_M, other_M))
    return _mean(right_M.astype(np.float64) - other_right_M)


def auroc_within(is_case_M: Labels, score_M: Values, in_b_M: NDArray[np.bool_]) -> Estimate:
    """AUROC of pairs from the same batch: the batches' own, weighted by their pairs of case and control."""
    parts = [(auroc(is_case_M[mask], score_M[mask]), is_case_M[mask]) for mask in (in_b_M, ~in_b_M)]
    pairs = np.array([labels.sum() * (labels == 0).sum() for _, labels in parts], dtype=np.float64)
    weight = pairs / pairs.sum()
    value = sum(share * part.value for share, (part, _) in zip(weight, parts, strict=True))
    error = sum((share * part.error) ** 2 for share, (part, _) in zip(weight, parts, strict=True)) ** 0.5
    return Estimate(float(value), float(error))


def over_cohorts(tested: Sequence[Tested], measure: Callable[[Tested], Estimate]) -> dict[str, float]:
    """A measure's mean over cohorts with its 95 % interval."""
    return pooled([measure(one) for one in tested]).bounds()


def _protocols(truth: Truth, training: Training) -> Cell:
    start = time.monotonic()
    people = _everybody(truth)
    cohort = Cohort(people.x_MF, people.is_case_M, people.family_M)
    seed = truth.settings.people_seed
    found = run_protocols(cohort, training, seed)
    test = split_people(cohort.family_M, seed)[1].test
    scores = _scores(truth, people.take(test), [found[name] for name in PROTOCOLS])
    return {"seconds": round(time.monotonic() - start, 1), "score_M": scores}


def _ours(truth: Truth, folder: Path, overrides: Sequence[str]) -> Cell:
    scored = Fitting(truth, folder, tuple(overrides)).fit("network", truth.settings.people_seed)
    judges = _everybody(truth, [JUDGES])
    return {"seconds": round(scored.seconds, 1), "score_M": _scores(truth, judges, [scored.score_M])}


def _everybody(truth: Truth, folds: Sequence[int] = range(JUDGES + 1)) -> Design:
    data = DataConfig(dataset=truth.dataset, reader="arrow")
    return read_design(data, read_manifest(truth.dataset), folds)


def _scores(truth: Truth, people: Design, probabilities: Sequence[Values]) -> Values:
    known = [people.is_case_M, people.groups["batch"] == "B", truth.liability_M[people.sample_M]]
    return np.array([*known, *probabilities], dtype=np.float64)


def _mean(value_M: Values | NDArray[np.bool_]) -> Estimate:
    return Estimate(float(np.mean(value_M)), float(np.std(value_M, ddof=1) / np.sqrt(len(value_M))))


def _cell(settings: CohortSettings, training: Training) -> tuple[str, str]:
    name = f"{training.network}-{settings.people_seed}"
    return name, digest([settings.digest, digest(training)])


def _our_cell(settings: CohortSettings) -> tuple[str, str]:
    return f"{OURS}-{settings.people_seed}", settings.digest
