"""What a run tells where nobody sees its terminal: a driver inside a cluster writes it to a place of its own.

EXOSHARD_TOLD names the place, a path or URL. PLACE.log holds the text so far, PLACE.status the exit status,
which comes last. `deploy/submit_etl.sh` sets it and shows both.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from typing_extensions import override

from contract.storage import read_whole, write_whole

VARIABLE = "EXOSHARD_TOLD"
LOG, STATUS = ".log", ".status"


class Telling(io.TextIOBase):
    """A stream that keeps its whole text at a place, and passes it on."""

    def __init__(self, place: str, beside: TextIO) -> None:
        self._place, self._beside = place, beside
        self._text = ""

    @override
    def write(self, text: str) -> int:
        """Add text; a place that can't be written to does not stop a run."""
        self._beside.write(text)
        self._text += text
        if "\n" in text:
            with suppress(OSError):
                write_whole(self._place + LOG, self._text.encode())
        return len(text)

    @override
    def flush(self) -> None:
        self._beside.flush()


def is_seen() -> bool:
    """Whether whoever started this run sees what it prints."""
    return VARIABLE not in os.environ


def told_stream() -> TextIO | None:
    """A stream to the place and standard error, if a place is named; None: standard error alone."""
    place = os.environ.get(VARIABLE)
    return Telling(place, sys.stderr) if place else None  # type: ignore[return-value]


def told_status() -> int | None:
    """Exit status that an earlier attempt of this run left; None where it left none."""
    place = os.environ.get(VARIABLE)
    if not place:
        return None
    with suppress(OSError, ValueError):
        return int(read_whole(place + STATUS))
    return None


def tell_status(status: int) -> None:
    """Leave the exit status at the place, if one is named."""
    place = os.environ.get(VARIABLE)
    if place:
        with suppress(OSError):
            write_whole(place + STATUS, str(status).encode())
