"""Run `python -m train` on the machine with GPUs, as the main file of a Dataproc job.

train_task.py fit GPUS CONF.yaml [key=value ...]    one rank for each GPU, by deploy/submit_train.sh
train_task.py COMMAND ...                           any other command of `python -m train`, in one process

packages.zip lies in the working directory. The packages are unpacked: they read files beside their code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def command(arguments: list[str], source: Path) -> list[str]:
    """The command line that trains or judges, with the packages unpacked in `source`."""
    if arguments[:1] != ["fit"]:
        return [sys.executable, "-m", "train", *arguments]
    if len(arguments) < 3 or not arguments[1].isdecimal():
        raise SystemExit(
            f"train_task: found {' '.join(arguments)}, wanted fit GPUS CONF.yaml [key=value ...]"
        )
    launcher = ["bash", str(source / "deploy" / "submit_train.sh")]
    return [*launcher, "--standalone", "--nproc-per-node", arguments[1], *arguments[2:]]


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="exoshard-") as folder:
        with zipfile.ZipFile("packages.zip") as archive:
            archive.extractall(folder)
        environment = {"PYTHONPATH": folder, "LAUNCHER": "torchrun", "PYTHON": sys.executable}
        words = command(arguments, Path(folder))
        return subprocess.run(words, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
