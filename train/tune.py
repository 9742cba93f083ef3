"""Settings chosen on inner folds: each trial is fitted once for each of them, the others training it.

Neither the sealed fold nor folds held out are opened. Trials are kept in a storage of optuna's: the same
command goes on where it stopped, and the same seed proposes the same trials, interrupted or not. One process
at a time works on a study.
"""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from contract.config import digest, dump_config
from contract.errors import InputError, fault
from contract.manifest import Manifest, read_manifest
from contract.provenance import software_versions
from train.bundle import load_bundle
from train.config import TrainConfig
from train.distributed import Comm
from train.errors import TrainingError
from train.fit import fit
from train.mirror import local_folder
from train.prepare import choose_folds
from train.run_folder import BUNDLE_NAME, PACKAGES, training_digest
from train.search_space import SearchSpace

TUNE_NAME = "tune"
STUDY_NAME = "study.db"
RESULT_NAME = "tune.json"
BEST_NAME = "best.yaml"
BEST_RUN = "best"
OBJECTIVE = "mean validation log loss over the inner folds"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
UNPRUNED_TRIALS = 4
"""Trials that are fitted on every fold before others are compared with their median (optuna's pruner)."""


def tune(
    space: SearchSpace,
    *,
    trials: int,
    storage: str | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Try settings until so many trials are finished; returns what tune.json holds.

    Parameters
    ----------
    space
        Where to look, with the configuration that trials change. Results go to `run.out`/tune: tune.json, and
        best.yaml, a full configuration for `fit`, whose run goes to `run.out`/best.
    trials
        Finished trials in all, those of earlier calls included.
    storage
        A file: optuna's journal where its name ends in .log, else SQLite; or a URL of a data base; null:
        SQLite in the folder of results.
    console
        Where progress is shown; null: nowhere.

    Raises
    ------
    InputError
        If the folds do not serve, the storage holds a study of another space, configuration or dataset, or
        no trial could be fitted.
    Stopped
        If the process was asked to end; what is finished is kept.
    """
    config = space.base
    manifest = read_manifest(config.data.dataset)
    inner = inner_folds(manifest, config, space.folds)
    out = local_folder(config.run.out) / TUNE_NAME
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=open_study_storage(storage or str(out / STUDY_NAME)),
        study_name="exoshard",
        direction="minimize",
        pruner=MedianPruner(n_startup_trials=UNPRUNED_TRIALS, n_warmup_steps=1),
        load_if_exists=True,
    )
    _check_identity(study, _identity(space, inner, manifest), storage or str(out / STUDY_NAME))
    _prepare_queue(study, space)
    while (done := len(study.get_trials(states=FINISHED))) < trials:
        # Seeded anew for each trial: a study that was interrupted proposes what it would have proposed.
        study.sampler = TPESampler(seed=_seed(config.seed, done))
        run_trial(study, study.ask(space.distributions), space, inner, console)
    result = _result(study, space, inner, manifest)
    _write(out, result, space)
    return result


def inner_folds(manifest: Manifest, config: TrainConfig, wanted: Sequence[int] | None) -> tuple[int, ...]:
    """Folds that trials are judged by, each in turn; the sealed fold and those held out are never among them.

    Raises
    ------
    InputError
        If one of those wanted is not open.
    """
    training, validation = choose_folds(manifest, None, config.data.held_out_folds)
    known = tuple(sorted((*training, *validation)))
    chosen = known if wanted is None else tuple(dict.fromkeys(wanted))
    if not set(chosen) <= set(known):
        held_out = list(config.data.held_out_folds)
        found = f"{list(chosen)} (test fold {manifest.test_fold}, held out {held_out})"
        raise InputError(
            fault("search space", "folds", found=found, wanted=f"some of the folds {list(known)}")
        )
    return chosen


def open_study_storage(name: str) -> BaseStorage:
    """A storage of optuna's: a URL, a journal file (.log), or an SQLite file.

    Raises
    ------
    InputError
        If it cannot be opened.
    """
    try:
        if "://" in name:
            return RDBStorage(name)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".log"):
            return JournalStorage(JournalFileBackend(name))
        return RDBStorage(f"sqlite:///{name}")
    except Exception as error:  # noqa: BLE001 - every data base has errors of its own
        found = f"no usable storage ({type(error).__name__})"
        wanted = "a file of this command's, a free name, or a data base's URL"
        raise InputError(fault(name, "storage", found=found, wanted=wanted)) from None


def run_trial(
    study: optuna.Study, trial: Trial, space: SearchSpace, inner: Sequence[int], console: Console | None
) -> None:
    """Fit a trial fold by fold until it is judged or pruned.

    A trial that cannot be fitted counts as pruned. Where none was fitted before, what the user can mend is
    raised: it is then more likely the configuration's fault than that of the values tried.
    """
    settings = space.settings(trial.params)
    losses: list[float] = []
    state, failed = TrialState.COMPLETE, None
    for step, fold in enumerate(inner):
        try:
            losses.append(fold_loss(space, settings, fold))
        except (TrainingError, InputError) as error:
            if isinstance(error, InputError) and not study.get_trials(states=(TrialState.COMPLETE,)):
                raise
            state, failed = TrialState.PRUNED, str(error)
            break
        trial.report(float(np.mean(losses)), step)
        if step + 1 < len(inner) and trial.should_prune():
            state = TrialState.PRUNED
            break
    trial.set_user_attr("losses", losses)
    trial.set_user_attr("failed", failed)
    study.tell(trial, float(np.mean(losses)) if state == TrialState.COMPLETE else None, state=state)
    shutil.rmtree(_trial_folder(space, settings), ignore_errors=True)
    if console is not None:
        console.print(_trial_line(study.trials[trial.number], settings, len(inner)))


def fold_loss(space: SearchSpace, settings: dict[str, Any], fold: int) -> float:
    """Validation log loss of a fit that stops by this fold; a fit that was interrupted goes on."""
    config = space.config(settings, "search space")
    data = config.data.model_copy(update={"validation_folds": (fold,)})
    out = _trial_folder(space, settings) / f"fold-{fold}"
    run = config.run.model_copy(update={"out": str(out), "overwrite": True})
    fit(config.model_copy(update={"data": data, "run": run}), Comm(), Console(quiet=True))
    return load_bundle(out / BUNDLE_NAME).facts.validation_loss


def _prepare_queue(study: optuna.Study, space: SearchSpace) -> None:
    """Settings as they stand come first; a trial that was interrupted is proposed again."""
    if not study.trials and (start := space.start()) is not None:
        study.enqueue_trial(start)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _identity(space: SearchSpace, inner: Sequence[int], manifest: Manifest) -> dict[str, str]:
    base = space.base.model_copy(
        update={"data": space.base.data.model_copy(update={"validation_folds": None})}
    )
    return {
        "search space": digest({key: each.model_dump(mode="json") for key, each in space.dimensions.items()}),
        "configuration": training_digest(base),
        "dataset": digest(manifest),
        "folds": digest(list(inner)),
    }


def _check_identity(study: optuna.Study, identity: dict[str, str], where: str) -> None:
    before = study.user_attrs
    changed = [name for name, value in identity.items() if before.get(name, value) != value]
    if changed:
        found = f"a study with another {' and '.join(changed)}"
        raise InputError(fault(where, "study", found=found, wanted="the same, or another --storage"))
    for name, value in identity.items():
        study.set_user_attr(name, value)


def _trial_folder(space: SearchSpace, settings: dict[str, Any]) -> Path:
    return local_folder(space.base.run.out) / TUNE_NAME / f"trial-{digest(settings)}"


def _seed(seed: int, trial: int) -> int:
    return int(np.random.SeedSequence([seed, trial, 13]).generate_state(1)[0])


def _result(
    study: optuna.Study, space: SearchSpace, inner: Sequence[int], manifest: Manifest
) -> dict[str, Any]:
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if not complete:
        wanted = "at least one trial that can be fitted: a narrower search space"
        raise InputError(fault("search space", "trials", found="none that was fitted", wanted=wanted))
    return {
        "objective": OBJECTIVE,
        "folds": list(inner),
        "best": _trial_facts(study.best_trial, space),
        "as_configured": next((_trial_facts(t, space) for t in complete if t.params == space.start()), None),
        "trials": [_trial_facts(trial, space) for trial in study.get_trials(states=FINISHED)],
        "space": {key: each.model_dump(exclude_defaults=True) for key, each in space.dimensions.items()},
        "seed": space.base.seed,
        "manifest_digest": digest(manifest),
        "versions": software_versions((*PACKAGES, "optuna")),
    }


def _trial_facts(trial: FrozenTrial, space: SearchSpace) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "loss": trial.value if trial.state == TrialState.COMPLETE else None,
        "losses": trial.user_attrs.get("losses", []),
        "settings": space.settings(trial.params),
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "failed": trial.user_attrs.get("failed"),
    }


def _trial_line(trial: FrozenTrial, settings: dict[str, Any], n_folds: int) -> str:
    losses = trial.user_attrs.get("losses", [])
    shown = " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in settings.items()
    )
    loss = f"loss {np.mean(losses):.4f} " if losses else ""
    return (
        f"trial {trial.number}  {trial.state.name.lower()}  {loss}({len(losses)} of {n_folds} folds)  {shown}"
    )


def _write(out: Path, result: dict[str, Any], space: SearchSpace) -> None:
    best = space.config(result["best"]["settings"], "search space")
    run = best.run.model_copy(update={"out": posixpath.join(space.base.run.out, BEST_RUN)})
    texts = {
        BEST_NAME: dump_config(best.model_copy(update={"run": run})),
        RESULT_NAME: json.dumps(result, indent=1),
    }
    for name, text in texts.items():
        partial = out / f"{name}.partial"
        partial.write_text(text)
        partial.replace(out / name)
