"""People per second of training and the share of time spent waiting for data, by backend and ranks."""

import json
import sys
from pathlib import Path

from deploy.bench.commands import measure
from deploy.bench.sizes import Sizes

CONFIG = "conf/train/bench.yaml"


def launchers(ranks: int) -> dict[str, list[str]]:
    """Return the command that starts this many ranks of a module, by backend."""
    beside = Path(sys.executable).with_name("horovodrun")
    return {
        "horovod": [str(beside), "--gloo", "-np", str(ranks), sys.executable, "-m"],
        "ddp": [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={ranks}",
            "-m",
        ],
    }


def measure_training(dataset: str, out: Path, sizes: Sizes) -> dict[str, dict[str, float]]:
    """Return figures of one and two ranks with Horovod and with torch DDP.

    Raises
    ------
    CommandFailed
        If a training run fails.
    """
    figures: dict[str, dict[str, float]] = {}
    for ranks in (1, 2):
        for backend, launcher in launchers(ranks).items():
            name = f"{backend}_{ranks}"
            folder = out / name
            settings = [
                f"data.dataset={dataset}",
                f"run.out={folder}",
                f"run.backend={backend}",
                f"stopping.max_epochs={sizes.epochs}",
            ]
            measured = measure([*launcher, "train", "fit", CONFIG, *settings])
            last = json.loads((folder / "history.json").read_text())[-1]
            figures[name] = {
                "people_per_second": last["people_per_second"],
                "waiting_share": last["waiting_share"],
                "seconds": measured.seconds,
                "peak_rss_mb": measured.peak_rss_mb,
            }
    return figures
