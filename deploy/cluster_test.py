"""The same cohort on every kind of cluster and store that this machine can play; `make cluster-test`.

The ETL runs on this machine first, then through YARN on HDFS, and with outputs in S3 and GCS; each dataset
must be that of this machine, byte for byte. Training then reads each of them, with both readers, on two
ranks: its losses must be those of the dataset here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from contract.dataset import content_digest
from contract.errors import InputError
from contract.manifest import read_manifest
from contract.storage import StorageError, make_folder, open_storage, remove
from deploy.console import write_figures
from deploy.minicluster.cluster import start, stop
from deploy.minicluster.errors import ClusterError
from deploy.minicluster.services import find_tools, left_out, sentences
from deploy.minicluster.spark import environment, root, spark_settings
from deploy.minicluster.state import State
from deploy.minicluster.store import cache_folder, cached_parts
from deploy.slurm.cluster import SlurmError, etl_on_slurm, missing
from etl.simulate import run_simulation

FOLDER = Path("build/cluster-test")
BASE = "conf/etl/demo.yaml"
SHORT_COHORT = ["people=300", "new_people=0", "genes.count=60", "genes.backbone_markers=1200"]
COHORT = ["people=600", "new_people=0", "genes.count=150", "genes.backbone_markers=1500"]
TIMEOUT = 900
STORES = {"yarn_client_hdfs": "hdfs", "yarn_cluster_hdfs": "hdfs", "s3a": "s3a", "gcs": "gcs"}
SERVICES_OF = {"hdfs": ("hdfs", "yarn"), "s3a": ("s3",), "gcs": ("gcs",)}
SHORT = ("yarn_client_hdfs", "yarn_cluster_hdfs", "s3a")
CONTAINERS = [
    *("--num-executors", "1", "--executor-cores", "2", "--executor-memory", "1g", "--driver-memory", "1g"),
    *("--conf", "spark.executor.memoryOverhead=800m", "--conf", "spark.driver.memoryOverhead=500m"),
    *("--conf", "spark.driver.host=127.0.0.1"),
]
"""What a small cohort needs of YARN on a small machine."""
TRAINING = ["stopping.max_epochs=2", "seed=1"]
console = Console(soft_wrap=True)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass
class Outcome:
    """What a place gave; `losses` by reader."""

    seconds: float
    digest: str
    losses: dict[str, list[float]] = field(default_factory=dict)


class FailedError(Exception):
    """A command failed; the text names it and its last lines."""


@app.command()
def main(
    short: Annotated[bool, typer.Option(help="YARN and S3 alone, a smaller cohort, no training")] = False,
    only: Annotated[str | None, typer.Option(help=f"some of {', '.join(STORES)}, slurm")] = None,
    keep: Annotated[bool, typer.Option(help="leave the services up")] = False,
) -> None:
    """Run the cohort everywhere, print one table, and write build/figures/clusters.json."""
    names = tuple(only.split(",")) if only else SHORT if short else (*STORES, "slurm")
    unknown = sorted(set(names) - {*STORES, "slurm"})
    if unknown:
        console.print(f"cluster-test: found {', '.join(unknown)}, wanted some of {', '.join(STORES)}, slurm")
        raise typer.Exit(2)
    if short and not _can_start(names):
        return
    signal.signal(signal.SIGTERM, _end)
    with _fetched_meanwhile(names):
        here, found = _run(names, short=short, keep=keep)
    raise typer.Exit(_report(here, found, names))


def _run(names: tuple[str, ...], *, short: bool, keep: bool) -> tuple[Outcome, dict[str, Outcome | None]]:
    """What this machine gave, and by name what each place gave whose services could be started."""
    cohort = _simulated(SHORT_COHORT if short else COHORT, FOLDER / ("short" if short else "long"))
    here = _attempt("this machine", lambda: _here(cohort, train=not short))
    if here is None:  # nothing to compare with
        raise typer.Exit(1)
    found: dict[str, Outcome | None] = {}
    for store in dict.fromkeys(STORES[name] for name in names if name in STORES):
        with _services(store, keep=keep) as state:
            if state is None:
                continue
            for name in (name for name in names if STORES.get(name) == store):
                found[name] = _attempt(name, partial(_there, name, state, cohort, train=not short))
    if "slurm" in names:
        found |= _on_slurm(cohort)
    return here, found


def _end(*_: object) -> None:
    """Leave in order, so that the services are stopped; a launcher may say so twice."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def _can_start(names: tuple[str, ...]) -> bool:
    """Whether there are tools for any of the services; what is left out is told."""
    services = _service_names(names)
    lacking = left_out(services, find_tools(), cached_parts(cache_folder()))
    if len(lacking) < len(services):
        return True
    for sentence in sentences(lacking):
        console.print(sentence)
    return False


def _simulated(settings: list[str], folder: Path) -> Path:
    run_simulation("conf/simulate/demo.yaml", [f"out={folder}/cohort", *settings])
    return folder.absolute()


def _here(cohort: Path, *, train: bool) -> Outcome:
    shutil.rmtree(cohort / "local", ignore_errors=True)  # else it is up to date, and takes no time
    config = _configuration(cohort, "local", data=f"{cohort}/cohort", out=f"{cohort}/local")
    seconds = _timed("this machine", [sys.executable, "-m", "etl", "run", config])
    return _outcome(seconds, f"{cohort}/local/dataset", cohort / "runs" / "local", {}, train=train)


def _there(name: str, state: State, cohort: Path, *, train: bool) -> Outcome:
    """The cohort, put into a store, through the ETL there."""
    store = STORES[name]
    variables = environment(state, store)
    place = f"{root(state, store)}/cluster-test/{name}"
    with _environment(variables):
        remove(place)
        _put(cohort / "cohort", f"{place}/cohort")
        settings = {} if store == "hdfs" else spark_settings(state, store)
        config = _configuration(cohort, name, data=f"{place}/cohort", out=f"{place}/out", spark=settings)
        if store == "hdfs":
            mode = "cluster" if "cluster" in name else "client"
            own = spark_settings(state, store)
            options = [word for item in own.items() for word in ("--conf", "=".join(item))]
            script = [
                "deploy/submit_etl.sh",
                "--master",
                "yarn",
                "--deploy-mode",
                mode,
                *CONTAINERS,
                *options,
            ]
            command = ["bash", *script, config]
        else:
            command = [sys.executable, "-m", "etl", "run", config]
        seconds = _timed(name, command, variables)
        return _outcome(seconds, f"{place}/out/dataset", cohort / "runs" / name, variables, train=train)


def _outcome(
    seconds: float, dataset: str, runs: Path, variables: Mapping[str, str], *, train: bool
) -> Outcome:
    read_manifest(dataset)
    outcome = Outcome(round(seconds, 1), content_digest(dataset))
    for reader in ("arrow", "petastorm") if train else ():
        outcome.losses[reader] = _losses(dataset, reader, runs / reader, variables)
    return outcome


def _losses(dataset: str, reader: str, run: Path, variables: Mapping[str, str]) -> list[float]:
    """Losses of the epochs of a short fit on two ranks under horovodrun."""
    shutil.rmtree(run, ignore_errors=True)
    settings = [f"data.dataset={dataset}", f"data.reader={reader}", f"run.out={run}", *TRAINING]
    command = ["bash", "deploy/submit_train.sh", "-np", "2", "conf/train/demo.yaml", *settings]
    _timed(f"training with {reader}", command, variables)
    epochs = json.loads((run / "history.json").read_text())
    return [float(epoch[name]) for epoch in epochs for name in ("training_loss", "validation_loss")]


def _on_slurm(cohort: Path) -> dict[str, Outcome | None]:
    lacking = missing()
    if lacking:
        console.print(f"left out: slurm, for want of {', '.join(lacking)} (Debian: slurm-wlm, munge)")
        return {}
    shutil.rmtree(cohort / "slurm", ignore_errors=True)
    config = _configuration(cohort, "slurm", data=f"{cohort}/cohort", out=f"{cohort}/slurm")
    started = time.monotonic()
    try:
        told = etl_on_slurm(config, [f"out={cohort}/slurm"], reference=f"{cohort}/local/dataset")
    except SlurmError as error:
        console.print(f"[bold red]slurm failed[/]: {error}")
        return {"slurm": None}
    seconds = told.get("seconds", time.monotonic() - started)
    return {"slurm": Outcome(round(float(str(seconds)), 1), content_digest(f"{cohort}/slurm/dataset"))}


def _attempt(name: str, work: Callable[[], Outcome]) -> Outcome | None:
    try:
        return work()
    except (FailedError, InputError, StorageError) as error:
        console.print(f"[bold red]{name} failed[/]: {error}")
        return None


def _timed(title: str, command: list[str], variables: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes; its output goes to a log.

    Raises
    ------
    FailedError
        With its last lines.
    """
    log = FOLDER / "logs" / f"{title.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with console.status(title), log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHON": sys.executable, **(variables or {})},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all of it can be ended
        )
        try:
            status = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise FailedError(f"{title}: no end within {TIMEOUT} s ({log})") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    seconds = time.monotonic() - started
    if status:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        raise FailedError(f"{title}: status {status} ({log})\n{last}")
    console.print(f"{title}: {seconds:.0f} s")
    return seconds


def _configuration(
    cohort: Path, name: str, *, data: str, out: str, spark: Mapping[str, str] | None = None
) -> str:
    content = yaml.safe_load(Path(BASE).read_text())
    content |= {"data": data, "out": out}
    content["spark"] = {"master": "local[2]", "driver_memory": "2g", "conf": dict(spark or {})}
    path = cohort / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def _put(folder: Path, place: str) -> None:
    filesystem, inside = open_storage(place)
    make_folder(place)
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != "truth.json":
            filesystem.put_file(str(path), f"{inside}/{path.name}")


@contextmanager
def _services(store: str, *, keep: bool) -> Iterator[State | None]:
    """The services of one store; None where this machine can't play them."""
    folder = FOLDER / "services" / store
    try:
        state = start(folder, SERVICES_OF[store], say=console.print)
    except (ClusterError, InputError) as error:  # what needs no service goes on
        console.print(f"left out: {store}: {error}")
        yield None
        return
    try:
        yield state if _has(state, store) else None
    finally:
        if not keep:
            stop(folder, say=console.print)


@contextmanager
def _fetched_meanwhile(names: tuple[str, ...]) -> Iterator[None]:
    """Compile the servers of the object stores while YARN, which needs none of them, has its turn.

    It gets what the runs leave of the processors; what fails here is tried again, and told, by the start.
    """
    servers = [service for service in _service_names(names) if service in ("s3", "gcs")]
    if not servers:
        yield
        return
    command = [sys.executable, "-m", "deploy.minicluster", "fetch", "--only", ",".join(servers)]
    quiet = subprocess.DEVNULL
    fetching = subprocess.Popen(
        ["nice", "-n", "19", *command], stdout=quiet, stderr=quiet, start_new_session=True
    )
    # Linux shares processors among sessions first: within its own, the niceness counts for nothing.
    with suppress(OSError):
        Path(f"/proc/{fetching.pid}/autogroup").write_text("19")
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(fetching.pid, signal.SIGTERM)
        fetching.wait()


def _service_names(names: tuple[str, ...]) -> list[str]:
    stores = dict.fromkeys(STORES[name] for name in names if name in STORES)
    return [service for store in stores for service in SERVICES_OF[store]]


def _has(state: State, store: str) -> bool:
    """Whether the store's services run, and Spark has the connector that it needs for them."""
    if store == "hdfs":
        return state.hdfs is not None and state.yarn is not None
    return bool((state.s3 and state.jars.s3a) if store == "s3a" else (state.gcs and state.jars.gcs))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _report(here: Outcome, found: Mapping[str, Outcome | None], names: tuple[str, ...]) -> int:
    """Print the table, write the figures; 1 where a place failed or differs."""
    table = Table("where", "seconds", "dataset digest", "equal to local", "losses, arrow and Petastorm")
    table.add_row(
        "this machine", f"{here.seconds:.0f}", here.digest, "", "" if not here.losses else "reference"
    )
    figures: dict[str, object] = {"local_digest": here.digest, "local_seconds": here.seconds}
    bad = 0
    for name in names:
        if name not in found:
            table.add_row(name, "", "left out", "", "")
            continue
        outcome = found[name]
        if outcome is None:
            bad += 1
            table.add_row(name, "", "failed", "[red]no[/]", "")
            figures[name] = {"equal": False}
            continue
        same = outcome.digest == here.digest
        alike = all(losses == here.losses["arrow"] for losses in outcome.losses.values())
        bad += not (same and alike)
        told = "" if not outcome.losses else "equal" if alike else "[red]differ[/]"
        table.add_row(name, f"{outcome.seconds:.0f}", outcome.digest, "yes" if same else "[red]no[/]", told)
        figures[name] = {"seconds": outcome.seconds, "digest": outcome.digest, "equal": same and alike}
    console.print(table)
    write_figures("clusters", figures)
    return int(bad > 0)


if __name__ == "__main__":
    app()
