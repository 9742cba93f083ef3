"""The state of a run on disk: saved under a temporary name and renamed, read without unpickling code."""

from __future__ import annotations

import io
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from contract.errors import InputError, fault

CHECKPOINT_NAME = "checkpoint.pt"


def save_state(folder: Path, state: dict[str, Any], keep: int = 1) -> None:
    """Replace the checkpoint of a run; a reader finds the old one or the new one, whole.

    Parameters
    ----------
    folder
        The run's folder.
    state
        Tensors, numbers, texts, lists and mappings of them.
    keep
        Checkpoints to keep; the ones before the last are checkpoint.1.pt (the newer), checkpoint.2.pt …
    """
    path = folder / CHECKPOINT_NAME
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        _keep_older(path, keep)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # on a full disk it only stands in the way
        raise


def state_bytes(state: dict[str, Any]) -> bytes:
    """A state as a checkpoint's file holds it."""
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def state_of_bytes(content: bytes) -> dict[str, Any]:
    """The state of `state_bytes`, on the CPU."""
    return dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))


def _keep_older(path: Path, keep: int) -> None:
    older = [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(1, keep)]
    for newer, name in zip(older[-2::-1], older[:0:-1], strict=True):
        if newer.exists():
            newer.replace(name)
    if older and path.exists():
        shutil.copyfile(path, older[0].with_suffix(".partial"))
        older[0].with_suffix(".partial").replace(older[0])


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of a run, on the CPU; None where there is none.

    Raises
    ------
    InputError
        If the file is damaged or holds anything but plain data.
    """
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError):
        found = "a damaged file, or more than plain numbers and tensors"
        older = sorted(file.name for file in folder.glob(f"{path.stem}.[0-9]*{path.suffix}"))
        wanted = "a checkpoint of this trainer" + (f", such as {older[0]} under this name" if older else "")
        raise InputError(fault(path, "whole file", found=found, wanted=wanted)) from None
    return dict(state)
