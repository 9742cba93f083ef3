"""How a process ends before its time: the status, and the sentence in a form that survives the launcher.

Launchers answer any failure of a rank with status 1 and lines of their own. Each sentence therefore carries
the status, which deploy/submit_train.sh reads; torchrun gets it in the file of which it prints the content.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from contract.errors import InputError
from train.errors import Stopped
from train.launch import launched_rank, launcher

FAILED_STATUS, FAULT_STATUS, AUDIT_STATUS, STOPPED_STATUS = 1, 2, 3, 143
GOES_ON = "the same command goes on from the last checkpoint"
STOPPED_SENTENCE = "stopped and saved; the same command goes on from here"


def status_of(error: BaseException) -> int:
    """The exit status for an exception: what the user can mend, an asked-for stop, or a failure."""
    if isinstance(error, InputError):
        return FAULT_STATUS
    return STOPPED_STATUS if isinstance(error, Stopped) else FAILED_STATUS


def sentences_of(error: BaseException) -> list[str]:
    """What is told of an exception."""
    if isinstance(error, InputError):
        return error.faults
    return [STOPPED_SENTENCE] if isinstance(error, Stopped) else [str(error)]


def say(status: int, sentences: Sequence[str], *, of_its_own: bool = True) -> None:
    """Print why this process ends, on standard error, if anyone listens.

    Parameters
    ----------
    status
        The exit status.
    sentences
        Each of one line.
    of_its_own
        Whether the reason lies with this rank, not with another that has ended.
    """
    if launcher() != "none":
        end = f"ends with status {status}" if of_its_own else "was left alone"
        sentences = [f"rank {launched_rank()} {end}: {_on_one_line(text)}" for text in sentences]
        if of_its_own:
            _tell_torchrun("\n".join(sentences))
    with contextlib.suppress(OSError):
        # One write: ranks share a standard error, and unbuffered, `print` sends a line and its end apart.
        print("".join(f"{text}\n" for text in sentences), end="", file=sys.stderr, flush=True)


def _on_one_line(text: str) -> str:
    """What libraries say of damaged files may hold any byte, and launchers begin each line anew."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def leave(status: int) -> NoReturn:
    """End this process with a status, at once under a launcher: to shut a group down takes long.

    Raises
    ------
    SystemExit
        Without a launcher.
    """
    if launcher() == "none":
        raise SystemExit(status)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _tell_torchrun(text: str) -> None:
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        content = {"message": {"message": text, "extraInfo": {"timestamp": str(int(time.time()))}}}
        with contextlib.suppress(OSError):
            Path(path).write_text(json.dumps(content))
