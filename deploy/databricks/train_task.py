"""Train on the machine of a Databricks job, with a rank on each GPU.

train_task.py SOURCE torch|horovod RANKS CONF.yaml [key=value ...]

SOURCE is the folder with the packages. `torch` starts the ranks by Spark's TorchDistributor, `horovod` by
deploy/submit_train.sh. TRAIN_ON_CPU=yes in the environment tries it on a machine without a GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def fit_by_torch(source: Path, ranks: int, words: list[str]) -> None:
    """Train under TorchDistributor on this machine. Raises SystemExit where a rank fails."""
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate()  # the distributor wants one
    on_gpu = os.environ.get("TRAIN_ON_CPU") != "yes"
    distributor = TorchDistributor(num_processes=ranks, local_mode=True, use_gpu=on_gpu)
    try:
        distributor.run(str(source / "deploy" / "databricks" / "train_rank.py"), "fit", *words)
    except RuntimeError as error:  # its text ends with the last lines of the ranks
        raise SystemExit(f"train_task: training failed\n{error}") from None


def horovod_command(source: Path, ranks: int, words: list[str]) -> list[str]:
    """The command line that trains under horovodrun."""
    return ["bash", str(source / "deploy" / "submit_train.sh"), "-np", str(ranks), *words]


def main(arguments: list[str]) -> None:
    if len(arguments) < 4 or arguments[1] not in ("torch", "horovod") or not arguments[2].isdecimal():
        found = " ".join(arguments) or "nothing"
        raise SystemExit(
            f"train_task: found {found}, wanted SOURCE torch|horovod RANKS CONF.yaml [key=value ...]"
        )
    source, ranks, words = Path(arguments[0]), int(arguments[2]), arguments[3:]
    if arguments[1] == "torch":
        fit_by_torch(source, ranks, words)
        return
    environment = {**os.environ, "PYTHON": sys.executable, "LAUNCHER": "horovodrun"}
    done = subprocess.run(horovod_command(source, ranks, words), env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"train_task: training ended with status {done.returncode}; why stands above")


if __name__ == "__main__":
    main(sys.argv[1:])
