"""The launcher's key-value store, which answers while the ranks' own group hangs, from any host.

horovodrun keeps an HTTP server for its ranks, torchrun a TCPStore. Both end with their launcher.
"""

from __future__ import annotations

import os
import queue
import threading
import urllib.error
import urllib.request
from datetime import timedelta
from http.client import HTTPException
from typing import Any, Protocol

from train.launch import launcher

SCOPE = "exoshard"
ANSWER_SECONDS = 5.0
"""Time for one answer: a rank asks every few seconds, and an answer takes milliseconds."""


class StoreError(Exception):
    """The launcher's store does not answer."""


class Store(Protocol):
    """Texts by key, shared by the ranks of a launch; both calls raise `StoreError`."""

    def put(self, key: str, text: str) -> None:
        """Replace the text of a key."""
        ...

    def get(self, key: str) -> str | None:
        """The text of a key; None where there is none yet."""
        ...


class HorovodStore:
    """The HTTP server of horovodrun's gloo controller.

    `world` counts the worlds of ranks before, whose keys are not those of this one.
    """

    def __init__(self, world: int = 0) -> None:
        host = os.environ["HOROVOD_GLOO_RENDEZVOUS_ADDR"]
        self._base = f"http://{host}:{os.environ['HOROVOD_GLOO_RENDEZVOUS_PORT']}/{SCOPE}-{world}"
        # A proxy of the environment is not for the launcher.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def put(self, key: str, text: str) -> None:
        """Replace the text of a key."""
        self._ask(urllib.request.Request(f"{self._base}/{key}", data=text.encode(), method="PUT"))

    def get(self, key: str) -> str | None:
        """The text of a key; None where there is none yet."""
        return self._ask(urllib.request.Request(f"{self._base}/{key}"))

    def _ask(self, request: urllib.request.Request) -> str | None:
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise StoreError(str(error)) from None
        except (OSError, HTTPException) as error:  # refused, cut off, or no answer in time
            raise StoreError(str(error)) from None


class TorchStore:
    """The TCPStore of torchrun, over a connection of its own."""

    def __init__(self) -> None:
        self._client: Any = None

    def put(self, key: str, text: str) -> None:
        """Replace the text of a key."""
        self._ask(lambda client: client.set(key, text))

    def get(self, key: str) -> str | None:
        """The text of a key; None where there is none yet."""
        found = self._ask(lambda client: client.get(key) if client.check([key]) else None)
        return None if found is None else found.decode()

    def _ask(self, question: Any) -> Any:
        """Ask in a thread that can be given up: torch waits without end for a host that fell silent."""
        answers: queue.SimpleQueue[tuple[Any, str | None]] = queue.SimpleQueue()
        threading.Thread(target=self._answer, args=(question, answers), daemon=True).start()
        try:
            answer, failure = answers.get(timeout=2 * ANSWER_SECONDS)  # to connect, and to be answered
        except queue.Empty:
            answer, failure = None, "no answer"
        if failure is not None:
            self._client = None
            raise StoreError(failure)
        return answer

    def _answer(self, question: Any, answers: queue.SimpleQueue[tuple[Any, str | None]]) -> None:
        try:
            if self._client is None:
                self._client = self._connect()
            answers.put((question(self._client), None))
        except RuntimeError as error:  # what torch raises for a connection that is refused, lost or too slow
            answers.put((None, str(error)))

    @staticmethod
    def _connect() -> Any:
        from torch.distributed import PrefixStore, TCPStore

        store = TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=ANSWER_SECONDS),
        )
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return PrefixStore(f"{SCOPE}/{os.environ.get('TORCHELASTIC_RUN_ID', '')}/{attempt}", store)


def open_store(world: int = 0) -> Store | None:
    """The store of the launcher that started this process; None where it has none.

    Parameters
    ----------
    world
        How many worlds of ranks there were before, where ranks come and go.
    """
    found = launcher()
    if found == "horovod" and "HOROVOD_GLOO_RENDEZVOUS_ADDR" in os.environ:
        return HorovodStore(world)
    if found == "ddp" and "MASTER_PORT" in os.environ:
        return TorchStore()
    return None
