"""A real API server, of one Kubernetes version, that takes or refuses every overlay. It starts no pod."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.check import manifests
from deploy.check.cache import cache_folder
from deploy.check.runner import LeftOutError, program

NEEDS = ("kubectl", "etcd", "openssl")
BUILD = Path(__file__).with_name("kube_apiserver") / "build.sh"
SECONDS_TO_START = 90
_TOKEN = "only-for-this-run"
"""The server listens on the loopback interface for as long as the check takes."""


def definitions(root: Path) -> list[Path]:
    """Files that define the custom kinds: in the folder EXOSHARD_CRDS, or in shared/ beside the checkout."""
    named = os.environ.get("EXOSHARD_CRDS")
    if named:
        return sorted(Path(named).glob("*.yaml"))
    return sorted((root.parent / "shared" / "data").glob("*kubernetes_crds/*.yaml"))


def server_program() -> Path:
    """The server, built once into the cache folder; raises LeftOutError where it can't be."""
    if not _kept().is_file() and program("go") is None:
        raise LeftOutError(
            "kube-apiserver is not in the cache folder, and Go, which would build it, is not installed"
        )
    done = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise LeftOutError(f"{BUILD.name} could not build kube-apiserver; its lines say why")
    return Path(done.stdout.strip())


def _kept() -> Path:
    lines = (BUILD.parent / "go.mod").read_text().split()
    return cache_folder() / "kube-apiserver" / lines[lines.index("k8s.io/kubernetes") + 1] / "kube-apiserver"


@dataclass(frozen=True)
class Client:
    """kubectl, bound to the server that was started."""

    port: int

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl with something on its standard input."""
        command = [
            program("kubectl") or "kubectl",
            f"--server=https://127.0.0.1:{self.port}",
            "--insecure-skip-tls-verify=true",
            f"--token={_TOKEN}",
            *arguments,
        ]
        environment = {**os.environ, "KUBECONFIG": os.devnull}
        return subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=120, check=False, env=environment
        )

    def refusals(self, text: str) -> list[str]:
        """What the server says against objects, warnings too; it keeps none of them."""
        done = self.run("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return said or ([] if done.returncode == 0 else [f"kubectl ended with status {done.returncode}"])


def faults(root: Path) -> list[str]:
    """What the server says against the overlays and, under the restricted standard, against their pods."""
    files = definitions(root)
    if not files:
        raise LeftOutError(
            "the custom kinds' definitions were not found; EXOSHARD_CRDS names the folder that has them"
        )
    program_path = server_program()
    with (
        tempfile.TemporaryDirectory(prefix="exoshard-api-server-") as folder,
        _started(program_path, folder) as client,
    ):
        _define(client, files)
        said: list[str] = []
        for overlay in manifests.overlays(root):
            text, failed = manifests.render(root, overlay)
            if not failed:
                said += [f"deploy/kubernetes/{overlay}: {line}" for line in _judged(client, text)]
        return list(dict.fromkeys(said))


def _judged(client: Client, text: str) -> list[str]:
    """Objects go in once their namespace is there; pods of custom kinds are tried as pods of their own."""
    yaml = importlib.import_module("yaml")
    objects = manifests.load(text)
    spaces = [one for one in objects if one.get("kind") == "Namespace"]
    taken = client.run("apply", "-f", "-", text=yaml.safe_dump_all(spaces))
    if taken.returncode:
        return [taken.stderr.strip()]
    templates = [manifests.as_pod(one, place, spec) for one in objects for place, spec in manifests.pods(one)]
    for pod in templates:
        pod["spec"] = {**pod["spec"]}
        pod["spec"].setdefault("restartPolicy", "Never")
    return client.refusals(text) + client.refusals(yaml.safe_dump_all(templates))


def _define(client: Client, files: list[Path]) -> None:
    for path in files:
        done = client.run("apply", "--server-side", "-f", str(path))
        if done.returncode:
            raise LeftOutError(f"{path} could not be taken as a definition: {done.stderr.strip()}")
    done = client.run("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    if done.returncode:
        raise LeftOutError(f"the definitions were not established: {done.stderr.strip()}")


@contextmanager
def _started(server: Path, folder: str) -> Iterator[Client]:
    """Etcd and the server with everything in one folder that goes away with them."""
    store, peers, port = _free_ports(3)
    subprocess.run(
        ["openssl", "genrsa", "-out", f"{folder}/account.key", "2048"], capture_output=True, check=True
    )
    Path(folder, "tokens.csv").write_text(f"{_TOKEN},admin,1,system:masters\n")
    commands = [
        [
            program("etcd") or "etcd",
            f"--data-dir={folder}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{store}",
            f"--advertise-client-urls=http://127.0.0.1:{store}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
            f"--initial-cluster=default=http://127.0.0.1:{peers}",
        ],
        [
            str(server),
            f"--etcd-servers=http://127.0.0.1:{store}",
            f"--service-account-key-file={folder}/account.key",
            f"--service-account-signing-key-file={folder}/account.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--cert-dir={folder}/certificates",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
        ],
    ]
    processes: list[subprocess.Popen[bytes]] = []
    with open(f"{folder}/log", "wb") as log:
        try:
            for command in commands:
                processes.append(subprocess.Popen(command, stdout=log, stderr=log))
            client = Client(port)
            _wait(client, processes, Path(folder, "log"))
            yield client
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                _end(process)


def _wait(client: Client, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while client.run("get", "--raw", "/readyz").returncode:
        ended = any(process.poll() is not None for process in processes)
        if ended or time.monotonic() > deadline:
            print("\n".join(log.read_text(errors="replace").splitlines()[-10:]), file=sys.stderr)
            raise LeftOutError("the API server did not start; the lines above are the end of its log")
        time.sleep(0.5)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
