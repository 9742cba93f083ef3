"""Whether training can use GPUs here, told before any rank starts.

python -m deploy.gpus GPUS horovodrun|torchrun     2 GPUs or more, for instance
python -m deploy.gpus 0 horovodrun                 the packages only: the GPUs are other hosts'

Prints nothing and ends with status 0, or prints one sentence and ends with status 2.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from dataclasses import dataclass

LAUNCHERS = ("horovodrun", "torchrun")


@dataclass(frozen=True)
class Found:
    """What this host and its Python hold. `None` is what is absent."""

    torch: str | None = None
    """Version of torch."""
    cuda: str | None = None
    """Version of CUDA that torch was built with."""
    usable: int = 0
    """GPUs that torch can use."""
    listed: int | None = None
    """GPUs that nvidia-smi lists; it comes with the driver, but not into every container."""
    nccl: str | None = None
    """Why the launcher's NCCL can't be used; empty where it can."""


def missing(found: Found, gpus: int, launcher: str) -> str:
    """One sentence on what training on `gpus` GPUs of this host lacks; empty when it lacks nothing.

    What is told first is what has to be mended first.
    """
    if found.torch is None:
        return "found no torch, wanted the Python of training's environment; set PYTHON to it"
    if found.cuda is None:
        return (
            f"found torch {found.torch} built for CPUs, wanted a build with CUDA; "
            "install torch from an index that has one, without find-links to CPU builds"
        )
    if found.usable < gpus:
        return _too_few(found, gpus)
    if found.nccl:
        return f"{found.nccl}; {_nccl_advice(launcher)}"
    return ""


def _too_few(found: Found, gpus: int) -> str:
    if found.usable:
        hint = "ask for fewer or, where CUDA_VISIBLE_DEVICES or the job's request hides some, for all of them"
        return f"found {found.usable} GPUs that torch can use, wanted {gpus}; {hint}"
    if found.listed is None:
        hint = "install the driver, or start the container with its GPUs (--gpus all, nvidia.com/gpu)"
        return f"found no NVIDIA driver (nvidia-smi does not answer), wanted {gpus} GPUs; {hint}"
    if found.listed:
        hint = (
            f"see that the driver is new enough for CUDA {found.cuda} and CUDA_VISIBLE_DEVICES is not empty"
        )
        return f"found {found.listed} GPUs in nvidia-smi and none that torch can use, wanted {gpus}; {hint}"
    return f"found a driver and no GPU, wanted {gpus}; ask for a machine or a job with GPUs"


def _nccl_advice(launcher: str) -> str:
    if launcher == "horovodrun":
        return "build it by HOROVOD_GPU_OPERATIONS=NCCL deploy/horovod/build.sh, or set LAUNCHER=torchrun"
    return "install a build of torch for Linux that has it"


def look(launcher: str) -> Found:
    """What is here; imports torch and, for horovodrun, Horovod."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of an old driver in several lines
        try:
            torch = importlib.import_module("torch")
        except ImportError:
            return Found()
        usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
        nccl = _horovod_lacks() if launcher == "horovodrun" else _torch_lacks()
    return Found(torch.__version__, torch.version.cuda, usable, _listed(), nccl)


def _listed() -> int | None:
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.count("GPU ") if done.returncode == 0 else None


def _horovod_lacks() -> str:
    try:
        built = importlib.import_module("horovod.torch").nccl_built()
    except (ImportError, OSError) as error:
        return f"found a Horovod that does not load ({str(error).splitlines()[0]}), wanted one with NCCL"
    return "" if built else "found Horovod built without NCCL, wanted it for sums over GPUs"


def _torch_lacks() -> str:
    group = importlib.import_module("torch.distributed")
    there = group.is_available() and group.is_nccl_available()
    return "" if there else "found torch built without NCCL, wanted it for sums over GPUs"


def main(words: list[str]) -> int:
    if len(words) != 2 or not words[0].isdecimal() or words[1] not in LAUNCHERS:
        print(f"found {' '.join(words) or 'nothing'}, wanted the number of GPUs and {' or '.join(LAUNCHERS)}")
        return 2
    told = missing(look(words[1]), int(words[0]), words[1])
    if told:
        print(told)
    return 2 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
