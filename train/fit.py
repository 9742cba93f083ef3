"""One training run: what it needs is prepared and checked, then trained, then left as a bundle."""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from contract.config import digest
from contract.errors import InputError, fault
from contract.provenance import software_versions
from train.bundle import FACTS_NAME, Bundle, BundleFacts, genes_digest, save_bundle
from train.calibration import NO_CALIBRATION, fit_out_of_fold
from train.checkpoint import save_state
from train.config import GeneCNNConfig, TrainConfig
from train.convolutions import InputShape
from train.data import RowGroupReader, open_reader, prefetch, scoring_rows, training_rows
from train.direct import (
    OUT_OF_FOLD_NAME,
    described_genes,
    fit_effects_of_run,
    gene_sets_of_run,
    install,
    load_path,
    out_of_fold_table,
    save_path,
)
from train.distributed import Comm, on_leader
from train.effects.crossfit import DirectPath
from train.elastic import Commits, outlive
from train.engine import Scores, Trainer, score
from train.ensemble import build_model, members_of
from train.failures import failures_told
from train.intact import IntactFiles
from train.loop import Calls, run_epochs
from train.memory import keep_freed_memory
from train.mirror import local_folder
from train.model import GeneCNN
from train.order import RowGroup
from train.people import UNKNOWN
from train.prepare import Prepared, prepare
from train.pulse import PULSE
from train.reference import keep_reference, reference_facts
from train.row_cache import shared_folder
from train.run_folder import BUNDLE_NAME, HISTORY_NAME, PACKAGES, OpenRun, opened, write_json, writing
from train.scaling import Batch, Densifier, make_batch
from train.telemetry import telemetry
from train.unseen import add_network_scores
from train.watchdog import watched


def fit(config: TrainConfig, comm: Comm, console: Console) -> None:
    """Train, or go on with a run that was interrupted.

    Parameters
    ----------
    config
        The run.
    comm
        The ranks that share it.
    console
        Where the leader shows progress.

    Raises
    ------
    InputError
        On every rank, for whatever the user can mend.
    TrainingError, Stopped
        See `train.loop.run_epochs`.
    """
    outlive(comm, lambda commits: _fit_in_world(config, comm, console, commits))


def _fit_in_world(config: TrainConfig, comm: Comm, console: Console, commits: Commits) -> None:
    limit = config.run.stall_seconds if comm.is_elastic else None  # else ranks are watched from the start on
    with watched(limit, local_folder(config.run.out), commits.world):
        prepared = prepare(config, comm.size)
        # What the bundle will keep is looked for now: a fault must not be told after the training.
        on_leader(comm, lambda: reference_facts(config.data.dataset, prepared.manifest))
        failures = failures_told(elastic=comm.is_elastic)
        with opened(config.run.out, prepared, comm) as run, failures, shared_folder(comm) as shared:
            part = _Fit(run, prepared, _World(comm, commits, shared), console)
            if comm.is_leader:
                if commits.world:
                    # On standard error, where submit_train.sh forgets what ranks of before said in the end.
                    print(f"ranks came or went: {comm.size} now", file=sys.stderr, flush=True)
                _announce(console, prepared, comm, part.trainer)
            part.train()


@dataclass(frozen=True)
class _World:
    """What ranks have in common for as long as none comes or goes."""

    comm: Comm
    commits: Commits
    shared: Path | None
    """Folder of the host for decoded rows."""


class _Fit:
    """One rank's part of a fit, from the folder that it owns to the bundle."""

    def __init__(self, run: OpenRun, prepared: Prepared, world: _World, console: Console) -> None:
        config, committed = prepared.config, world.commits.state
        self.run, self.prepared, self.console = run, prepared, console
        self.comm, self.commits = world.comm, world.commits
        self.files = _intact_files(prepared, self.comm, console)
        self.reader = open_reader(config.data.dataset, prepared.manifest, config.data, world.shared)
        self.path = on_leader(self.comm, lambda: _direct_path(run, prepared, self.reader, console))
        self.trainer = build_trainer(prepared, self.comm, self.path)
        state = committed or run.state
        if state is not None:
            self.trainer.restore(state)

    def train(self) -> None:
        """Train to the end and leave the bundle."""
        trainer, comm, out = self.trainer, self.comm, self.run.folder
        progress = trainer.progress
        with telemetry(out, self.prepared, progress.total_steps, comm, self.console) as told:

            def tell(entry: dict[str, float]) -> None:
                told.epoch(progress.total_steps, entry)
                if comm.is_leader:
                    self.console.print(_epoch_line(entry))

            def observe(figures: dict[str, float]) -> None:
                told.step(progress.total_steps, figures)

            run_epochs(
                trainer, Calls(self._training, self._validate, self._save, tell, observe, self._commit)
            )
            PULSE.mark("the bundle")
            if self.path is not None and progress.best_epoch >= 0:
                # The convolutions stay: what effects alone say of people is no longer what the network says.
                trainer.model.load_state_dict(trainer.best_weights)
                scores, _ = self._validate()
                on_leader(comm, lambda: _leave_scores(out, scores))
            on_leader(comm, lambda: _leave_bundle(out, self.prepared, trainer, self.path))

    def _training(self, epoch: int, step: int) -> Iterator[Batch]:
        return training_batches(self.prepared, self.reader, epoch, self.comm, step)

    def _validate(self) -> tuple[Scores, NDArray[np.int8]]:
        self.files.check_unchanged()
        prepared, groups = self.prepared, self.prepared.validation_groups
        scores = score(self.trainer, scoring_batches(prepared, self.reader, groups, self.comm))
        return scores, prepared.people.is_case_M[prepared.people.rows(scores.sample_M)]

    def _save(self) -> None:
        on_leader(self.comm, self._write_state)
        self.commits.keep(self.trainer.state)

    def _commit(self) -> None:
        self.commits.keep(self.trainer.state)
        self.commits.go_on()

    def _write_state(self) -> None:
        out, trainer = self.run.folder, self.trainer
        self.run.lock.check()
        with writing(out, "checkpoint"):
            save_state(out, trainer.state(), self.prepared.config.run.keep_checkpoints)
            write_json(out / HISTORY_NAME, trainer.progress.history)
            self.run.publish()


def _intact_files(prepared: Prepared, comm: Comm, console: Console) -> IntactFiles:
    """The part files that the run reads, each of which was compared with its checksum."""
    folds = (*prepared.training_folds, *prepared.validation_folds)
    files = IntactFiles(prepared.config.data.dataset, prepared.manifest, folds, comm)
    if comm.is_leader:
        console.print(f"comparing {len(files.files)} part files with their checksums …")
    files.verify()
    return files


def _direct_path(
    run: OpenRun, prepared: Prepared, reader: RowGroupReader, console: Console
) -> DirectPath | None:
    if not isinstance(prepared.config.model, GeneCNNConfig):
        return None
    out, path = run.folder, load_path(run.folder)
    if path is None:
        PULSE.mark("the fit of gene effects")
        console.print("fitting the effects of genes …")
        started = time.perf_counter()
        given = gene_sets_of_run(prepared)
        if given is not None:
            console.print(given.line())
        path = fit_effects_of_run(prepared, reader, len(os.sched_getaffinity(0)), given)
        with writing(out, "gene effects"):
            partial = out / (OUT_OF_FOLD_NAME + ".partial")
            out_of_fold_table(prepared, path).to_parquet(partial, index=False)
            partial.replace(out / OUT_OF_FOLD_NAME)
            save_path(out, path)  # last: where it is, all is
            run.publish()
        console.print(_effects_line(path, time.perf_counter() - started))
    return path


def build_trainer(prepared: Prepared, comm: Comm, path: DirectPath | None) -> Trainer:
    """Model and optimizer with the same weights on every rank; `path` are the effects of a GeneCNN."""
    config, people = prepared.config, prepared.people
    device = choose_device(config, comm)
    shape = InputShape(
        len(prepared.manifest.channels), people.covariates_MP.shape[1], tuple(prepared.genes["contig"])
    )
    torch.manual_seed(config.seed)
    model = build_model(config.model, shape)
    labels = people.is_case_M[np.isin(people.fold_M, prepared.training_folds)]
    model.start_from(float(np.mean(labels[labels != UNKNOWN])))
    model.to(device)
    for member in members_of(model):
        if isinstance(member, GeneCNN) and path is not None:
            install(member, path, prepared)
    model.load_state_dict(comm.share(model.state_dict()))
    densify = Densifier(prepared.scaler, shape.n_channels, device)
    return Trainer(model, config, comm, densify, prepared.schedule.batch_size)


def choose_device(config: TrainConfig, comm: Comm) -> torch.device:
    """GPU of this rank, or the CPU with this rank's share of the cores.

    `auto` takes the CPU also where the ranks can't average gradients on GPUs, or are more than those.

    Raises
    ------
    InputError
        If a GPU is asked for and there is none, fewer than ranks, or none to average gradients on.
    """
    wanted = config.run.device
    unusable = "" if wanted == "cpu" else _why_no_gpu(comm)
    if wanted == "cuda" and unusable:
        raise InputError(
            fault(
                "configuration",
                "run.device",
                found=unusable,
                wanted="cpu, auto, or a GPU for each rank and a Horovod built for it "
                "(HOROVOD_GPU_OPERATIONS=NCCL)",
            )
        )
    if wanted != "cpu" and not unusable:
        device = torch.device("cuda", _place_of_gpu(comm))
        torch.cuda.set_device(device)
        return device
    keep_freed_memory()
    if "OMP_NUM_THREADS" not in os.environ:
        # One core is left to the threads that read: arithmetic that waits for a core is slower by far.
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // comm.local_size - 1))
    return torch.device("cpu")


def _why_no_gpu(comm: Comm) -> str:
    """What keeps the ranks off GPUs, the same on each of them; empty where each can have one of its own.

    All ranks must call it: some may see the GPUs of their host, others one that was set apart for them.
    """
    gpu_R = comm.gather(np.array([_number_of_gpu(comm)], np.int64))
    if lacking := int((gpu_R == 0).sum()):
        return "no usable GPU" + ("" if lacking == len(gpu_R) else f" for {lacking} of {len(gpu_R)} ranks")
    if not comm.averages_on_gpu:
        return "a Horovod built for CPUs"
    gpus = len(set(gpu_R.tolist()))  # NCCL refuses two ranks on one
    return "" if gpus == len(gpu_R) else f"{len(gpu_R)} ranks on {gpus} usable GPU(s)"


def _number_of_gpu(comm: Comm) -> int:
    """A number that only one GPU of all hosts has; 0 where there is none for this rank."""
    if not torch.cuda.is_available():
        return 0
    name = str(torch.cuda.get_device_properties(_place_of_gpu(comm)).uuid)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") + 1


def _place_of_gpu(comm: Comm) -> int:
    """Which of the GPUs that this rank sees is its own."""
    return comm.local_rank % torch.cuda.device_count()


def training_batches(
    prepared: Prepared, reader: RowGroupReader, epoch: int, comm: Comm, first_step: int = 0
) -> Iterator[Batch]:
    """Batches of an epoch for this rank from a step on, made ahead by a thread."""
    rows = training_rows(reader, prepared.schedule, epoch, rank=comm.rank, world_size=comm.size)
    batches = (
        make_batch(part, prepared.people, prepared.scaler, prepared.group_of_fold)
        for part in itertools.islice(rows, first_step, None)
    )
    return prefetch(_pinned(batches, prepared.config, comm), prepared.config.data.prefetch)


def scoring_batches(
    prepared: Prepared, reader: RowGroupReader, groups: Sequence[RowGroup], comm: Comm
) -> Iterator[Batch]:
    """Share of this rank in one exact pass over some row groups."""
    data = prepared.config.data
    size = max(1, data.batch_size // comm.size)
    rows = scoring_rows(reader, groups, batch_size=size, rank=comm.rank, world_size=comm.size)
    batches = (make_batch(part, prepared.people, prepared.scaler, prepared.group_of_fold) for part in rows)
    return prefetch(_pinned(batches, prepared.config, comm), data.prefetch)


def _pinned(batches: Iterator[Batch], config: TrainConfig, comm: Comm) -> Iterator[Batch]:
    """The batches in memory that a GPU fetches from, where one is used."""
    if config.run.device == "cpu" or not comm.averages_on_gpu or not torch.cuda.is_available():
        return batches
    return (batch.pinned() for batch in batches)


def _leave_scores(out: Path, scores: Scores) -> None:
    with writing(out, OUT_OF_FOLD_NAME):
        add_network_scores(out, scores)


def _leave_bundle(out: Path, prepared: Prepared, trainer: Trainer, path: DirectPath | None) -> None:
    if not (out / BUNDLE_NAME / FACTS_NAME).exists():
        bundle = _bundle(prepared, trainer, path)
        keep = partial(keep_reference, root=prepared.config.data.dataset, facts=bundle.facts)
        with writing(out, BUNDLE_NAME):
            save_bundle(out / BUNDLE_NAME, bundle, keep)


def _bundle(prepared: Prepared, trainer: Trainer, path: DirectPath | None) -> Bundle:
    manifest, config, genes = prepared.manifest, prepared.config, prepared.genes
    if path is not None:
        genes = described_genes(genes, path, [channel.name for channel in manifest.channels])
    facts = BundleFacts(
        model=config.model,
        reference_genome=manifest.reference_genome,
        channels=manifest.channels,
        covariates=manifest.covariates if config.data.covariates else [],
        cohort_covariates=manifest.cohort_covariates if config.data.covariates else [],
        genes_digest=genes_digest(prepared.genes),
        training_folds=list(prepared.training_folds),
        validation_folds=list(prepared.validation_folds),
        test_fold=manifest.test_fold,
        permuted_labels=config.data.permute_labels,
        best_epoch=trainer.progress.best_epoch + 1,
        direct_loss=trainer.progress.start_loss,
        convolutions_gain=trainer.progress.gain,
        convolutions_gain_deviation=trainer.progress.gain_deviation,
        effects=path.facts if path is not None else {},
        validation_loss=trainer.progress.kept_loss,
        config=config.model_dump(mode="json"),
        manifest_digest=digest(manifest),
        **reference_facts(config.data.dataset, manifest),
        versions=software_versions(PACKAGES),
    )
    weights = trainer.best_weights
    # Left-out scores are those of the direct path: they calibrate the network where it is nothing else.
    direct_alone = path is not None and trainer.progress.best_epoch < 0
    calibration = (
        fit_out_of_fold(out_of_fold_table(prepared, path), prepared.people)
        if path is not None and direct_alone
        else NO_CALIBRATION
    )
    return Bundle(facts, genes, prepared.scaler, weights, calibration)


def _announce(console: Console, prepared: Prepared, comm: Comm, trainer: Trainer) -> None:
    manifest, schedule = prepared.manifest, prepared.schedule
    n_training = sum(manifest.fold(fold).n_samples for fold in prepared.training_folds)
    n_validation = sum(manifest.fold(fold).n_samples for fold in prepared.validation_folds)
    weights = sum(parameter.numel() for parameter in trainer.model.parameters())
    console.print(
        f"{n_training} people to train on, {n_validation} to validate, "
        f"{len(manifest.channels)} channels × {manifest.n_genes} genes"
    )
    console.print(
        f"{prepared.config.model.kind}, {weights:,} weights, {comm.size} rank(s) (backend {comm.backend}) on "
        f"{trainer.device.type}; {schedule.steps} steps of {schedule.batch_size} people an epoch, "
        f"{prepared.config.data.reader} reader"
    )
    if trainer.device.type == "cpu" and prepared.config.run.device == "auto" and torch.cuda.is_available():
        console.print(
            "the GPU waits: Horovod is built for CPUs (deploy/horovod/build.sh), or ranks are more than GPUs"
        )
    if schedule.batch_size != prepared.config.data.batch_size:
        console.print(
            f"{schedule.batch_size} people a step instead of {prepared.config.data.batch_size}: the nearest "
            f"multiple of {schedule.n_streams} streams that gives each rank someone"
        )
    progress = trainer.progress
    if progress.finished:
        console.print(f"finished before, after {progress.epoch} epochs: nothing to do")
    elif progress.total_steps:
        console.print(f"going on from epoch {progress.epoch + 1}, step {progress.step + 1}")


def _effects_line(path: DirectPath, seconds: float) -> str:
    found = f"about {path.inclusion_G.sum():.0f} genes with an effect"
    gate = "products of neighbours help" if path.gate else "products of neighbours do not help"
    n_sets = int(np.count_nonzero(path.sets.weights(-1)))
    tried = "gene_sets" in path.facts
    sets = (
        f"; products within {n_sets} gene sets help" if n_sets else "; gene sets do not help" if tried else ""
    )
    return f"effects of genes fitted in {seconds:.0f} s: {found}; {gate}{sets}"


def _epoch_line(entry: dict[str, float]) -> str:
    return (
        f"epoch {entry['epoch'] + 1:.0f}  loss {entry['training_loss']:.4f}  "
        f"validation loss {entry['validation_loss']:.4f}  AUROC {entry['validation_auroc']:.3f}  "
        f"rate {entry['learning_rate']:.1e}  {entry['people_per_second']:.0f} people/s  "
        f"waiting {entry['waiting_share']:.0%}"
    )
