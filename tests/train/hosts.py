"""Two hosts on one machine: network namespaces, a cable between them, names of their own, sshd in each."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PORT = 2222
NETWORK = "10.213.7"
SSHD = Path("/usr/sbin/sshd")


@dataclass(frozen=True)
class Hosts:
    """What a test needs to start something on them."""

    names: tuple[str, str]
    addresses: tuple[str, str]
    key: Path

    def command(self, host: int, words: Sequence[str]) -> list[str]:
        """The same command, on a host."""
        name = self.names[host]
        inside = ["unshare", "--uts", "bash", "-c", f'hostname {name}; exec "$@"', "--", *words]
        return ["ip", "netns", "exec", name, *inside]

    def cut_off(self, host: int) -> None:
        """Pull the cable: nothing leaves this host any more, and nobody is told."""
        _run("ip", "-n", self.names[host], "link", "set", "eth0", "down")


@contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    """Make them for as long as the block runs; skips the test where that isn't allowed."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and ip")
    mark = f"{os.getpid() % 10_000}"
    hosts = Hosts((f"exo-a{mark}", f"exo-b{mark}"), (f"{NETWORK}.1", f"{NETWORK}.2"), folder / "ssh" / "id")
    made = subprocess.run(["ip", "netns", "add", hosts.names[0]], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespace can be made: {made.stderr.strip()}")
    servers: list[subprocess.Popen[bytes]] = []
    try:
        _run("ip", "netns", "add", hosts.names[1])
        a, b = hosts.names
        _run("ip", "link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b)
        lines = [f"{address} {name}" for address, name in zip(hosts.addresses, hosts.names, strict=True)]
        for name, address in zip(hosts.names, hosts.addresses, strict=True):
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _run("ip", "-n", name, "link", "set", device, "up")
            known = Path("/etc/netns") / name / "hosts"
            known.parent.mkdir(parents=True)
            known.write_text("\n".join(["127.0.0.1 localhost", *lines]) + "\n")
        if SSHD.exists():
            servers = _ssh_servers(hosts, folder / "ssh")
        yield hosts
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        for name in hosts.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)


def _ssh_servers(hosts: Hosts, folder: Path) -> list[subprocess.Popen[bytes]]:
    folder.mkdir(mode=0o700)
    Path("/run/sshd").mkdir(exist_ok=True)
    host_key = Path(tempfile.mkdtemp(dir=folder)) / "host"
    for key in (hosts.key, host_key):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    servers = []
    for host, address in enumerate(hosts.addresses):
        config = folder / f"sshd{host}.conf"
        config.write_text(
            f"Port {PORT}\nListenAddress {address}\nHostKey {host_key}\nPidFile {folder}/sshd{host}.pid\n"
            f"AuthorizedKeysFile {hosts.key}.pub\nPasswordAuthentication no\nUsePAM no\nStrictModes no\n"
        )
        servers.append(subprocess.Popen(hosts.command(host, [str(SSHD), "-D", "-f", str(config)])))
    time.sleep(1)
    return servers


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
