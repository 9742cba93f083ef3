"""One rank of `python -m train fit`: the file that TorchDistributor starts, as torchrun would.

A rank that ends well leaves a file in the folder ENDED_WELL: the distributor does not tell torchrun's status.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

ENDED_WELL = "EXOSHARD_ENDED_WELL"


def main() -> None:
    try:
        runpy.run_module("train", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    Path(os.environ[ENDED_WELL], os.environ["RANK"]).touch()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
