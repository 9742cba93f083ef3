"""The ladder: the network and its rivals on the same people, each scored by fits that did not see them.

Cross-validation over all folds but the sealed one, which is never opened. What is tuned is tuned inside the
training folds of each fit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from contract.config import digest
from contract.errors import InputError, fault
from contract.manifest import Manifest, read_manifest
from train.config import TrainConfig
from train.design import Design, read_design
from train.distributed import Comm
from train.intact import IntactFiles
from train.ladder_store import (
    DESIGN_CODE,
    FOLDER,
    NETWORK_CODE,
    Cell,
    Place,
    code_digest,
    load_cell,
    store_cell,
)
from train.ladder_table import Row, write_table
from train.mirror import local_folder
from train.prepare import choose_folds
from train.rivals.inner import require_classes
from train.rivals.networks import NETWORKS, Task, fold_fit, missing
from train.rivals.registry import RIVALS
from train.run_folder import training_digest

MODELS = (*RIVALS, *NETWORKS)
LEAST_FOLDS = 3


@dataclass(frozen=True)
class Ladder:
    """What all fits share: the people outside the sealed fold, and where scores are stored."""

    config: TrainConfig
    manifest: Manifest
    design: Design
    folds: tuple[int, ...]
    folder: Path


def run_ladder(
    config: TrainConfig, models: Sequence[str], seeds: Sequence[int], console: Console
) -> dict[str, object]:
    """Fit what is not stored yet, and write `ladder.json` in the run's folder; returns its content.

    Parameters
    ----------
    config
        The network's run; `run.out` is where the ladder is written, beside the run.
    models
        Some of `MODELS`; none: all.
    seeds
        Of fits and bootstrap; models without chance are fitted with the first alone.
    console
        Where progress is shown.

    Raises
    ------
    InputError
        If a model is unknown, a fold holds one class, or a covariate is constant.
    """
    chosen = _chosen(models, seeds)
    ladder = open_ladder(config)
    with Progress(console=console, transient=True) as progress:
        rows = [_fit_row(ladder, name, seeds, progress) for name in chosen]
    return write_table(ladder, rows, seeds)


def open_ladder(config: TrainConfig) -> Ladder:
    """Read and check the people outside the sealed fold.

    Raises
    ------
    InputError
        If there are fewer than three folds, a fold holds one class, a covariate is constant, or a file
        differs from its checksum.
    """
    manifest = read_manifest(config.data.dataset)
    training, validation = choose_folds(manifest, None, config.data.held_out_folds)
    folds = tuple(sorted((*training, *validation)))
    if len(folds) < LEAST_FOLDS:
        raise InputError(
            fault(
                config.data.dataset,
                "folds",
                found=f"{len(folds)} outside the sealed one",
                wanted=f"at least {LEAST_FOLDS}",
            )
        )
    IntactFiles(config.data.dataset, manifest, folds, Comm()).verify()
    design = read_design(config.data, manifest, folds, seed=config.seed)
    for fold in folds:
        require_classes(design.is_case_M[design.fold_M == fold], f"fold {fold}")
    constant = [
        name
        for name, spread in zip(design.covariates, np.ptp(design.covariates_MP, axis=0), strict=True)
        if spread == 0
    ]
    if constant:
        wanted = "covariates that vary, or data.covariates=false"
        raise InputError(
            fault(config.data.dataset, "covariates", found=f"{', '.join(constant)} constant", wanted=wanted)
        )
    return Ladder(config, manifest, design, folds, local_folder(config.run.out))


def missing_reason(ladder: Ladder, name: str) -> str | None:
    """Why a model is left out here; None where it is not."""
    if name in RIVALS:
        return RIVALS[name].missing(ladder.design)
    return missing(ladder.config, name, ladder.design)


def fit_cell(ladder: Ladder, place: Place) -> Cell:
    """Fit a model without a fold, and score the fold's people."""
    held_M = ladder.design.fold_M == place.fold
    judged = ladder.design.take(held_M)
    began, tuned = time.monotonic(), None
    if place.model in RIVALS:
        fitted = RIVALS[place.model].fit(ladder.design.take(~held_M), place.seed)
        logit_N, tuned = fitted.logit(judged), fitted.tuned
    else:
        task = Task(place.model, place.fold, place.seed, place.workspace)
        network = fold_fit(ladder.config, ladder.manifest, task)
        logit_N = network.score(ladder.manifest, judged)
    return Cell(judged.sample_M, logit_N, time.monotonic() - began, tuned)


def locate(ladder: Ladder, name: str, seed: int, fold: int) -> Place:
    """Where scores are stored, with the digest of configuration, dataset and code that they depend on."""
    config, folder = ladder.config, ladder.folder / FOLDER
    facts: dict[str, object] = {"manifest": digest(ladder.manifest), "folds": list(ladder.folds)}
    if name in RIVALS:
        data = config.data.model_dump(mode="json", include={"covariates", "permute_labels"})
        permuted_by = config.seed if config.data.permute_labels else None
        facts |= {"data": data, "permuted_by": permuted_by, "code": code_digest(DESIGN_CODE)}
    else:
        network = fold_fit(config, ladder.manifest, Task(name, fold, seed, folder))
        facts |= {"config": training_digest(network.config), "code": code_digest(NETWORK_CODE)}
    return Place(folder, name, seed, fold, digest(facts))


def _fit_row(ladder: Ladder, name: str, seeds: Sequence[int], progress: Progress) -> Row:
    reason = missing_reason(ladder, name)
    if reason is not None:
        progress.console.print(f"{name}: left out, {reason}")
        return Row(name, note=reason)
    used = tuple(seeds) if _seeded(name) else (seeds[0],)
    n_fits, n_stored = len(used) * len(ladder.folds), 0
    cells: dict[int, list[Cell]] = {seed: [] for seed in used}
    task = progress.add_task(name, total=n_fits)
    for seed, cell, was_stored in _cells(ladder, name, used):
        cells[seed].append(cell)
        n_stored += was_stored
        progress.advance(task)
    progress.remove_task(task)
    row = Row(name, cells=cells, tuned=_tuned(cells))
    progress.console.print(f"{name}: {n_fits} fits, {n_stored} stored before; {row.seconds:.1f} s in all")
    return row


def _cells(ladder: Ladder, name: str, seeds: Sequence[int]) -> Iterator[tuple[int, Cell, bool]]:
    """Seed, scores, and whether they were stored before."""
    for seed in seeds:
        for fold in ladder.folds:
            place = locate(ladder, name, seed, fold)
            stored = load_cell(place)
            cell = stored or fit_cell(ladder, place)
            if stored is None:
                store_cell(place, cell)
            yield seed, cell, stored is not None


def _chosen(models: Sequence[str], seeds: Sequence[int]) -> list[str]:
    faults = []
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        wanted = f"some of {', '.join(MODELS)}"
        faults.append(fault("command line", "--models", found=", ".join(unknown), wanted=wanted))
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        faults.append(
            fault("command line", "--seeds", found=list(seeds), wanted="different whole numbers from 0")
        )
    if faults:
        raise InputError(faults)
    return [name for name in MODELS if name in models or not models]


def _seeded(name: str) -> bool:
    return name in NETWORKS or RIVALS[name].seeded


def _tuned(cells: dict[int, list[Cell]]) -> str | None:
    """What most fits chose, and in how many of them."""
    counts = Counter(cell.tuned for parts in cells.values() for cell in parts if cell.tuned)
    if not counts:
        return None
    text, times = counts.most_common(1)[0]
    total = sum(counts.values())
    if times == total:
        return text
    return (
        f"{text}, in {times} of {total} fits" if times > 1 else f"{text} in one of {total} fits, all differ"
    )
