"""One check of deployment files: what it needs, how it runs, what came of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MODULE = "python:"
"""Begins the name of a Python module among a check's needs; other names are programs."""


class LeftOutError(Exception):
    """Raised by a check that finds only while it runs that it can't; the text says why in one sentence."""


@dataclass(frozen=True)
class Check:
    """Something about the deployment files that can be checked without the cluster.

    Attributes
    ----------
    target
        Where the files are for: `kubernetes`, `dataproc` and so on.
    name
        What is checked, in a few words.
    run
        Gives one sentence for each fault; empty where all is well. May raise `LeftOutError`.
    needs
        Programs (`kubectl`) and modules (`python:jsonschema`) without which the check is left out.
    """

    target: str
    name: str
    run: Callable[[], list[str]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of one check: its faults, or why it was left out; `seconds` of wall time."""

    target: str
    name: str
    seconds: float
    faults: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def said(self) -> str:
        """The last column of the table."""
        if self.left_out:
            return f"left out: {self.left_out}"
        count = len(self.faults)
        return "passed" if not count else f"{count} fault{'s' * (count > 1)}"


def program(name: str) -> str | None:
    """The path of a program: beside this Python, where the validators are, or on the search path."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def missing(needs: tuple[str, ...]) -> list[str]:
    """Those of a check's needs that are not here."""
    return [need for need in needs if not _is_here(need)]


def _is_here(need: str) -> bool:
    if not need.startswith(MODULE):
        return program(need) is not None
    try:
        return importlib.util.find_spec(need.removeprefix(MODULE)) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def outcome(check: Check) -> Outcome:
    """Run one check, unless something that it needs is missing. One that breaks has found a fault."""
    if absent := missing(check.needs):
        names = ", ".join(name.removeprefix(MODULE) for name in absent)
        return Outcome(check.target, check.name, 0.0, left_out=f"{names} is not installed")
    started = time.monotonic()
    try:
        faults, why = tuple(check.run()), ""
    except LeftOutError as reason:
        faults, why = (), str(reason)
    except Exception as error:  # noqa: BLE001 - what stands in files that people edit can be anything
        said = " ".join(str(error).split())
        faults, why = (
            (f"{check.target}: {check.name}: could not be checked: {type(error).__name__}: {said}",),
            "",
        )
    return Outcome(check.target, check.name, time.monotonic() - started, faults, why)


def table(outcomes: list[Outcome]) -> list[str]:
    """Lines of the table: target, check, seconds and what came of it."""
    rows = [("target", "check", "seconds", "")]
    rows += [(one.target, one.name, f"{one.seconds:.1f}", one.said) for one in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        f"{target:<{widths[0]}}  {name:<{widths[1]}}  {seconds:>{widths[2]}}  {said}".rstrip()
        for target, name, seconds, said in rows
    ]
