"""`python -m train`: fit, evaluate, predict, report; plain, under horovodrun or under torchrun."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from contract.config import load_config
from contract.errors import InputError
from train import distributed
from train.config import TrainConfig
from train.engine import Stopped, TrainingError

FAULT_STATUS, FAILED_STATUS, STOPPED_STATUS = 2, 1, 143
LEADER_SPEAKS_FIRST = 5.0  # seconds for the leader to tell a fault that all ranks share; launchers end the others

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)



@app.callback()
def main() -> None:
    """Train, judge and apply case/control networks on datasets of the contract."""


Conf = Annotated[Path, typer.Argument(help="a YAML file such as conf/train/default.yaml")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key.sub_key=value ...")]


@app.command()
def fit(conf: Conf, overrides: Overrides = None) -> None:
    """Train a network on a dataset, or go on with an interrupted run."""
    with _told():
        config = load_config(TrainConfig, conf, overrides or [])
        comm = distributed.start(config.run.backend)
        from train.fit import fit as fit_run

        out = fit_run(config, comm, _console())
        if comm.is_leader:
            _console().print(f"bundle: {out / 'bundle'}")
        comm.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        _end(str(error), FAULT_STATUS)
    except TrainingError as error:
        _end(str(error), FAILED_STATUS)
    except Stopped:
        _end("stopped and saved; the same command goes on from here", STOPPED_STATUS)


def _end(message: str, status: int) -> None:
    rank = distributed.launched_rank()
    if rank:
        time.sleep(LEADER_SPEAKS_FIRST)
        message = f"rank {rank}: {message}"
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(status)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


if __name__ == "__main__":
    app()
