"""The one exception for what a user can mend, and how it comes back from another process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_FAULTS, _PLACE = "exoshard faults: ", "exoshard place: "
"""Marks of notes. Python prints an exception's notes below its message, so that they survive in the text of
a traceback, which is all that Spark brings back from a task."""


class InputError(Exception):
    """Bad input or configuration, told in sentences that name file, field, found and wanted.

    The command lines print it without a traceback and exit with status 2.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults: list[str] = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))
        self.add_note(_FAULTS + json.dumps(self.faults))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[str]]]:
        return type(self), (self.faults,)


def fault(where: object, field: str, *, found: object, wanted: str) -> str:
    """One sentence in the form that every fault of ours has.

    Parameters
    ----------
    where
        The file, folder or URL that holds the fault.
    field
        The key, column or header field in it.
    found, wanted
        What is there and what should be.
    """
    return f"{where}: {field}: found {found}, wanted {wanted}"


def faults_in_text(text: str) -> list[str]:
    """The faults of the first InputError whose traceback is in a text; empty where there is none."""
    return next((list(faults) for faults in _noted(text, _FAULTS) if isinstance(faults, list)), [])


@contextmanager
def working_on(place: str) -> Iterator[None]:
    """Let any exception of the block carry the place (a file, a record) to whoever reads its traceback."""
    try:
        yield
    except Exception as error:
        error.add_note(_PLACE + json.dumps(place))
        raise


def place_in_text(text: str) -> str | None:
    """The innermost place of `working_on` in the text of a traceback."""
    return next((str(place) for place in _noted(text, _PLACE)), None)


def _noted(text: str, mark: str) -> Iterator[object]:
    for found in re.finditer(f"{mark}(.+)$", text, re.MULTILINE):
        try:
            yield json.loads(found.group(1))
        except ValueError:  # a text that was cut, or someone else's
            continue
