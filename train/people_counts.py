"""Who a model was trained on, as counts in which nobody can be found: small cells are left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from contract.config import digest
from contract.dataset import read_samples
from contract.errors import InputError
from contract.manifest import Manifest, read_manifest
from train.design import GROUPS

PEOPLE_NAME = "people.json"
MIN_CELL = 5
"""The fewest people that a cell may show. Of 1 to 4 somebody who knows one could learn of the others."""


def keep_people_counts(bundle: Path, root: str, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Counts of the people of a bundle's training and validation folds, from its people.json.

    They are counted, and people.json is written, where it is absent or of another dataset.

    Parameters
    ----------
    bundle
        The bundle's folder.
    root
        The dataset that was trained on.
    facts
        The bundle's bundle.json.

    Returns
    -------
    None where there is no people.json, and the dataset is no longer at `root` or is another one there.
    """
    path = bundle / PEOPLE_NAME
    kept = _read(path)
    if kept is not None and kept.get("manifest_digest") == facts["manifest_digest"]:
        return kept
    try:
        manifest = read_manifest(root)
    except InputError:
        return None
    if digest(manifest) != facts["manifest_digest"]:
        return None
    counts = count_people(root, manifest, facts["training_folds"], facts["validation_folds"])
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(counts, indent=1))
    partial.replace(path)
    return counts


def count_people(
    root: str, manifest: Manifest, training: Sequence[int], validation: Sequence[int]
) -> dict[str, Any]:
    """People of some folds by status, and by status within sex, batch and ancestry.

    Returns
    -------
    manifest_digest; training and validation, people of these folds with a known status; cases, controls and
    unknown; groups: sex, batch or ancestry -> group -> cases and controls. A number is None where it is too
    small to be shown, or would give away one that is; see `suppress`.
    """
    people = read_samples(root, manifest, [*training, *validation], ["is_case", *GROUPS])
    status = people["is_case"].map({1: "cases", 0: "controls"}).fillna("unknown")
    n_unknown = int((status == "unknown").sum())
    return {
        "manifest_digest": digest(manifest),
        "training": _n_known(manifest, training),
        "validation": _n_known(manifest, validation),
        "cases": int((status == "cases").sum()),
        "controls": int((status == "controls").sum()),
        "unknown": n_unknown if n_unknown >= MIN_CELL or not n_unknown else None,
        "groups": {name: _by_group(people[name].fillna("unknown"), status) for name in GROUPS},
    }


def suppress(counts: Mapping[str, int], least: int = MIN_CELL) -> dict[str, int | None]:
    """Counts with those from 1 to `least` - 1 as None; a 0 stays, it is nobody.

    Where only one is left out, its sum with the others gives it away: the smallest of the others goes too.
    """
    hidden = {name for name, count in counts.items() if 0 < count < least}
    others = [name for name, count in counts.items() if count >= least]
    if len(hidden) == 1 and others:
        hidden.add(min(others, key=lambda name: counts[name]))
    return {name: None if name in hidden else count for name, count in counts.items()}


def _read(path: Path) -> dict[str, Any] | None:
    """What was counted before; a file that can't be read is as good as none: it is counted anew."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _n_known(manifest: Manifest, folds: Sequence[int]) -> int:
    return sum(manifest.fold(fold).n_cases + manifest.fold(fold).n_controls for fold in folds)


def _by_group(groups: pd.Series, status: pd.Series) -> dict[str, dict[str, int | None]]:
    names = sorted(groups.unique())
    columns = {
        wanted: suppress({name: int(((groups == name) & (status == wanted)).sum()) for name in names})
        for wanted in ("cases", "controls")
    }
    return {name: {wanted: column[name] for wanted, column in columns.items()} for name in names}
