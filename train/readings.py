"""Readings of a dataset's sealed fold, recorded beside the dataset, whoever reads and from whatever run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from contract.config import ConfigModel, digest
from contract.errors import InputError, fault
from contract.manifest import read_manifest
from contract.storage import open_storage, write_whole
from train.calibration import CALIBRATION_NAME
from train.mirror import place_of

READS_NAME = "test_fold_reads.json"
"""In a run's folder: readings that could not be recorded beside the dataset."""
SUFFIX = ".readings.json"
UNWRITABLE = (OSError, NotImplementedError, ValueError)
"""What file systems of fsspec raise where nothing can be written (HTTP: NotImplementedError)."""


class Reading(ConfigModel):
    """One reading of a sealed fold."""

    manifest_digest: str
    time: str
    run: str
    bundle_digest: str | None = None
    model: str | None = None
    auroc: float | None = None
    """Of the network on the sealed fold; null until the evaluation has ended."""
    recorded: str = "beside the dataset"


def readings_path(root: str) -> str:
    """The record of a dataset: beside its folder, so that a dataset that is made anew does not lose it."""
    return str(root).rstrip("/") + SUFFIX


def list_readings(root: str, manifest_digest: str, run: Path | None = None) -> list[Reading]:
    """All readings of a dataset that are known, oldest first.

    Parameters
    ----------
    root
        The dataset's folder or URL.
    manifest_digest
        Of its manifest: readings of another dataset that stood in the same place are left out.
    run
        A run whose own folder is looked at too, for what could not be recorded beside the dataset.

    Raises
    ------
    InputError
        If a record is damaged: it is not taken for none.
    """
    found = _read(readings_path(root)) + (_read(str(run / READS_NAME)) if run else [])
    mine = [reading for reading in found if reading.manifest_digest == manifest_digest]
    return sorted(mine, key=lambda reading: reading.time)


def record_reading(root: str, reading: Reading, run: Path, *, again: bool) -> list[Reading]:
    """Record a reading before the fold is read; returns all readings of the dataset, this one last.

    Parameters
    ----------
    root
        The dataset's folder or URL.
    reading
        The new one.
    run
        The run's folder, which takes the record where none can be written beside the dataset.
    again
        Read although the dataset's sealed fold was read before.

    Raises
    ------
    InputError
        If it was read before, by whatever run, and `again` is not set.
    """
    before = list_readings(root, reading.manifest_digest, run)
    if before and not again:
        by = "; ".join(f"{old.time} by {old.run}" for old in before)
        found = f"the test fold was read before, at {by}"
        wanted = "one reading of a dataset, or --again to read once more"
        raise InputError(fault(root, "test fold", found=found, wanted=wanted))
    place = readings_path(root)
    try:
        _append(place, reading)
    except UNWRITABLE as error:
        if isinstance(error, InputError):
            raise
        reading = reading.model_copy(
            update={"recorded": f"in the run's folder alone: {place} can't be written"}
        )
        _append(str(run / READS_NAME), reading)
    return [*before, reading]


def complete_reading(root: str, reading: Reading, run: Path, auroc: float | None) -> Reading:
    """Add to a recorded reading what was found; null where an AUROC can't be told."""
    done = reading.model_copy(update={"auroc": auroc})
    beside = reading.recorded == Reading.model_fields["recorded"].default
    path = readings_path(root) if beside else str(run / READS_NAME)
    _write(path, [done if old == reading else old for old in _read(path)])
    return done


def new_reading(manifest_digest: str, run: Path, bundle: Path, model: str) -> Reading:
    """A reading that begins now."""
    return Reading(
        manifest_digest=manifest_digest,
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        run=place_of(run.absolute()),
        bundle_digest=bundle_digest(bundle),
        model=model,
    )


def bundle_digest(folder: Path) -> str:
    """Digest of a bundle's files; the metrics that an evaluation adds are not among them."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".parquet") or path.name in ("bundle.json", CALIBRATION_NAME):
            total.update(path.name.encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def was_read(run: Path) -> bool:
    """Whether the sealed fold of the dataset that a run names was read, by this run or another."""
    try:
        root = yaml.safe_load((run / "config.yaml").read_text())["data"]["dataset"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        return False
    return bool(list_readings(root, digest(read_manifest(root)), run))


def _append(path: str, reading: Reading) -> None:
    _write(path, [*_read(path), reading])


def _read(path: str) -> list[Reading]:
    filesystem, inside = open_storage(path)
    try:
        with filesystem.open(inside, "r") as stream:
            content = json.load(stream)
        return [_entry(entry, Path(inside).parent) for entry in content]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        found = f"a damaged record ({type(error).__name__})"
        wanted = "a list of readings of the sealed fold, as evaluate writes it"
        raise InputError(fault(path, "readings", found=found, wanted=wanted)) from None


def _entry(entry: Any, run: Path) -> Reading:
    if not isinstance(entry, str):
        return Reading.model_validate(entry)
    # Runs of before this record existed kept the times alone.
    trained_on = json.loads((run / "run.json").read_text())["manifest_digest"]
    return Reading(manifest_digest=trained_on, time=entry, run=str(run))


def _write(path: str, readings: Sequence[Reading]) -> None:
    content: list[dict[str, Any]] = [reading.model_dump(mode="json") for reading in readings]
    write_whole(path, json.dumps(content, indent=1).encode())
