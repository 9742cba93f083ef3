"""The state of a run on disk: saved under a temporary name and renamed, read without unpickling code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from contract.errors import InputError, fault

CHECKPOINT_NAME = "checkpoint.pt"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of a run; a reader finds the old one or the new one, whole.

    Parameters
    ----------
    folder
        The run's folder.
    state
        Tensors, numbers, texts, lists and mappings of them.
    """
    path = folder / CHECKPOINT_NAME
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # on a full disk it only stands in the way
        raise


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
        raise InputError(
            fault(path, "whole file", found=found, wanted="a checkpoint of this trainer")
        ) from None
    return dict(state)
