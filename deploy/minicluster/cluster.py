"""Starting and stopping the services of a folder, and killing parts of them for tests of faults."""

from __future__ import annotations

import getpass
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contract.errors import InputError, fault
from deploy.minicluster import processes, ready, store
from deploy.minicluster.daemons import commands, daemon_environment, daemons_of, java_command
from deploy.minicluster.errors import ClusterError, last_error
from deploy.minicluster.hadoop import write_configuration
from deploy.minicluster.ports import HOST, choose_ports
from deploy.minicluster.processes import is_alive
from deploy.minicluster.services import CONNECTORS, SERVICES, Size, Tools, find_tools, left_out, sentences
from deploy.minicluster.spark import environment, root, spark_settings
from deploy.minicluster.state import S3, Gcs, Hdfs, Jars, State, Yarn, read_state, state_path, write_state

__all__ = [
    "Size",
    "State",
    "environment",
    "fetch",
    "kill",
    "read_state",
    "restart",
    "root",
    "spark_settings",
    "start",
    "stop",
]

FOLDER = Path("build/minicluster")
BUCKET = "cohort"
START_SECONDS = 300
"""A machine that is busy with other things may need minutes."""
Say = Callable[[str], None]


def start(
    folder: str | Path = FOLDER,
    services: Sequence[str] = SERVICES,
    size: Size = Size(),  # noqa: B008 - frozen
    say: Say = print,
) -> State:
    """Bring services up and wait until each answers; what lacks its tools is told and left out.

    A cluster that is up in the folder is left as it is. A start that fails stops what it had started.

    Raises
    ------
    ClusterError
        Nothing can be started, or a service ended or did not answer in time.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with store.locked(folder / ".lock"):
        if state_path(folder).exists():
            return _already_up(folder, say)
        _end_all(folder)  # of a start that was killed
        started, jars, tools, cache = _brought(services, say)
        if not started:
            raise ClusterError("Nothing can be started.")
        cache.mkdir(parents=True, exist_ok=True)
        # Until they listen, another start would find the same ports free.
        with store.locked(cache / "ports.lock"), _stopped_on_failure(folder):
            state = _planned(folder, started, size, tools, jars)
            state = _launched(state, size, cache)
            for service in state.services:
                _await(state, service, say)
            write_state(state)
        return state


def fetch(services: Sequence[str] = SERVICES, say: Say = print) -> None:
    """Bring what services need into the cache, and start nothing; what lacks its tools is told and left out.

    Raises
    ------
    ClusterError
        Maven or Go failed, or brought something else than what is pinned.
    """
    _brought(services, say)


def _brought(services: Sequence[str], say: Say) -> tuple[tuple[str, ...], Jars, Tools, Path]:
    """Services for which all is in the cache now, their jars, the tools and the cache."""
    tools, cache = find_tools(), store.cache_folder()
    lacking = left_out(services, tools, store.cached_parts(cache))
    for sentence in sentences(lacking):
        say(sentence)
    had = tuple(name for name in services if name not in lacking)
    return had, _fetch(cache, had, lacking, tools, say) if had else Jars(), tools, cache


def stop(folder: str | Path = FOLDER, *, keep: bool = False, say: Say = print) -> None:
    """End every process of a folder's cluster, and remove its data unless they are to be kept; logs stay."""
    folder = Path(folder).resolve()
    if not folder.is_dir():
        say(f"no cluster is in {folder}.")
        return
    with store.locked(folder / ".lock"):
        ended = _end_all(folder)
        state_path(folder).unlink(missing_ok=True)
        if not keep:
            for part in ("data", "conf", "pids"):
                shutil.rmtree(folder / part, ignore_errors=True)
        say(f"{ended} processes ended." if ended else "nothing was running.")


def kill(state: State, name: str, *, with_containers: bool = False) -> None:
    """Kill one daemon by SIGKILL, as a crash does; with its containers, as the loss of a node does.

    Raises
    ------
    InputError
        No daemon has that name.
    """
    process = _process(state, name)
    processes.send(process, signal.SIGKILL)
    if with_containers:
        processes.end(processes.containers(Path(state.folder), f"{name}/"), seconds=0)
    processes.end([process], seconds=0)


def restart(state: State, name: str) -> State:
    """Start a daemon again, as it was started first, and wait until its service answers.

    Raises
    ------
    ClusterError
        It ended or did not answer in time.
    """
    old = _process(state, name)
    processes.end([old])
    folder = Path(state.folder)
    process = processes.launch(name, old.command, daemon_environment(state, name), folder)
    state = state.model_copy(update={"processes": {**state.processes, name: process}})
    write_state(state)
    service = next(service for service in state.services if name in daemons_of(state, service))
    _await(state, service, lambda _: None, only=name)
    return state


def _already_up(folder: Path, say: Say) -> State:
    state = read_state(folder)
    gone = [name for name, process in state.processes.items() if not is_alive(process)]
    if gone:
        raise ClusterError(f"{', '.join(gone)} of the cluster in {folder} ended; take it down first.")
    say(f"the cluster in {folder} is up already.")
    return state


def _fetch(cache: Path, services: Sequence[str], lacking: dict[str, str], tools: Tools, say: Say) -> Jars:
    """Bring what the services need into the cache."""
    parts = ["jars/hadoop"] if {"hdfs", "yarn"} & set(services) else []
    for service in ("s3", "gcs"):
        if service in services:
            parts.append(f"bin/{service}")
            if f"{service} connector" not in lacking:
                parts.append(f"jars/{CONNECTORS[service]}")
    for part in parts:
        if part not in store.cached_parts(cache):
            began = time.monotonic()
            say(f"fetching {part} ...")
            store.fetch(cache, part, tools)
            say(f"fetched {part} in {time.monotonic() - began:.0f} s")
    have = {part: store.jars(cache, part) for part in ("s3a", "gcs") if f"jars/{part}" in parts}
    return Jars(**have)


def _planned(folder: Path, services: Sequence[str], size: Size, tools: Tools, jars: Jars) -> State:
    """The cluster that is to be."""
    ports = choose_ports(tuple(services), size)
    hadoop = bool({"hdfs", "yarn"} & set(services))
    user = getpass.getuser()
    return State(
        folder=str(folder),
        ports=ports,
        java_home=store.java_home(tools.java) if tools.java else None,
        hadoop_conf_dir=str(folder / "conf" / "hadoop") if hadoop else None,
        jars=jars,
        hdfs=Hdfs(
            uri=f"hdfs://{HOST}:{ports['namenode.rpc']}",
            webhdfs=f"{HOST}:{ports['namenode.http']}",
            user=user,
            datanodes=size.datanodes,
        )
        if "hdfs" in services
        else None,
        yarn=Yarn(
            resourcemanager=f"{HOST}:{ports['resourcemanager.client']}",
            rest=f"http://{HOST}:{ports['resourcemanager.web']}",
            nodemanagers=size.nodemanagers,
        )
        if "yarn" in services
        else None,
        s3=S3(
            endpoint=f"http://{HOST}:{ports['s3.api']}",
            access_key=f"minicluster-{secrets.token_hex(4)}",
            secret_key=secrets.token_hex(20),
            bucket=BUCKET,
        )
        if "s3" in services
        else None,
        gcs=Gcs(endpoint=f"http://{HOST}:{ports['gcs.api']}", bucket=BUCKET) if "gcs" in services else None,
    )


def _launched(state: State, size: Size, cache: Path) -> State:
    """Start every daemon; each waits by itself for those that it needs."""
    folder = Path(state.folder)
    for part in ("data", "logs", "pids"):
        (folder / part).mkdir(exist_ok=True)
    if state.hadoop_conf_dir:
        write_configuration(folder, state.ports, size)
    if state.hdfs and not (folder / "data" / "namenode" / "current").exists():
        _format(state, cache)
    found = {
        name: processes.launch(name, command, daemon_environment(state, name), folder)
        for name, command in commands(state, cache).items()
    }
    return state.model_copy(update={"processes": found})


def _format(state: State, cache: Path) -> None:
    command = java_command(state, "namenode", cache, "-format", "-force", "-nonInteractive")
    environment = daemon_environment(state, "namenode")
    done = subprocess.run(
        command,
        env=environment,
        cwd=state.folder,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    (Path(state.folder) / "logs" / "format.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode != 0:
        raise ClusterError(f"HDFS could not be formatted: {last_error(done.stdout + done.stderr)}")


def _await(state: State, service: str, say: Say, only: str | None = None) -> None:
    """Wait until a service answers, and furnish it.

    Raises
    ------
    ClusterError
        One of its daemons ended (`only`: that one), or the time is over.
    """
    began = time.monotonic()
    mine = daemons_of(state, service)

    def check() -> None:
        for name, process in mine.items():
            if only in (None, name) and not is_alive(process):
                log = Path(process.log)
                why = last_error(log.read_text(encoding="utf-8", errors="replace"))
                raise ClusterError(f"{name} ended: {why} ({log})")

    def ask() -> bool:
        return (only is None or ready.daemon_answers(state, only)) and ready.answers(state, service)

    if not ready.wait_for(ask, START_SECONDS, check):
        logs = ", ".join(process.log for process in mine.values())
        raise ClusterError(f"{service} did not answer within {START_SECONDS} s; see {logs}.")
    try:
        ready.furnish(state, service)
    except OSError as error:
        check()
        raise ClusterError(f"{service} answers, but refuses: {error}") from None
    check()  # another one's service may answer at the port
    say(f"{service} answers after {time.monotonic() - began:.1f} s")


@contextmanager
def _stopped_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _end_all(folder)
        raise


def _end_all(folder: Path) -> int:
    """End the known processes of a folder, then containers that outlived their NodeManager."""
    known = processes.known_processes(folder)
    running = [process for process in known.values() if is_alive(process)]
    # NodeManagers first: they end their containers in order as long as the others answer.
    nodes = [process for name, process in known.items() if name.startswith("nodemanager")]
    processes.end(nodes)
    orphans = processes.containers(folder)
    processes.end(orphans, seconds=5)
    processes.end(known.values())
    for name in known:
        (folder / "pids" / name).unlink(missing_ok=True)
    return len(running) + len(orphans)


def _process(state: State, name: str) -> processes.Process:
    if name not in state.processes:
        where = state_path(Path(state.folder))
        raise InputError(fault(where, "daemon", found=name, wanted=f"one of {', '.join(state.processes)}"))
    return state.processes[name]
