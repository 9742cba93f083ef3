"""What a training run needs beside the features, read and checked before the first step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from contract.dataset import read_genes, read_stats
from contract.errors import InputError, fault
from contract.manifest import Manifest, read_manifest
from train.config import GeneCNNConfig, TrainConfig
from train.order import RowGroup, Schedule, list_row_groups, plan_schedule
from train.people import People, permute_labels, read_people, require_both_classes
from train.scaling import Scaler, fit_scaler


@dataclass(frozen=True)
class Prepared:
    """Checked inputs of a run, the same on every rank. The test fold's files are not among them."""

    config: TrainConfig
    manifest: Manifest
    genes: pd.DataFrame
    training_folds: tuple[int, ...]
    validation_folds: tuple[int, ...]
    people: People
    scaler: Scaler
    schedule: Schedule
    group_of_fold: dict[int, int]

    @property
    def validation_groups(self) -> tuple[RowGroup, ...]:
        """Row groups of the validation folds."""
        return list_row_groups(self.manifest, self.validation_folds)


def prepare(config: TrainConfig, world_size: int) -> Prepared:
    """Read and check everything that the run needs beside the features.

    Raises
    ------
    InputError
        If the dataset, the folds, the labels or the number of ranks do not serve.
    """
    root = config.data.dataset
    if config.run.compile:
        require_compiler()
    manifest = read_manifest(root)
    genes = read_genes(root, manifest)
    training, validation = choose_folds(manifest, config.data.validation_folds, config.data.held_out_folds)
    groups = list_row_groups(manifest, training)
    schedule = plan_schedule(groups, world_size, config.data, config.seed)
    check_batch(config, manifest.n_genes, schedule.batch_size)
    people = read_people(root, manifest, (*training, *validation), covariates=config.data.covariates)
    if config.data.permute_labels:
        people = permute_labels(people, config.seed)
    require_both_classes(people, training, "the training folds")
    require_both_classes(people, validation, "the validation folds")
    scaler = fit_scaler(read_stats(root), manifest, people, training, config.data.scaling)
    group_of_fold = group_folds(training, validation, _n_groups(config))
    if isinstance(config.model, GeneCNNConfig):
        check_groups(people, training, group_of_fold)
    return Prepared(config, manifest, genes, training, validation, people, scaler, schedule, group_of_fold)


def require_compiler() -> None:
    """Refuse `run.compile` where torch will find no compiler, which it asks for in the first step.

    Raises
    ------
    InputError
        If there is none.
    """
    named = [os.environ[name] for name in ("CXX", "CC") if name in os.environ]
    if not any(shutil.which(name) for name in (*named, "g++", "gcc", "clang++", "clang")):
        wanted = "a C++ compiler on the search path (g++), or run.compile=false"
        raise InputError(fault("configuration", "run.compile", found="no compiler", wanted=wanted))


def check_batch(config: TrainConfig, n_genes: int, batch_size: int) -> None:
    """Refuse one person a step where batch normalisation would have nothing to take a variance of.

    The published network's dense layer is normalised over people alone. The project's convolutions are
    normalised over people and places on the gene axis, so that one person suffices, but where there is a
    single place.

    Parameters
    ----------
    config
        The run.
    n_genes
        Length of the dataset's gene axis.
    batch_size
        People of a step, over all ranks.

    Raises
    ------
    InputError
        If the network has batch normalisation and a step would have one person, who does not suffice.
    """
    model = config.model
    if isinstance(model, GeneCNNConfig):
        one_place = model.window == model.kernel_size == min(model.attended_genes, n_genes) == 1
        needs_two = model.convolution and one_place
    else:
        needs_two = True
    if model.batch_norm and needs_two and batch_size < 2:
        wanted = "at least 2 people to normalise by, or model.batch_norm=false"
        raise InputError(fault("configuration", "data.batch_size", found=batch_size, wanted=wanted))


def choose_folds(
    manifest: Manifest, wanted: Sequence[int] | None, held_out: Sequence[int] = ()
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Training and validation folds; the test fold and those held out are in neither.

    Raises
    ------
    InputError
        If a validation fold or one held out is unknown or the test fold, a validation fold is named twice, or
        none is left for training.
    """
    open_folds = [
        fold.index for fold in manifest.folds if fold.index != manifest.test_fold and fold.n_samples
    ]
    if not set(held_out) <= set(open_folds):
        found = f"{list(held_out)} (test fold {manifest.test_fold})"
        raise InputError(
            fault(
                "configuration", "data.held_out_folds", found=found, wanted=f"some of the folds {open_folds}"
            )
        )
    open_folds = [fold for fold in open_folds if fold not in held_out]
    validation = tuple(wanted) if wanted is not None else tuple(open_folds[:1])
    bad = [fold for fold in validation if fold not in open_folds or validation.count(fold) > 1]
    training = tuple(fold for fold in open_folds if fold not in validation)
    if bad or not validation or not training:
        found = f"{list(validation)} (test fold {manifest.test_fold})"
        wanted_text = f"some but not all of the folds {open_folds}, each once"
        raise InputError(fault("configuration", "data.validation_folds", found=found, wanted=wanted_text))
    return training, validation


def group_folds(training: Sequence[int], validation: Sequence[int], n_groups: int) -> dict[int, int]:
    """Group of each fold: training folds are dealt to groups 0 to K - 1, validation folds are group K."""
    used = min(n_groups, len(training))
    groups = {fold: i % used for i, fold in enumerate(sorted(training))}
    return groups | dict.fromkeys(validation, used)


def check_groups(people: People, training: Sequence[int], group_of_fold: Mapping[int, int]) -> None:
    """Gene effects are fitted without each group of training folds in turn: both classes must remain.

    Raises
    ------
    InputError
        If there is one training fold, or only cases or only controls remain without a group.
    """
    if len(training) < 2:
        wanted = "at least two training folds: gene effects are fitted without each in turn"
        raise InputError(
            fault(
                "configuration",
                "data.validation_folds",
                found=f"training fold {training[0]} alone",
                wanted=wanted,
            )
        )
    for group in sorted({group_of_fold[fold] for fold in training}):
        others = [fold for fold in training if group_of_fold[fold] != group]
        require_both_classes(people, others, "the training folds that remain without a group")


def _n_groups(config: TrainConfig) -> int:
    return config.model.effects.groups if isinstance(config.model, GeneCNNConfig) else 1
