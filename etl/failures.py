"""What goes wrong inside a step, told in one sentence; the traceback goes to a file.

The text of an exception from a library may quote a line of an input, with names and genotypes: the sentence
takes nothing from it but what is known to be harmless.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Sequence
from datetime import datetime

from contract.errors import InputError, faults_in_text, place_in_text
from contract.refusals import meaning, without_secrets
from contract.storage import StorageError, exists, read_whole, refused, write_whole

LOST = (
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back|ExecutorLostFailure",
        "a task whose process was ended from outside, often for want of memory",
    ),
    (
        r"Py4JNetworkError|Answer from Java side is empty|while trying to connect to the Java server",
        "a Java process that was ended from outside, often for want of memory",
    ),
)
"""Causes that the same run may not meet again, in the form of KNOWN_CAUSES."""

KNOWN_CAUSES = (
    (
        r"No space left on device|\[Errno 28\]|Disk quota exceeded|\[Errno 122\]",
        "no space left on the disk, wanted more where `out` and the temporary folder are",
    ),
    (
        r"OutOfMemoryError|Java heap space|GC overhead limit exceeded",
        "too little memory for Java, wanted a larger spark.driver_memory (on a cluster, also of executors)",
    ),
    (r"\b(Arrow)?MemoryError\b", "too little memory for Python, wanted more, or fewer cores in spark.master"),
    (
        r"Cannot run program|PYTHON_VERSION_MISMATCH|worker has different version",
        "executors without the Python of this project, wanted it at PYSPARK_PYTHON or sent by "
        "submit_etl.sh --environment",
    ),
    (r"UnsupportedClassVersionError", "an older Java than Hail needs, wanted 11 or 17 on every executor"),
    *LOST,
    (
        r"JAVA_GATEWAY_EXITED",
        "a Java process that ended at its start (its words are in hail.log), "
        "wanted settings of `spark` that it accepts",
    ),
)
"""Pattern in the text of an exception, and what it means for a user."""

WRAPPERS = ("Py4JJavaError", "FatalError", "HailUserError", "PythonException", "SparkException")
"""Names of exceptions that carry another one from Java or a task."""

_SYSTEM_ERROR = re.compile(r"\[Errno (\d+)\] [^:\n]+(?:: '([^'\n]+)')?")
_PYTHON_ERROR = re.compile(r"^(?:\w+\.)*([A-Z]\w*(?:Error|Exception))\b", re.MULTILINE)


class LostProcessError(InputError):
    """A process of the run was ended from outside: no input is at fault."""


def told(error: Exception, *, doing: str, files: Sequence[str], log: str) -> InputError:
    """The error as one for the user: its own faults, or a sentence, with the traceback kept in `log`.

    Parameters
    ----------
    error
        Any exception of a step. An InputError, also one of a Spark task, keeps its faults.
    doing
        The step's name.
    files
        Inputs of the step: the first that the exception names is told.
    log
        File that the traceback is added to.
    """
    if isinstance(error, InputError):
        return error
    if isinstance(error, StorageError):
        return InputError(f"{doing}: {refused(error)}; steps before it are kept")
    if faults := faults_in_text(str(error)):
        return InputError(faults)
    text = "".join(traceback.format_exception(error))
    place = place_in_text(text) or _file(text, files)
    while_reading = f" while working on {place}" if place else ""
    kept = _keep(text, doing, log)
    cause = _cause(error, text)
    kind = LostProcessError if cause in dict(LOST).values() else InputError
    return kind(f"{doing}: found {cause}{while_reading}; {kept}")


def _cause(error: Exception, text: str) -> str:
    for pattern, cause in KNOWN_CAUSES:
        if re.search(pattern, text):
            return cause
    if "java." in text and (refusal := meaning(text)):
        return f"{refusal[0]}, wanted {refusal[1]}"
    # Hail also wraps what a Python task raised: that text may hold anything.
    from_hail = type(error).__module__.startswith("hail.") and "PythonException" not in text
    if from_hail and "Error summary:" in text:
        return f"a failure in Hail ({text.rsplit('Error summary:', 1)[-1].strip().splitlines()[0][:300]})"
    if system := _SYSTEM_ERROR.search(str(error)):
        return f"a file that can't be used ({os.strerror(int(system.group(1)))})"
    names = [name for name in _PYTHON_ERROR.findall(text) if name not in WRAPPERS]
    return f"an unexpected failure ({names[-1] if names else type(error).__name__})"


def _file(text: str, files: Sequence[str]) -> str | None:
    for file in files:
        if file in text:
            return file
    system = _SYSTEM_ERROR.search(text)
    if system and system.group(2):
        return system.group(2)
    url = next((word for word in text.split() if word.startswith("file:/")), None)
    return url.split(":offset")[0].removeprefix("file:").rstrip(".,:;)'\"") if url else None


def _keep(text: str, doing: str, log: str) -> str:
    line = f"{datetime.now().isoformat(timespec='seconds')} {doing}\n{without_secrets(text)}\n"
    try:
        before = read_whole(log) if exists(log) else b""
        write_whole(log, before + line.encode())
    except OSError as error:
        return f"steps before it are kept, the full text could not be ({error.strerror})"
    return f"steps before it are kept, the full text is in {log}"
