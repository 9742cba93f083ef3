"""An S3 server on this machine, slow or faulty where a test wants it; moto keeps the objects in memory.

As a program, `python -m tests.object_store PORT DELAY FAIL_EVERY`: every answer comes DELAY seconds late, and
every so many a request fails with status 503, as stores do that are busy (0: none).
"""

import itertools
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

KEY = "planted-secret-key"


@contextmanager
def object_store(
    monkeypatch: pytest.MonkeyPatch, *, delay: float = 0.0, fail_every: int = 0
) -> Iterator[str]:
    """URL of an empty bucket, which s3fs finds by the usual variables of the environment."""
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.object_store", str(port), str(delay), str(fail_every)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "planted-id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()  # they hold the settings of another test's server
        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    finally:
        server.kill()
        server.wait()
        s3fs.S3FileSystem.clear_instance_cache()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        assert server.poll() is None
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(url)


def _serve(port: int, delay: float, fail_every: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    store, count = DomainDispatcherApplication(create_backend_app), itertools.count(1)

    def answer(environment: dict[str, Any], start: Callable[..., Any]) -> Any:
        time.sleep(delay)
        if fail_every and environment["PATH_INFO"].count("/") > 1 and next(count) % fail_every == 0:
            start("503 Slow Down", [("Content-Length", "0")])
            return []
        return store(environment, start)

    run_simple("127.0.0.1", port, answer, threaded=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
