"""Wall time and peak memory of a command together with all the processes it starts."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

SAMPLING_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one command took.

    `peak_rss_mb` is the largest sum, over the command and its descendants at one moment, of resident memory,
    in 10⁶ bytes. A page that processes share counts once: each has its share of it (PSS of Linux).
    """

    seconds: float
    peak_rss_mb: float
    returncode: int


def run_measured(
    command: Sequence[str], timeout: float, *, env: Mapping[str, str] | None = None, quiet: bool = False
) -> Measured:
    """Run a command to its end and sample the memory of its process tree.

    Its output goes where this process writes, unless `quiet`. `env` is added to the environment.
    `timeout` is in seconds.

    Raises
    ------
    subprocess.TimeoutExpired
        When the command ran longer; its whole process tree has been killed by then.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        list(command),
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
    )
    tree = psutil.Process(child.pid)
    peak = 0
    try:
        while child.poll() is None:
            peak = max(peak, resident_bytes(tree))
            if time.perf_counter() - started > timeout:
                raise subprocess.TimeoutExpired(list(command), timeout)
            _wait(child, SAMPLING_SECONDS)
    except BaseException:
        kill_tree(tree)
        child.wait()
        raise
    return Measured(
        seconds=time.perf_counter() - started, peak_rss_mb=peak / 1e6, returncode=child.returncode
    )


def resident_bytes(tree: psutil.Process) -> int:
    """Return the resident memory of a process and its descendants, shared pages once.

    Processes that just ended count 0.
    """
    total = 0
    for process in _members(tree):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def kill_tree(tree: psutil.Process) -> None:
    """Kill a process and its descendants, and wait until they are gone."""
    members = _members(tree)
    for process in members:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(members, timeout=10)


def _members(tree: psutil.Process) -> list[psutil.Process]:
    try:
        return [tree, *tree.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
