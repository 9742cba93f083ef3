"""`python -m deploy.minicluster up|fetch|down|status`: real services on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contract.errors import InputError
from deploy.minicluster import cluster, ready
from deploy.minicluster.errors import ClusterError
from deploy.minicluster.processes import is_alive
from deploy.minicluster.services import Size, chosen
from deploy.minicluster.state import State, read_state

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option(help="everything of the cluster lies here")]


def told(command: Callable[..., None]) -> Callable[..., None]:
    """Tell what a user can mend in one sentence: status 2 for bad input, 1 for services."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except InputError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(2) from None
        except ClusterError as error:
            say(str(error), file=sys.stderr)
            raise typer.Exit(1) from None

    return run


def say(sentence: str, file: Any = None) -> None:
    print(f"minicluster: {sentence}", file=file, flush=True)


@app.command()
@told
def up(  # noqa: PLR0913 - each is an option of the command line
    folder: Folder = cluster.FOLDER,
    only: Annotated[str | None, typer.Option(help="some of hdfs,yarn,s3,gcs; by default all")] = None,
    datanodes: Annotated[int, typer.Option(help="DataNodes of HDFS")] = 1,
    nodemanagers: Annotated[int, typer.Option(help="NodeManagers of YARN")] = 1,
    memory_mb: Annotated[int, typer.Option(help="memory that YARN lends, in MB, of all nodes")] = 6144,
    vcores: Annotated[int, typer.Option(help="cores that YARN lends, of all nodes")] = 4,
) -> None:
    """Start HDFS, YARN, an S3 server and a GCS server, or some of them, and wait until they answer."""
    cluster.start(folder, chosen(only), Size(datanodes, nodemanagers, memory_mb, vcores), say)


@app.command()
@told
def fetch(
    only: Annotated[str | None, typer.Option(help="some of hdfs,yarn,s3,gcs; by default all")] = None,
) -> None:
    """Bring what the services need into the cache folder, and start nothing."""
    cluster.fetch(chosen(only), say)


@app.command()
@told
def down(
    folder: Folder = cluster.FOLDER,
    keep: Annotated[bool, typer.Option("--keep", help="leave the data for the next start")] = False,
) -> None:
    """Stop everything, and remove the data; logs stay."""
    cluster.stop(folder, keep=keep, say=say)


@app.command()
@told
def status(folder: Folder = cluster.FOLDER) -> None:
    """Print which services answer, where, and their processes; status 1 where one does not."""
    state = read_state(folder)
    addresses = _addresses(state)
    services = Table("service", "answers", "address")
    answering = {service: ready.answers(state, service) for service in state.services}
    for service, answer in answering.items():
        services.add_row(service, "yes" if answer else "no", addresses[service])
    daemons = Table("process", "pid", "runs", "log")
    for name, process in state.processes.items():
        log = str(Path(process.log).relative_to(state.folder))
        daemons.add_row(name, str(process.pid), "yes" if is_alive(process) else "no", log)
    console = Console()
    console.print(services)
    console.print(daemons)
    if not all(answering.values()):
        raise typer.Exit(1)


def _addresses(state: State) -> dict[str, str]:
    found = {}
    if state.hdfs:
        found["hdfs"] = f"{state.hdfs.uri} (WebHDFS at {state.hdfs.webhdfs})"
    if state.yarn:
        found["yarn"] = f"{state.yarn.resourcemanager} (REST at {state.yarn.rest})"
    if state.s3:
        found["s3"] = f"{state.s3.endpoint}, bucket {state.s3.bucket}"
    if state.gcs:
        found["gcs"] = f"{state.gcs.endpoint}, bucket {state.gcs.bucket}"
    return found


if __name__ == "__main__":
    app()
