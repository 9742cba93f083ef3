import socket
import threading
import time

import pytest
from torch.distributed import TCPStore

from tests.train.optional import needs_horovod
from train.launcher_store import HorovodStore, StoreError, TorchStore, open_store
from train.pulse import PULSE, Pulse, Standing
from train.watchdog import Sign, Watchdog, judge


def sign(seconds: float = 0.0, *, silent: float = 0.0, waits: bool = False) -> Sign:
    return Sign(silent, "here", Standing(seconds, "epoch 1, step 2", "train/data.py:9, read", waits))


@pytest.mark.parametrize(
    ("signs", "sentence"),
    [
        ([sign(), sign(8)], ""),
        ([sign(99, waits=True), sign(8)], ""),
        (
            [sign(99, waits=True), sign(11)],
            "rank 1 of 2 on here stands still in epoch 1, step 2 (train/data.py:9, read) for 11 s",
        ),
        (
            [sign(99, waits=True), sign(silent=12)],
            "rank 1 of 2 on here has given no sign of life for 12 s (last seen in epoch 1, step 2), "
            "others wait in epoch 2, step 1",
        ),
        (
            [sign(), Sign(30, "", None)],
            "rank 1 of 2 has given no sign of life for 30 s (never seen), others wait in epoch 2, step 1",
        ),
        (
            [sign(99, waits=True), sign(12, waits=True)],
            "all 2 ranks wait for each other in epoch 1, step 2 for 12 s",
        ),
        (
            [sign(11), sign(12)],
            "rank 0 of 2 on here stands still in epoch 1, step 2 (train/data.py:9, read) for 11 s; "
            "rank 1 of 2 on here stands still in epoch 1, step 2 (train/data.py:9, read) for 12 s",
        ),
    ],
)
def test_judge__who_stands_still(signs: list[Sign], sentence: str):
    assert judge(dict(enumerate(signs)), 2, 10, "epoch 2, step 1") == sentence


class Shelf:
    """A store in this process."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def put(self, key: str, text: str) -> None:
        self.texts[key] = text

    def get(self, key: str) -> str | None:
        return self.texts.get(key)


def test_watchdog__one_rank_tells_it_and_all_end(monkeypatch: pytest.MonkeyPatch):
    # Three ranks; the last never comes.
    monkeypatch.setattr("train.watchdog.SPEAKS_FIRST", 0)
    shelf, ends = Shelf(), {0: [], 1: []}
    dogs = [Watchdog(shelf, rank, 3, 0.2, ends[rank].append) for rank in ends]
    deadline = time.monotonic() + 5
    while not all(ends.values()) and time.monotonic() < deadline:
        for dog in dogs:
            PULSE.renew()
            dog.look()
        time.sleep(0.02)
    assert ends[0][0].startswith("rank 2 of 3 has given no sign of life for 0 s (never seen)")
    assert "(run.stall_seconds=0.2); all ranks end, the same command goes on from the last" in ends[0][0]
    assert ends[1] == [""]


def test_watchdog__a_silent_leader_is_told_by_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("train.watchdog.SPEAKS_FIRST", 0)
    told: list[str] = []
    dog = Watchdog(Shelf(), 1, 2, 0.1, told.append)
    time.sleep(0.15)
    dog.look()
    assert told[0].startswith("rank 0 of 2 has given no sign of life")


def test_pulse__processor_time_counts_between_steps_alone():
    for computes in (True, False):
        pulse = Pulse()
        pulse.mark("here", computes=computes)
        pulse.standing()
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
        assert (pulse.standing().seconds == 0) is computes


def test_pulse__sleep_is_no_sign_of_life():
    pulse = Pulse()
    pulse.mark("the fit of gene effects")
    pulse.standing()
    time.sleep(0.3)
    found = pulse.standing()
    assert found.seconds >= 0.3
    assert (found.place, found.waits) == ("the fit of gene effects", False)


def test_pulse__line_of_the_main_thread_in_our_code():
    found: list[Standing] = []
    thread = threading.Thread(target=lambda: found.append(Pulse().standing()))
    thread.start()
    thread.join()
    assert found[0].line == "outside of the trainer"


@needs_horovod
def test_horovod_store__put_and_get(monkeypatch: pytest.MonkeyPatch):
    from horovod.runner.http.http_server import RendezvousServer

    server = RendezvousServer()
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_GLOO_RENDEZVOUS_ADDR", "127.0.0.1")
    monkeypatch.setenv("HOROVOD_GLOO_RENDEZVOUS_PORT", str(server.start()))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.init([])
    store = open_store()
    assert isinstance(store, HorovodStore)
    assert store.get("a") is None
    store.put("a", "é 1")
    store.put("a", "é 2")
    assert store.get("a") == "é 2"
    server.stop()
    server._httpd.server_close()
    with pytest.raises(StoreError, match="refused"):
        store.get("a")


def test_torch_store__put_and_get(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    for name, value in {"RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    store = open_store()
    assert isinstance(store, TorchStore)
    assert store.get("a") is None
    store.put("a", "é 1")
    assert store.get("a") == "é 1"
    monkeypatch.setattr("train.launcher_store.ANSWER_SECONDS", 0.5)
    del server
    with pytest.raises(StoreError, match="Failed to recv"):
        store.get("a")


def test_open_store__none_without_a_launcher():
    assert open_store() is None
