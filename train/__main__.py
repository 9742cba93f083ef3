"""`python -m train`: fit, evaluate, predict, report, ladder; plain, under horovodrun or under torchrun."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contract.config import load_config
from contract.errors import InputError, fault
from train.config import TrainConfig
from train.errors import Stopped, TrainingError
from train.launch import launched_rank

FAULT_STATUS, FAILED_STATUS, STOPPED_STATUS = 2, 1, 143
LEADER_SPEAKS_FIRST = (
    5.0  # seconds for the leader to tell a fault that all ranks share; launchers end the others
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Train, judge and apply case/control networks on datasets of the contract."""


Conf = Annotated[Path, typer.Argument(help="a YAML file such as conf/train/default.yaml")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key.sub_key=value ...")]


@app.command()
def fit(conf: Conf, overrides: Overrides = None) -> None:
    """Train a network on a dataset, or go on with an interrupted run.

    CONF is a YAML file such as conf/train/default.yaml; OVERRIDES replace its settings: data.batch_size=32.
    """
    with _told():
        config = load_config(TrainConfig, conf, overrides or [])
        from train import distributed

        comm = distributed.start(config.run.backend)
        from train.fit import fit as fit_run

        out = fit_run(config, comm, _console())
        if comm.is_leader:
            _console().print(f"bundle: {out / 'bundle'}")
        comm.close()


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="a run's folder, or the YAML file that it was trained with")],
    overrides: Overrides = None,
    again: Annotated[bool, typer.Option(help="read the test fold although it was read before")] = False,
) -> None:
    """Read the sealed test fold once; write metrics.json, predictions.parquet and report.html.

    RUN is a run's folder, or the YAML file that it was trained with.
    """
    with _told():
        if launched_rank():
            return  # one process is enough; the leader is it
        from train.evaluate import evaluate as evaluate_run
        from train.fit import CONFIG_NAME
        from train.report import write_report

        config = load_config(TrainConfig, run / CONFIG_NAME if run.is_dir() else run, overrides or [])
        folder = run if run.is_dir() else Path(config.run.out)
        metrics = evaluate_run(folder, again=again, settings=config)
        _console().print(_score_table(metrics))
        _console().print(f"report: {write_report(folder)}")


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="a bundle's folder")],
    dataset: Annotated[str, typer.Argument(help="folder or URL of a dataset")],
    out: Annotated[Path, typer.Argument(help="Parquet file to write: sample_id, score")],
) -> None:
    """Score everyone in a dataset with a bundle, or refuse with the reasons.

    People of the sealed fold are left out where the dataset is the one trained on.

    BUNDLE is a run's bundle folder, DATASET a folder or URL, OUT the Parquet file to write: sample_id, score.
    """
    with _told():
        from train.predict import predict as predict_dataset

        predictions = predict_dataset(bundle, dataset, out)
        _console().print(f"{len(predictions)} people scored: {out}")


@app.command()
def report(run: Annotated[Path, typer.Argument(help="folder of an evaluated run")]) -> None:
    """Write report.html of an evaluated run anew."""
    with _told():
        from train.report import write_report

        _console().print(f"report: {write_report(run)}")


@app.command()
def ladder(
    conf: Conf,
    overrides: Overrides = None,
    models: Annotated[str, typer.Option(help="names with commas between; nothing: all")] = "",
    seeds: Annotated[str, typer.Option(help="seeds of the fits, with commas between")] = "1",
) -> None:
    """Compare the network with its rivals, out of fold; the sealed fold stays closed. Resumes.

    CONF is a YAML file such as conf/train/default.yaml; OVERRIDES replace its settings. Scores and
    ladder.json go to the run's folder.
    """
    with _told():
        if launched_rank():
            return  # one process is enough; the leader is it
        from train.ladder import run_ladder
        from train.ladder_table import show_ladder

        config = load_config(TrainConfig, conf, overrides or [])
        content = run_ladder(config, _names(models), _numbers(seeds), _console())
        _console().print(show_ladder(content))


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in _names(text)]
    except ValueError:
        wanted = "whole numbers with commas between"
        raise InputError(fault("command line", "--seeds", found=f"'{text}'", wanted=wanted)) from None


def _score_table(metrics: dict[str, Any]) -> Table:
    table = Table("metric", "network", "logistic regression", title=f"{metrics['n_test']} test people")
    for name in metrics["cnn"]:
        texts = [
            "{estimate:.3f} ({low:.3f} to {high:.3f})".format(**metrics[model][name])
            if name in metrics[model]
            else ""
            for model in ("cnn", "logistic")
        ]
        table.add_row(name.replace("_", " "), *texts)
    return table


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        _end(str(error), FAULT_STATUS)
    except TrainingError as error:
        _end(str(error), FAILED_STATUS)
    except Stopped:
        if launched_rank():
            raise SystemExit(STOPPED_STATUS) from None
        _end("stopped and saved; the same command goes on from here", STOPPED_STATUS)


def _end(message: str, status: int) -> None:
    rank = launched_rank()
    if rank:
        time.sleep(LEADER_SPEAKS_FIRST)
        message = f"rank {rank}: {message}"
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(status)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


if __name__ == "__main__":
    app()
