"""What `submit_etl.sh` leaves to Python: what is known before Spark starts, and following a driver far away.

A driver in a container of YARN tells what it does in files beside the run's outputs (`etl.telling`).
"""

from __future__ import annotations

import os
import sys
import time
import uuid
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from contract.config import load_config
from contract.errors import InputError, fault
from contract.storage import StorageError, absolute, is_url, join, read_whole, refused, remove
from etl.config import EtlConfig
from etl.engine_check import spark_fault
from etl.places import place_faults
from etl.telling import LOG, STATUS

ROOT = Path(__file__).resolve().parent.parent
SENT = ("contract", "etl", "conf")
"""Folders of the checkout that a driver elsewhere needs."""
SECONDS_BETWEEN = 2.0
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0913 - each is an option of the command line
    conf: Annotated[str | None, typer.Argument()] = None,
    overrides: Annotated[list[str] | None, typer.Argument()] = None,
    mode: str = "client",
    pack: str | None = None,
    follow: str | None = None,
    process: int = 0,
    log: str = "",
) -> None:
    """Tell facts of a configuration, pack the packages, or follow a driver."""
    try:
        if pack is not None:
            pack_packages(pack)
        elif follow is not None:
            raise typer.Exit(follow_driver(follow, process, log))
        elif conf is not None:
            typer.echo(f"told={place_to_tell(conf, overrides or [], mode)}")
    except (InputError, StorageError) as error:
        for text in error.faults if isinstance(error, InputError) else [refused(error)]:
            typer.echo(f"error {text}", err=True)
        raise typer.Exit(2) from None


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


def pack_packages(target: str) -> None:
    """Write an archive of the code and its settings, for a driver that has no checkout."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in SENT:
            for path in sorted((ROOT / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, path.relative_to(ROOT))


def follow_driver(told: str, process: int, log: str) -> int:
    """Show what a driver tells until the process that submitted it ends; returns the run's exit status.

    Where the driver never told a status, a sentence names the log, and the status is 1.
    """
    shown, alive = 0, True
    while alive:
        alive = _is_running(process)
        text = _read(told + LOG)
        sys.stderr.write(text[shown:])
        sys.stderr.flush()
        shown = len(text)
        if alive:
            time.sleep(SECONDS_BETWEEN)
    status = _read(told + STATUS)
    for end in (LOG, STATUS):
        remove(told + end)
    if status.strip().isdigit():
        return int(status)
    typer.echo(f"submit_etl: found a run that ended without a word, wanted a status; {_last(log)}", err=True)
    return 1


def _read(place: str) -> str:
    try:
        return read_whole(place).decode()
    except (FileNotFoundError, StorageError):
        return ""


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return os.path.exists(f"/proc/{process}")


def _last(log: str) -> str:
    """The last line of Spark's output that tells a cause, and where all of it is."""
    try:
        lines = Path(log).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    causes = [
        line.strip()
        for line in lines
        if "Exception" in line or "diagnostics:" in line or "error" in line.lower()
    ]
    return f"Spark says '{causes[-1][:300]}' ({log})" if causes else f"what Spark says is in {log}"


if __name__ == "__main__":
    app()
