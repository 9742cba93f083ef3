"""A port for everything that listens: the usual one, or a free one where that is taken."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from deploy.minicluster.errors import ClusterError
from deploy.minicluster.services import Size

HOST = "127.0.0.1"
STEP, END = 50, 32000
"""Ports from 32768 are lent to outgoing connections, and would be lost when a service is started again."""


def choose_ports(services: tuple[str, ...], size: Size) -> dict[str, int]:
    """A free port by DAEMON.PURPOSE for each service; fixed where nothing else listens there.

    Raises
    ------
    ClusterError
        No port is free.
    """
    wanted: dict[str, int] = {}
    if "hdfs" in services:
        wanted |= {"namenode.rpc": 9000, "namenode.http": 9870}
        for node in range(1, size.datanodes + 1):
            more = 10 * (node - 1)
            wanted |= {f"datanode-{node}.{what}": port + more for what, port in DATANODE.items()}
    if "yarn" in services:
        wanted |= {f"resourcemanager.{what}": port for what, port in RESOURCEMANAGER.items()}
        for node in range(1, size.nodemanagers + 1):
            more = 3 * (node - 1)
            wanted |= {f"nodemanager-{node}.{what}": port + more for what, port in NODEMANAGER.items()}
    if "s3" in services:
        wanted["s3.api"] = 9100
    if "gcs" in services:
        wanted["gcs.api"] = 9023
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        chosen[name] = _first_free(port, set(chosen.values()))
    return chosen


DATANODE = {"data": 9866, "http": 9864, "ipc": 9867}
RESOURCEMANAGER = {"client": 8032, "scheduler": 8030, "tracker": 8031, "admin": 8033, "web": 8088}
NODEMANAGER = {"address": 8060, "localizer": 8061, "web": 8062}


def listening(pid: int) -> set[int]:
    """Ports at which a process listens; none where it is gone."""
    sockets = set()
    for entry in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            sockets.add(os.readlink(entry))
    # Columns of the kernel's table: local address:port in hexadecimal digits, state (0A: listens), inode.
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]]
    return {
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == "0A" and f"socket:[{row[9]}]" in sockets
    }


def _first_free(port: int, taken: set[int]) -> int:
    for candidate in range(port, END, STEP):
        if candidate not in taken and _is_free(candidate):
            return candidate
    raise ClusterError(f"no free port was found from {port} to {END}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
