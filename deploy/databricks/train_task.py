"""Train on the machine of a Databricks job, with a rank on each GPU.

train_task.py SOURCE torch|horovod RANKS CONF.yaml [key=value ...]

SOURCE is the folder with the packages. `torch` starts the ranks by Spark's TorchDistributor, `horovod` by
deploy/submit_train.sh. TRAIN_ON_CPU=yes in the environment tries it on a machine without a GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path


def fit_by_torch(source: Path, ranks: int, words: list[str]) -> None:
    """Train under TorchDistributor on this machine. Raises SystemExit where a rank fails."""
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    SparkSession.builder.getOrCreate()  # the distributor wants one
    on_gpu = os.environ.get("TRAIN_ON_CPU") != "yes"
    distributor = TorchDistributor(num_processes=ranks, local_mode=True, use_gpu=on_gpu)
    # A rank that fails does not always make the distributor fail: what ended well is counted.
    with tempfile.TemporaryDirectory() as ended_well:
        os.environ["EXOSHARD_ENDED_WELL"] = ended_well
        with suppress(RuntimeError):  # its text repeats the lines that the ranks printed
            distributor.run(str(source / "deploy" / "databricks" / "train_rank.py"), "fit", *words)
        well = len(os.listdir(ended_well))
    if well < ranks:
        raise SystemExit(f"train_task: found {well} of {ranks} ranks that ended well; why stands above")


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
