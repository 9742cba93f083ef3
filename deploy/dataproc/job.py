"""The main file of every job on Dataproc: unpack packages.zip and run one half of the project from it.

job.py etl COMMAND CONF.yaml [key=value ...]    `python -m etl` in the job's own Spark
job.py fit RANKS CONF.yaml [key=value ...]      `python -m train fit`, by deploy/submit_train.sh
job.py COMMAND ...                              any other command of `python -m train`, in one process

packages.zip lies in the working directory. The packages are unpacked: they read files beside their code.
"""

from __future__ import annotations

import os
import runpy
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
        raise SystemExit(f"job: found {' '.join(arguments)}, wanted fit RANKS CONF.yaml [key=value ...]")
    launcher = ["bash", str(source / "deploy" / "submit_train.sh")]
    return [*launcher, "--standalone", "--nproc-per-node", arguments[1], *arguments[2:]]


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="exoshard-") as folder:
        with zipfile.ZipFile("packages.zip") as archive:
            archive.extractall(folder)
        if arguments[:1] == ["etl"]:  # in this process, which spark-submit has tied to Spark's Java
            sys.path.insert(0, folder)
            sys.argv = arguments
            runpy.run_module("etl", run_name="__main__", alter_sys=True)
        environment = {"PYTHONPATH": folder, "LAUNCHER": "torchrun", "PYTHON": sys.executable}
        words = command(arguments, Path(folder))
        return subprocess.run(words, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
