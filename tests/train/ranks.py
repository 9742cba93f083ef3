"""Starting a fit on several ranks, through the launchers that people use."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from contract.config import dump_config
from train.config import TrainConfig

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 150  # seconds; a collective that only some ranks enter would wait for ever


def launch(
    launcher: Sequence[str], config: TrainConfig, tmp_path: Path, program: Sequence[str] = ("-m", "train")
) -> subprocess.CompletedProcess[str]:
    require_launcher(launcher)
    conf = tmp_path / f"{Path(config.run.out).name}.yaml"
    conf.write_text(dump_config(config))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = str(PROJECT)
    return subprocess.run(
        [*launcher, *program, "fit", str(conf)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def require_launcher(launcher: Sequence[str]) -> None:
    """Skip the test where the launcher is Horovod's and Horovod is not installed."""
    if not Path(launcher[0]).exists():
        pytest.skip("Horovod is not installed")


def horovodrun(n: int) -> list[str]:
    """Command that starts so many ranks of a Python program."""
    return [str(Path(sys.executable).parent / "horovodrun"), "--gloo", "-np", str(n), sys.executable]


def torchrun(n: int) -> list[str]:
    """Command that starts so many ranks of a Python program."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
