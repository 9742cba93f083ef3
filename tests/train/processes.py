"""Launches of ranks as real processes, and a look at what they leave behind."""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from contract.config import dump_config
from tests.train.ranks import LIMIT, PROJECT, horovodrun, require_launcher, torchrun
from train.config import TrainConfig

FAULTY = str(PROJECT / "tests" / "train" / "faulty.py")
MARK = "EXOSHARD_TEST_LAUNCH"


LAUNCHERS = {"horovod": horovodrun, "ddp": torchrun}


@dataclass
class Launch:
    """A launcher and its ranks; `mark` is in the environment of them all."""

    process: subprocess.Popen[str]
    mark: str

    def finish(self, seconds: float = LIMIT) -> tuple[int, str, str]:
        """Exit status, standard output and standard error, once it has ended."""
        out, errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, errors

    def left(self, seconds: float) -> list[int]:
        """Processes that are still there after so many seconds; it looks sooner where none is."""
        deadline = time.monotonic() + seconds
        while (found := _marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [process.pid for process in found]


@contextmanager
def launched(
    command: Sequence[str], config: TrainConfig, folder: Path, **environment: str
) -> Iterator[Launch]:
    """Start `command fit CONFIG`; whatever is left of it at the end of the block is killed."""
    require_launcher(command)
    conf = folder / f"{Path(config.run.out).name}.yaml"
    conf.write_text(dump_config(config))
    mark = uuid.uuid4().hex
    variables = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(PROJECT), MARK: mark}
    process = subprocess.Popen(
        [*command, "fit", str(conf)],
        cwd=PROJECT,
        env={**os.environ, **variables, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Launch(process, mark)
    finally:
        for left in _marked(mark):
            left.kill()
        process.kill()
        process.communicate()


def wait_for(path: Path, seconds: float = LIMIT) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name} after {seconds} s"
        time.sleep(0.1)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
