"""What both benchmarks say of the machine, and how they read their command line."""

import os
import platform
from typing import Any

from contract.errors import InputError
from contract.provenance import software_versions

SOFTWARE = ("hail", "pyspark", "cyvcf2", "petastorm", "pyarrow", "numpy", "torch", "horovod")


def machine() -> dict[str, Any]:
    """Return processors, architecture and versions."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "software": software_versions(SOFTWARE),
    }


def key_values(words: list[str]) -> dict[str, Any]:
    """Return the settings that words such as people=100 give.

    Raises
    ------
    InputError
        If a word has another form.
    """
    odd = [word for word in words if "=" not in word]
    if odd:
        raise InputError(f"command line: {odd[0]}: found no '=', wanted key=value")
    return dict(word.split("=", 1) for word in words)
