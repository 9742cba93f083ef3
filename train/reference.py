"""The reference of the cohort trained on, as a bundle keeps it."""

from __future__ import annotations

from pathlib import Path

from contract.manifest import Manifest
from contract.reference import REFERENCE_FOLDER, Reference, copy_reference, open_reference
from contract.storage import absolute
from train.bundle import BundleFacts

LARGEST_COPY = 64 * 2**20
"""Bytes of a reference that a bundle carries whole; of a larger one it names the place and the digest."""


def reference_facts(root: str, manifest: Manifest) -> dict[str, str | None]:
    """Fields of a bundle's facts: digest of the dataset's reference, and its URL where it is not copied."""
    if manifest.reference is None:
        return {"reference_digest": None, "reference_url": None}
    found = open_reference(root)
    is_large = found.content.n_bytes > LARGEST_COPY
    return {"reference_digest": found.digest, "reference_url": absolute(found.folder) if is_large else None}


def keep_reference(bundle: Path, root: str, facts: BundleFacts) -> None:
    """Copy the reference of the dataset trained on into a bundle's folder; without its files where large."""
    if facts.reference_digest is not None:
        copy_reference(
            open_reference(root), str(bundle / REFERENCE_FOLDER), files=facts.reference_url is None
        )


def read_reference_of(bundle: Path, facts: BundleFacts) -> Reference | None:
    """The reference that a bundle keeps; None where it is older than that.

    Raises
    ------
    InputError
        If it is absent or another one than the bundle says.
    """
    return None if facts.reference_digest is None else open_reference(str(bundle)).content
