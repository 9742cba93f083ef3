"""One rank of `python -m train fit`: the file that TorchDistributor starts, as torchrun would."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if __name__ == "__main__":
    runpy.run_module("train", run_name="__main__", alter_sys=True)
