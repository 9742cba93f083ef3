"""`python -m train`: fit, judge, compare, explain, tune, apply; plain, under horovodrun or under torchrun."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from contract.config import load_config
from contract.errors import InputError, fault
from contract.storage import is_url, local_path
from train.config import TrainConfig
from train.ending import AUDIT_STATUS, STOPPED_STATUS, leave, say, sentences_of, status_of
from train.errors import LostRankError, Stopped, TrainingError
from train.launch import launched_rank

LEADER_SPEAKS_FIRST = (
    5.0  # seconds for the leader to tell a fault that all ranks share; launchers end the others
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def path(text: str) -> Path:
    """A path on the command line; a URL would become a folder of that name here."""
    if "://" in text:
        raise typer.BadParameter(f"found {text}, wanted a path in a mounted file system: copy it there first")
    return Path(text)


@contextmanager
def _at(place: str) -> Iterator[Path]:
    """A folder, or a copy of what is at a URL, whose changes go back."""
    from train.mirror import local_folder, mirrored

    if is_url(place):
        signal.signal(signal.SIGTERM, _end)
    with mirrored(place):
        yield local_folder(place)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End as on any failure, so that what was written goes to its URL."""
    raise SystemExit(STOPPED_STATUS)


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
        from train.launch import is_elastic
        from train.mirror import local_folder
        from train.watchdog import watched

        with watched(None if is_elastic() else config.run.stall_seconds, local_folder(config.run.out)):
            from train import distributed

            comm = distributed.start(config.run.backend)
            from train.fit import fit as fit_run

            fit_run(config, comm, _console())
            if comm.is_leader:
                _console().print(f"bundle: {config.run.out.rstrip('/')}/bundle")
            comm.close()


@app.command()
def profile(
    conf: Conf,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=1, help="steps that are measured, after five that are not")] = 50,
    trace: Annotated[
        Path | None, typer.Option(help="also write a JSON file for chrome://tracing", parser=path)
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="also write the figures of the table as JSON", parser=path)
    ] = None,
) -> None:
    """Say where the time of a training step goes; nothing of the run is written.

    CONF is a YAML file such as conf/train/default.yaml; OVERRIDES replace its settings. Under a launcher
    every rank trains, and the leading one tells.
    """
    with _told():
        config = load_config(TrainConfig, conf, overrides or [])
        os.environ.setdefault(
            "KINETO_LOG_LEVEL", "99"
        )  # torch's profiler else complains of GPUs that are not
        from train import distributed
        from train.profile import profile_steps, profile_table
        from train.run_folder import write_json

        comm = distributed.start(config.run.backend)
        found = profile_steps(config, comm, steps, trace)
        if comm.is_leader:
            _console().print(profile_table(found))
            if figures is not None:
                write_json(figures, asdict(found) | {"people_per_second": found.people_per_second})
        comm.close()


@app.command()
def evaluate(
    run: Annotated[
        str, typer.Argument(help="a run's folder or URL, or the YAML file that it was trained with")
    ],
    overrides: Overrides = None,
    again: Annotated[
        bool, typer.Option(help="read the test fold although it was read before, by any run")
    ] = False,
) -> None:
    """Read the sealed test fold once; write metrics.json, predictions.parquet and report.html.

    RUN is a run's folder or its URL, or the YAML file that it was trained with.
    """
    with _told():
        if launched_rank():
            return  # one process is enough; the leader is it
        from train.audit.run import audit_run
        from train.audit.verdict import verdict_text
        from train.evaluate import evaluate as evaluate_run
        from train.report.html import write_report
        from train.run_folder import CONFIG_NAME

        own = run if is_url(run) or Path(local_path(run)).is_dir() else None
        place = own or load_config(TrainConfig, Path(run), overrides or []).run.out
        with _at(place) as folder:
            conf = folder / CONFIG_NAME if own else Path(run)
            config = load_config(TrainConfig, conf, overrides or [])
            metrics = evaluate_run(folder, again=again, settings=config)
            _console().print(verdict_text(audit_run(folder)))
            _console().print(_score_table(metrics))
            _tell_report(write_report(folder))


@app.command()
def predict(
    bundle: Annotated[str, typer.Argument(help="folder or URL of a bundle")],
    dataset: Annotated[str, typer.Argument(help="folder or URL of a dataset")],
    out: Annotated[str, typer.Argument(help="Parquet file to write, or its URL: a row for each person")],
) -> None:
    """Score everyone in a dataset with a bundle, or refuse with the reasons.

    People of the sealed fold are left out where the dataset is the one trained on.

    BUNDLE is a run's bundle folder, DATASET a dataset's, OUT the Parquet file to write: sample_id, score
    (log odds), probability (calibrated), abstain and abstain_reasons for people unlike those trained on, and
    seen_in_training for people that the model was trained on.
    """
    with _told():
        from train.predict import predict as predict_dataset

        with _at(bundle) as folder:
            predictions = predict_dataset(folder, dataset, out)
        unlike = int(predictions["abstain"].sum())
        _console().print(
            f"{len(predictions)} people scored, {unlike} of them with a reason to abstain: {out}"
        )


@app.command()
def report(run: Annotated[str, typer.Argument(help="folder or URL of an evaluated run")]) -> None:
    """Write report.html of an evaluated run anew."""
    with _told():
        from train.report.html import write_report

        with _at(run) as folder:
            _tell_report(write_report(folder))


@app.command()
def audit(
    run: Annotated[str, typer.Argument(help="folder or URL of a run that was fitted")],
    null_run: Annotated[
        str | None,
        typer.Option(help="a run on the same cohort with samples.permute_status in its ETL"),
    ] = None,
) -> None:
    """Look for leaks and confounding; write audit.json. The exit status is 3 when a check fails."""
    with _told():
        from train.audit.run import audit_run
        from train.audit.verdict import verdict_text

        with _at(run) as folder, nullcontext() if null_run is None else _at(null_run) as null:
            found = audit_run(folder, null)
            _console().print(verdict_text(found))
            _console().print(_check_table(found))
            _renew_report(folder)
        if found["verdict"]["status"] == "failed":
            raise SystemExit(AUDIT_STATUS)


def _check_table(audit: dict[str, Any]) -> Table:
    table = Table("check", "", "found", title="leak audit")
    for check in audit["checks"]:
        table.add_row(check["title"], check["status"].replace("_", " "), check["found"])
    return table


@app.command()
def explain(
    run: Annotated[str, typer.Argument(help="folder or URL of a finished run")],
    overrides: Overrides = None,
    folds: Annotated[str, typer.Option(help="refit without each of these folds: all, or such as 0,1")] = "",
    seeds: Annotated[str, typer.Option(help="seeds of refits, such as 1,2")] = "",
    people: Annotated[
        bool,
        typer.Option(help="also write attributions_people.parquet: individual-level data, keep it inside"),
    ] = False,
) -> None:
    r"""Say which genes a model's scores rest on: write genes.parquet and explanations.json.

    RUN is the folder of a finished run, OVERRIDES replace settings of train/explain/config.py: sample=500
    lists=\[known.tsv]. The sealed fold is not opened.
    """
    with _told():
        from train.explain.config import explain_config
        from train.explain.run import EXPLANATIONS_NAME, GENES_NAME
        from train.explain.run import explain as explain_run

        settings = explain_config(overrides or [], folds=folds, seeds=seeds, people=people)
        with _at(run) as folder:
            found = explain_run(folder, settings)
            _console().print(_gene_rows(found))
            _console().print(f"genes: {run}/{GENES_NAME}, the rest: {run}/{EXPLANATIONS_NAME}")
            _renew_report(folder)


@app.command()
def tune(
    conf: Conf,
    space: Annotated[Path, typer.Argument(help="a YAML file such as conf/train/space.yaml")],
    overrides: Overrides = None,
    trials: Annotated[int, typer.Option(min=1, help="finished trials in all, earlier calls included")] = 20,
    storage: Annotated[
        str | None, typer.Option(help="SQLite file, .log for a journal, or a URL; else in run.out/tune")
    ] = None,
) -> None:
    """Choose settings by the validation loss on inner folds; write tune.json and best.yaml, which fit takes.

    CONF is the configuration that trials change, SPACE the keys and their ranges. The same command goes on
    with a search that was interrupted. Neither the sealed fold nor folds held out are opened.
    """
    with _told():
        if launched_rank():
            return  # trials are fitted in one process
        from train.search_space import read_space
        from train.tune import BEST_NAME, TUNE_NAME
        from train.tune import tune as tune_settings

        config = load_config(TrainConfig, conf, overrides or [])
        searched = read_space(space, config)
        with _at(config.run.out):
            found = tune_settings(searched, trials=trials, storage=storage, console=_console())
        best = f"{config.run.out}/{TUNE_NAME}/{BEST_NAME}"
        _console().print(f"trial {found['best']['number']}, loss {found['best']['loss']:.4f}: {best}")


def _gene_rows(found: dict[str, Any]) -> Table:
    complete, people = found["completeness"], found["people"]
    title = (
        f"genes by {found['ranking']['by']}; {people['explained']} people, attributions complete within "
        f"{complete['worst_error']:.2%} (median {complete['median_error']:.4%})"
    )
    table = Table("rank", "gene", "inclusion", "attribution", "burden -log10 p", title=title)
    for gene in found["ranking"]["top"][:10]:
        numbers = [gene[name] for name in ("inclusion", "attribution", "burden_log10_p")]
        texts = ["" if number is None else f"{number:.3f}" for number in numbers]
        table.add_row(f"{gene['rank']}", gene["symbol"] or gene["gene_id"], *texts)
    return table


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
        with _at(config.run.out) as folder:
            content = run_ladder(config, _names(models), _numbers(seeds), _console())
            _console().print(show_ladder(content))
            _renew_report(folder)


def _renew_report(run: Path) -> None:
    """Let the report of an evaluated run show what was found since."""
    from train.evaluate import METRICS_NAME
    from train.report.html import write_report

    if (run / METRICS_NAME).exists():
        _tell_report(write_report(run))


def _tell_report(written: Path) -> None:
    from train.mirror import place_of

    _console().print(f"report: {place_of(written)}")


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in _names(text)]
    except ValueError:
        wanted = "whole numbers with commas between"
        raise InputError(fault("command line", "--seeds", found=f"'{text}'", wanted=wanted)) from None


def _score_table(metrics: dict[str, Any]) -> Table:
    from train.names import interval_text, metric_name, model_name

    models = [name for name in ("cnn", "logistic", "covariates") if name in metrics]
    columns = [model_name(name) for name in models]
    majority = f"always naming the larger class is right for {metrics['majority_share']:.1%}"
    table = Table(
        "metric",
        *columns,
        "network − covariates",
        title=f"{metrics['n_test']} test people, {metrics['n_cases']} cases",
        caption=f"95 % intervals; {majority}",
    )
    for name in metrics["cnn"]:
        texts = [interval_text(metrics[model][name]) if name in metrics[model] else "" for model in models]
        gained = metrics["increments"].get(name)
        table.add_row(metric_name(name), *texts, interval_text(gained, signed=True) if gained else "")
    return table


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Stopped as error:
        if not launched_rank():
            say(status_of(error), sentences_of(error))
        raise SystemExit(status_of(error)) from None
    except (InputError, TrainingError) as error:
        lost = isinstance(error, LostRankError)
        if launched_rank() and not lost:  # one that lost another is about to be ended by the launcher
            time.sleep(LEADER_SPEAKS_FIRST)
        say(status_of(error), sentences_of(error), of_its_own=not lost)
        leave(status_of(error))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


if __name__ == "__main__":
    app()
