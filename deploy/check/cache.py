"""What the checks keep in the cache folder: the validators' environment and the API server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder that `EXOSHARD_CACHE` names, or `exoshard` in the user's."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EXOSHARD_CACHE") or user / "exoshard")


def validators(root: Path) -> Path | None:
    """The Python that `environment.sh` made for the lock as it is; None where it has not."""
    digest = hashlib.sha256((root / "deploy" / "locks" / "check.lock").read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "deploy-check" / digest
    return folder / "bin" / "python" if (folder / ".complete").exists() else None
