"""What `submit_etl.sh` leaves to Python: what is known before Spark starts, and watching over spark-submit.

A driver in a container of YARN tells what it does in files beside the run's outputs (`etl.telling`).
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from contract.config import load_config
from contract.errors import InputError, fault
from contract.refusals import without_secrets
from contract.storage import StorageError, absolute, is_url, join, read_whole, refused, remove
from deploy.resource_manager import resource_manager_fault
from etl.config import EtlConfig
from etl.engine_check import spark_fault
from etl.places import place_faults
from etl.telling import LOG, STATUS

ROOT = Path(__file__).resolve().parent.parent
SENT = ("contract", "etl", "conf")
"""Folders of the checkout that a driver elsewhere needs."""
SECONDS_BETWEEN = 2.0
SECONDS_TO_END = 20
REFUSED = 2
"""Status of a run whose input is refused: it has told why."""
CAUSE = re.compile(r"(Exception|Error)\b|diagnostics:|error:|ERROR")
APPLICATION = re.compile(r"application_\d+_\d+")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class EndedError(Exception):
    """A signal asks this process to end; its status is that of a shell."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


@app.command("place")
def tell_place(
    conf: str,
    overrides: Annotated[list[str] | None, typer.Argument()] = None,
    mode: str = "client",
    yarn: str = "",
) -> None:
    """Print where a driver tells what it does; every fault of the configuration is told instead.

    `yarn` is the folder of Hadoop's configuration, where YARN is to run it.
    """
    try:
        if yarn and (text := resource_manager_fault(yarn)):
            raise InputError(text)
        typer.echo(place_to_tell(conf, overrides or [], mode))
    except (InputError, StorageError) as error:
        for text in error.faults if isinstance(error, InputError) else [refused(error)]:
            typer.echo(f"error {text}", err=True)
        raise typer.Exit(REFUSED) from None


@app.command()
def pack(target: str) -> None:
    """Write an archive of the code and its settings, for a driver that has no checkout."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in SENT:
            for path in sorted((ROOT / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, path.relative_to(ROOT))


@app.command()
def run(command: list[str], mode: str = "client", told: str = "", log: str = "", away: str = "") -> None:
    """Run spark-submit and show what the run tells; what Spark prints goes to `log`.

    `away` is a folder that is removed when the command has ended.
    """
    watch: Callable[[subprocess.Popen[bytes]], int] = (
        (lambda process: follow_driver(told, process, log))
        if mode == "cluster"
        else (lambda process: wait_for_driver(process, log))
    )
    try:
        with open(log, "wb") as spark, _ends_told():
            # Python's words come out of spark-submit's standard output, Spark's own out of its error output.
            shown = spark if mode == "cluster" else None
            with _ended(subprocess.Popen(command, stdout=shown, stderr=spark)) as process:
                status = watch(process)
    except EndedError as end:
        if mode == "cluster":
            typer.echo(_left_running(log), err=True)
        status = end.status
    finally:
        if away:
            shutil.rmtree(away, ignore_errors=True)
    raise typer.Exit(status)


def place_to_tell(conf: str, overrides: list[str], mode: str) -> str:
    """Where the driver tells what it does: beside the outputs, under a name of this submission.

    Raises
    ------
    InputError
        If the configuration is at fault, names a place that the driver would not find or a store that does
        not let us in, or if Hail can't run on the Spark that submits.
    """
    config = load_config(EtlConfig, conf, overrides)
    if mode == "cluster" and not is_url(config.out) and not Path(config.out).is_absolute():
        wanted = "a URL, or an absolute path that all nodes see: the driver runs in a folder of its own"
        raise InputError(fault(conf, "out", found=config.out, wanted=wanted))
    if faults := [text for text in (spark_fault(), *place_faults(config)) if text]:
        raise InputError(faults)
    return join(absolute(config.out), f"submitted-{uuid.uuid4().hex[:12]}")


def wait_for_driver(process: subprocess.Popen[bytes], log: str) -> int:
    """Exit status of a run whose driver is here; one that no input explains gets a sentence."""
    status = process.wait()
    if status < 0:  # by a signal
        status = 128 - status
    if status not in (0, REFUSED):
        typer.echo(f"submit_etl: the run ended with status {status}; {_cause(log)}", err=True)
    return status


def follow_driver(told: str, process: subprocess.Popen[bytes], log: str) -> int:
    """Show what a driver elsewhere tells until the process that submitted it ends; returns the run's status.

    Where the driver never told a status, a sentence names the log, and the status is 1.
    """
    shown, ended = 0, False
    while not ended:
        ended = process.poll() is not None
        text = _read(told + LOG)
        sys.stderr.write(text[shown:])
        sys.stderr.flush()
        shown = max(shown, len(text))
        if not ended:
            time.sleep(SECONDS_BETWEEN)
    status = _read(told + STATUS).strip()
    with suppress(StorageError):  # what is left there does no harm
        for end in (LOG, STATUS):
            remove(told + end)
    if status.isdigit():
        # A run that is whole may end in a cluster that is not.
        return int(status) or int(process.returncode != 0)
    typer.echo(f"submit_etl: found a run that ended without a word, wanted a status; {_cause(log)}", err=True)
    return 1


def _read(place: str) -> str:
    try:
        return read_whole(place).decode()
    except (FileNotFoundError, StorageError):
        return ""


@contextmanager
def _ends_told() -> Iterator[None]:
    """Raise `EndedError` in the block where a signal asks for its end."""

    def end(number: int, frame: FrameType | None) -> None:
        raise EndedError(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _left_running(log: str) -> str:
    found = APPLICATION.search(_text(log))
    if not found:
        return "submit_etl: stopped before YARN had the run"
    name = found.group()
    return f"submit_etl: {name} goes on in the cluster; `yarn application -kill {name}` ends it"


def _cause(log: str) -> str:
    """The last line of Spark's output that tells a cause, and where all of it is."""
    causes = [line.strip() for line in _text(log).splitlines() if CAUSE.search(line)]
    return (
        f"Spark says '{without_secrets(causes[-1])[:300]}' ({log})"
        if causes
        else f"what Spark says is in {log}"
    )


def _text(log: str) -> str:
    try:
        return Path(log).read_text(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    app()
