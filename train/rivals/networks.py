"""Networks as rivals: the configuration's own, the published one, and ours with a part taken away."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from contract.config import build_config
from contract.manifest import Manifest
from contract.schema import gene_properties
from train.bundle import load_bundle
from train.config import TrainConfig
from train.data import open_reader
from train.design import Design
from train.distributed import Comm
from train.evaluate import score_folds
from train.fit import fit
from train.order import list_row_groups
from train.people import read_people
from train.prepare import choose_folds
from train.rivals.protocol import Values
from train.run_folder import BUNDLE_NAME

Overrides = dict[str, Any]

PAPER: Overrides = {
    "data.batch_size": 32,
    "data.scaling": "standard",
    "data.covariates": False,
    "model": {"kind": "paper"},
    "optimizer.method": "adam",
    "optimizer.learning_rate": 1e-4,
    "optimizer.weight_decay": 0.0,
    "optimizer.l1": 0.01,
    "optimizer.l2": 0.01,
    "optimizer.clip_norm": None,
    "optimizer.warmup_steps": 0,
    "optimizer.plateau_patience": 1000,
    "optimizer.decay_factor": 0.9,
    "optimizer.decay_steps": 10_000,
    "stopping.max_epochs": 50,
    "stopping.min_steps": 0,
    "stopping.patience": 5,
    "stopping.min_delta": 0.0,
}
"""conf/train/paper.yaml, as what it changes."""

NETWORKS: dict[str, Overrides] = {
    "paper": PAPER,
    "network_shuffled_genes": {"model.shuffle_genes": True},
    "network_shuffled_properties": {"model.effects.shuffle_properties": True},
    "network_no_convolution": {"model.convolution": False},
    "network": {},
}
"""What each sets beside the configuration given; in the order of the ladder's table."""
SHUFFLED_PROPERTIES = "network_shuffled_properties"


@dataclass(frozen=True)
class FoldFit:
    """A network to fit without one fold, and where its files live until it has scored that fold."""

    config: TrainConfig
    fold: int

    def score(self, manifest: Manifest, design: Design) -> Values:
        """Fit, or go on with a fit that was interrupted, and return the logits of the fold's people.

        Parameters
        ----------
        manifest
            The dataset's.
        design
            The fold's people; logits come in their order.
        """
        fit(self.config, Comm(), Console(quiet=True))
        run = Path(self.config.run.out)
        bundle = load_bundle(run / BUNDLE_NAME)
        data = self.config.data
        people = read_people(data.dataset, manifest, [self.fold], covariates=data.covariates)
        reader = open_reader(data.dataset, manifest, data)
        scores = score_folds(bundle, manifest, reader, people, [self.fold]).set_index("sample_index")["score"]
        shutil.rmtree(run)
        return probability_to_logit(scores.loc[design.sample_M].to_numpy())


@dataclass(frozen=True)
class Task:
    """A network by its name, the fold that it does not see, its seed, and the folder of its files."""

    model: str
    fold: int
    seed: int
    folder: Path


def fold_fit(config: TrainConfig, manifest: Manifest, task: Task) -> FoldFit:
    """The fit of a network that does not see a fold.

    Parameters
    ----------
    config
        The network's run.
    manifest
        The dataset's.
    task
        What to fit.

    Raises
    ------
    InputError
        If the configuration and the overrides do not go together.
    """
    settings = with_overrides(config.model_dump(mode="json"), NETWORKS[task.model])
    data = settings["data"]
    data["held_out_folds"] = [*data["held_out_folds"], task.fold]
    # A validation fold that is held out can't stop the fit: the lowest fold that is left does.
    if task.fold in (data["validation_folds"] or ()):
        data["validation_folds"] = None
    training, _ = choose_folds(manifest, data["validation_folds"], data["held_out_folds"])
    most = min(data["streams"], len(list_row_groups(manifest, training)))
    data["streams"] = usable_streams(most, data["batch_size"])
    settings["seed"] = task.seed
    settings["run"] |= {"out": str(task.folder), "overwrite": True}
    return FoldFit(build_config(TrainConfig, settings, f"model {task.model}"), task.fold)


def usable_streams(most: int, batch_size: int) -> int:
    """The largest number of streams, at most as many, that deal a batch out equally.

    Without a fold there may be fewer row groups than streams, whose number would not divide the batch.
    """
    return next((n for n in range(most, 0, -1) if batch_size % n == 0), 1)


def missing(config: TrainConfig, name: str, design: Design) -> str | None:
    """Why a variant of the network makes no sense here; None where it does."""
    settings = config.model_dump(mode="json")
    for key in NETWORKS[name]:
        level: Any = settings
        for part in key.split("."):
            if not isinstance(level, dict) or part not in level:
                return f"the network of kind {config.model.kind} has no setting {key}"
            level = level[part]
    if name == SHUFFLED_PROPERTIES and not gene_properties(design.genes.columns):
        return "genes have no properties to shuffle"
    return None


def with_overrides(settings: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    """A copy of settings with values replaced at dotted keys."""
    changed = dict(settings)
    for key, value in overrides.items():
        first, _, rest = key.partition(".")
        changed[first] = with_overrides(changed[first], {rest: value}) if rest else value
    return changed


def probability_to_logit(probability_M: Values) -> Values:
    """Log odds; probabilities of 0 and 1 become large, not infinite."""
    clipped_M = np.clip(probability_M.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(clipped_M / (1 - clipped_M)))
