"""Out-of-fold scores on disk, one Parquet file for each model, seed and fold, so that the ladder resumes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.config import digest
from contract.provenance import file_digest, source_digest
from train.run_folder import BEFORE_NAMES

FOLDER = BEFORE_NAMES[0]
FACTS = b"exoshard"
PACKAGE = Path(__file__).parent

DESIGN_CODE = ("design.py", "people.py", "sparse.py", "rivals")
NETWORK_CODE = (
    *(
        "design.py",
        "people.py",
        "sparse.py",
        "fit.py",
        "engine.py",
        "loop.py",
        "model.py",
        "scaling.py",
        "order.py",
        "prepare.py",
    ),
    *("data.py", "direct.py", "effects", "rivals/networks.py"),
)
"""Files and folders of this package that decide the scores of rivals in memory, and of networks."""


@dataclass(frozen=True)
class Cell:
    """Scores of the people of a fold by one fit that did not see them."""

    sample_N: NDArray[np.int32]
    logit_N: NDArray[np.float64]
    seconds: float
    tuned: str | None


@dataclass(frozen=True)
class Place:
    """Where a cell lives, and the digest of all that decides its content."""

    folder: Path
    model: str
    seed: int
    fold: int
    identity: str

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.folder / self.model / f"seed-{self.seed}-fold-{self.fold}.parquet"

    @property
    def workspace(self) -> Path:
        """Folder of a fit that is under way."""
        return self.folder / self.model / f"seed-{self.seed}-fold-{self.fold}"


def load_cell(place: Place) -> Cell | None:
    """A stored cell; None where there is none, or one of another configuration, dataset or code."""
    try:
        table = pq.read_table(place.path)
        facts = json.loads(table.schema.metadata[FACTS])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
    if facts.get("identity") != place.identity:
        return None
    return Cell(
        table.column("sample_index").to_numpy(),
        table.column("logit").to_numpy(),
        float(facts["seconds"]),
        facts["tuned"],
    )


def store_cell(place: Place, cell: Cell) -> None:
    """Write a cell; the file appears whole."""
    facts = {"identity": place.identity, "seconds": cell.seconds, "tuned": cell.tuned}
    table = pa.table({"sample_index": cell.sample_N.astype(np.int32), "logit": cell.logit_N})
    place.path.parent.mkdir(parents=True, exist_ok=True)
    partial = place.path.with_suffix(".partial")
    pq.write_table(table.replace_schema_metadata({FACTS: json.dumps(facts)}), partial)
    partial.replace(place.path)


def code_digest(parts: tuple[str, ...]) -> str:
    """Digest of files and folders of this package; those that do not exist count as empty."""
    digests = {}
    for part in parts:
        path = PACKAGE / part
        if path.exists():
            digests[part] = source_digest(path) if path.is_dir() else file_digest(path)
    return digest(digests)
