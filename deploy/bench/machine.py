"""What all benchmarks say of the machine."""

import os
import platform
from typing import Any

from contract.provenance import software_versions

SOFTWARE = ("hail", "pyspark", "cyvcf2", "petastorm", "pyarrow", "numpy", "torch", "horovod")


def machine() -> dict[str, Any]:
    """Return processors, architecture and versions."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "software": software_versions(SOFTWARE),
    }
