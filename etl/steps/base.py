"""What all steps have in common: their interface and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pandas as pd

from contract.storage import join
from etl.config import EtlConfig
from etl.frames import read_frame, write_frame
from etl.thresholds import Profile
from etl.workspace import StepResult, Workspace

SOFTWARE = ("cyvcf2", "pgenlib", "hail", "pyspark", "gnomad", "numpy", "pandas", "pyarrow", "scikit-learn")
"""Packages whose versions are stored with every output."""


@dataclass(frozen=True)
class Run:
    """One run of the pipeline, as a step sees it."""

    config: EtlConfig
    profile: Profile
    workspace: Workspace
    out: str
    """Folder that the step writes in."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Digest of each file from outside that the step reads."""

    def path(self, step: Step, name: str) -> str:
        """An output of an earlier step: a URL, or an absolute path."""
        return join(self.workspace.folder(step.folder), name)

    def output(self, name: str) -> str:
        """A file or folder of the step that runs: a URL, or an absolute path."""
        return join(self.out, name)

    def read(self, step: Step, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A small table of an earlier step."""
        return read_frame(self.path(step, name), columns)

    def write(self, name: str, frame: pd.DataFrame) -> None:
        """Leave a small table for later steps."""
        write_frame(self.output(name), frame)


@dataclass(frozen=True)
class Step:
    """One step: what it is called and what it depends on; `etl.steps.NAME`, or `module`, holds its work."""

    number: int
    name: str
    title: str
    settings: Callable[[EtlConfig, Profile], dict[str, Any]]
    """The part of the configuration that its output depends on, as JSON content."""
    packages: tuple[str, ...]
    """Folders whose code it runs, as seen from etl/."""
    modules: tuple[str, ...] = ()
    """Single files of code that it runs, as seen from etl/."""
    inputs: Callable[[EtlConfig], list[str]] = lambda config: []
    """Files from outside that it reads, paths or URLs."""
    outputs: Callable[[EtlConfig], list[str]] = lambda config: []
    """Files that it leaves outside its own folder: without them it is not done."""
    needs_hail: bool = True
    """False: it begins as soon as Spark runs."""
    needs_hail_for: Callable[[EtlConfig], bool] = lambda config: False
    """Whether it needs Hail with these settings, where it otherwise does not."""
    leaves_cores_idle: bool = True
    """False: its tasks keep every core busy, and Hail does not start beside them."""
    module: str = ""
    """Where its work is, if elsewhere."""

    @property
    def folder(self) -> str:
        """Name of its output folder."""
        return f"{self.number:02d}_{self.name}"

    @property
    def source(self) -> str:
        """The module of its work."""
        return self.module or f"etl.steps.{self.name}"

    def work(self, run: Run) -> StepResult:
        """Do the work of its module: Hail and Spark are imported here, not before."""
        result: StepResult = import_module(self.source).work(run)
        return result
