"""A run's folder: the names of its files, what it belongs to, how it is opened, resumed and cleared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from contract.config import digest, dump_config
from contract.errors import InputError, fault
from contract.lock import LOCK_NAME, FolderLock
from contract.provenance import software_versions
from contract.storage import is_url
from train.checkpoint import load_state
from train.config import GeneCNNConfig, TrainConfig
from train.direct import load_path
from train.distributed import Comm, on_leader
from train.ending import GOES_ON, sentences_of, status_of
from train.errors import LostRankError, Stopped, TrainingError
from train.launch import launched_rank
from train.mirror import Mirror, local_folder, mirrored, place_of, send
from train.prepare import Prepared
from train.readings import READS_NAME
from train.run_lock import lock_of

PACKAGES = ("torch", "petastorm", "pyarrow", "numpy", "scikit-learn", "horovod", "pydantic")
RUN_NAME = "run.json"
CONFIG_NAME = "config.yaml"
HISTORY_NAME = "history.json"
BUNDLE_NAME = "bundle"
END_NAME = "end.json"
"""How the last `fit` of the run ended: status and sentences."""
BEFORE_NAMES = ("ladder", "tune", "ladder.json")
"""Scores of rivals, trials of a search and the rivals' table: they may be there before a run. The folders say
themselves what they belong to, and outlast a run that is replaced."""
READING = {"dataset", "reader", "cache", "cache_mb", "prefetch"}
"""Keys of `data` that say where and how rows are read, not which."""


@dataclass(frozen=True)
class OpenRun:
    """A run's folder that this job owns, and the state that it goes on from; None for a new run."""

    folder: Path
    lock: FolderLock
    state: dict[str, Any] | None
    mirror: Mirror | None
    """What is to be sent to a URL, on the leader."""

    def publish(self) -> None:
        """Send what was written, where the folder is a copy of what is at a URL."""
        if self.mirror is not None:
            self.mirror.push()


@contextmanager
def opened(place: str, prepared: Prepared, comm: Comm) -> Iterator[OpenRun]:
    """Own a run's folder for as long as the block runs, and leave there how it ended.

    Parameters
    ----------
    place
        The folder, or a URL, of which the leader has a copy.
    prepared
        The run.
    comm
        All ranks enter.

    Raises
    ------
    InputError
        On every rank, if another job owns it or it holds something else; see `open_run`.
    """
    lock, out = lock_of(place), local_folder(place)
    mirrors: list[Mirror | None] = [None]
    try:
        on_leader(comm, lock.take)
        with ExitStack() as stack:
            on_leader(comm, lambda: mirrors.append(stack.enter_context(mirrored(place))))
            mirror = mirrors[-1]
            if mirror is not None:
                mirror.may_send = lock.check
            state = on_leader(comm, lambda: open_run(out, prepared, comm))
            try:
                yield OpenRun(out, lock, state, mirror)
            except (InputError, TrainingError, Stopped) as error:
                first = comm.is_leader and not isinstance(error, LostRankError)
                note_end(out, status_of(error), sentences_of(error), replace=first)
                raise
            if comm.is_leader:
                note_end(out, 0, ["finished"], replace=True)
            if is_url(place):  # the others wait: a leader that is alone with a slow store looks lost
                on_leader(comm, lambda: send(mirror) if mirror is not None else None)
    finally:
        lock.release()


@contextmanager
def writing(out: Path, what: str) -> Iterator[None]:
    """Tell a failure to write `what` in a run's folder as a sentence.

    Raises
    ------
    TrainingError
        If the disk is full, or the folder gone or closed to us.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch's writer of archives fails in its own words after the stream has failed.
        cause = error.__context__ if isinstance(error, RuntimeError) else error
        if not isinstance(cause, OSError | SafetensorError):
            raise
        found = getattr(cause, "strerror", None) or str(cause)
        wanted = f"a folder with room that can be written to; what was saved before is whole, {GOES_ON}"
        raise TrainingError(fault(place_of(out), what, found=f"'{found}'", wanted=wanted)) from None


def note_end(out: Path, status: int, sentences: Sequence[str], *, replace: bool) -> None:
    """Leave in a run's folder how this job ended; `replace` what another rank has left there, or don't."""
    content = {"status": status, "sentences": list(sentences), "rank": launched_rank()}
    path = out / END_NAME
    with suppress(OSError):  # a full disk, perhaps: it is printed too
        if replace or not path.exists():
            write_json(path, content)


def training_digest(config: TrainConfig) -> str:
    """Digest of what decides the course of training; not of where it runs, how it reads or how it is judged.

    Which dataset it is, the manifest's own digest tells.
    """
    return digest(config.model_dump(mode="json", exclude={"run": True, "evaluation": True, "data": READING}))


def open_run(out: Path, prepared: Prepared, comm: Comm) -> dict[str, Any] | None:
    """State with which the run in a folder goes on; None for a new run, which the folder then names.

    Raises
    ------
    InputError
        If the folder holds something else, another run, or a damaged one, and `run.overwrite` is not set.
    """
    config = prepared.config
    identity = {
        "config_digest": training_digest(config),
        "manifest_digest": digest(prepared.manifest),
        "batch_size": prepared.schedule.batch_size,
    }
    (out / END_NAME).unlink(missing_ok=True)
    if (out / RUN_NAME).exists():
        before = _read_run(out / RUN_NAME)
        changed = [name for name, value in identity.items() if before.get(name) != value]
        if not changed:
            try:
                return _saved_state(out, config)
            except InputError:
                if not config.run.overwrite:
                    raise
        elif not config.run.overwrite:
            found = f"a run with another {' and '.join(changed)}"
            wanted = "an empty folder, or run.overwrite=true"
            if changed == ["batch_size"]:
                found = f"a run with {before.get('batch_size')} people a step, on {before.get('ranks')} ranks"
                wanted = f"{identity['batch_size']} as on {comm.size} ranks; fewer ranks, {wanted}"
            raise InputError(fault(place_of(out), RUN_NAME, found=found, wanted=wanted))
        _clear(out, keep_reads="manifest_digest" not in changed)
    elif out.exists() and any(
        path.name not in (*BEFORE_NAMES, LOCK_NAME, END_NAME) for path in out.iterdir()
    ):
        raise InputError(
            fault(place_of(out), "run.out", found="a folder with other content", wanted="an empty folder")
        )
    (out / CONFIG_NAME).write_text(dump_config(config))
    facts = {
        "seed": config.seed,
        "ranks": comm.size,
        "backend": comm.backend,
        "versions": software_versions(PACKAGES),
    }
    write_json(out / RUN_NAME, {**identity, **facts})
    return None


def _saved_state(out: Path, config: TrainConfig) -> dict[str, Any] | None:
    """State with which a run goes on; None where it has saved none yet.

    Raises
    ------
    InputError
        If its checkpoint or its gene effects are damaged.
    """
    if isinstance(config.model, GeneCNNConfig):
        load_path(out)
    return load_state(out)


def _read_run(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        wanted = "a run's record; another run.out, or the folder removed"
        raise InputError(fault(place_of(path), "whole file", found="no readable JSON object", wanted=wanted))
    return content


def _clear(out: Path, *, keep_reads: bool) -> None:
    """Empty a run's folder; that its test fold was read stays known while the dataset is the same."""
    for path in out.iterdir():
        if (path.name == READS_NAME and keep_reads) or path.name in (*BEFORE_NAMES[:2], LOCK_NAME):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_json(path: Path, content: object) -> None:
    """Write a file that is there whole or not at all."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # on a full disk it only stands in the way
        raise
