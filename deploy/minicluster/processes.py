"""Starting processes that outlive us, and ending them without ever ending another's."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from deploy.minicluster.state import Process, write_private

SECONDS_TO_END = 20
TICK = 0.1


def launch(name: str, command: list[str], environment: dict[str, str], folder: Path) -> Process:
    """Start a daemon with a log of its own, in its own session, as a child of no one.

    Its identity is in pids/NAME before this returns, so that a start that is killed leaves nothing unknown.
    """
    log = folder / "logs" / f"{name}.log"
    with log.open("wb") as stream:
        # The shell ends at once: no process of ours has to collect the daemon's status.
        told = subprocess.run(
            ["sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream,
            start_new_session=True,
            check=True,
        ).stdout
    pid = int(told)
    process = Process(pid=pid, started=start_ticks(pid) or 0, log=str(log), command=command)
    write_private(folder / "pids" / name, process.model_dump_json() + "\n")
    return process


def known_processes(folder: Path) -> dict[str, Process]:
    """Everything that was started from a folder and not stopped, by name."""
    found = sorted((folder / "pids").glob("*"))
    return {
        path.name: Process.model_validate_json(path.read_text(encoding="utf-8"))
        for path in found
        if path.suffix != ".partial"
    }


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where it is gone or a zombie."""
    try:
        # The name in brackets may itself hold blanks and brackets.
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(process: Process) -> bool:
    """Whether this very process runs, and not another one with its number."""
    return process.started > 0 and start_ticks(process.pid) == process.started


def send(process: Process, number: int) -> None:
    """Signal a process, if it is still the one that was started."""
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def end(processes: Iterable[Process], seconds: float = SECONDS_TO_END) -> None:
    """Ask processes to end, wait, and kill those that did not."""
    running = list(processes)
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
        for process in running:
            send(process, number)
        until = time.monotonic() + patience
        while time.monotonic() < until and any(map(is_alive, running)):
            time.sleep(TICK)


def containers(folder: Path, node: str = "nodemanager-") -> list[Process]:
    """Processes of YARN's containers on a NodeManager: they outlive one that was killed.

    They work in its folder and carry a container's identifier in their environment.
    """
    place = str(folder / "data" / node)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            inside = os.readlink(entry / "cwd").startswith(place)
            contained = inside and b"\0CONTAINER_ID=" in b"\0" + (entry / "environ").read_bytes()
        except OSError:  # gone, or another user's
            continue
        ticks = start_ticks(int(entry.name)) if contained else None
        if ticks:
            found.append(Process(pid=int(entry.name), started=ticks, log="", command=[]))
    return found
