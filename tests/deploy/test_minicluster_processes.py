"""The minicluster's processes: no other is touched, none is left, and each store keeps a file."""

import os
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from contract.errors import InputError
from deploy.minicluster import cluster, processes, ready, services, store
from deploy.minicluster.cluster import Size, environment, kill, read_state, root
from deploy.minicluster.errors import ClusterError, FetchError
from deploy.minicluster.state import State, write_state
from tests.deploy.services_played import ENVIRONMENT, NOTHING, run_command, sleeper, state_of


def test_end__another_process_with_the_same_number_is_left_alone(tmp_path: Path):
    process = sleeper(tmp_path)
    stale = process.model_copy(update={"started": process.started - 1})
    assert not processes.is_alive(stale)
    processes.end([stale], seconds=0.2)
    assert processes.is_alive(process)
    processes.end([process])
    assert not processes.is_alive(process)


def test_stop__stale_record_ends_no_one(tmp_path: Path):
    process = sleeper(tmp_path)
    record = tmp_path / "pids" / "s3"
    record.write_text(process.model_copy(update={"started": 1}).model_dump_json())
    told: list[str] = []
    cluster.stop(tmp_path, say=told.append)
    assert told == ["nothing was running."]
    assert processes.is_alive(process)
    processes.end([process])


def test_stop__removes_data_and_keeps_logs(tmp_path: Path):
    sleeper(tmp_path)
    (tmp_path / "data").mkdir()
    write_state(state_of(tmp_path))
    cluster.stop(tmp_path, say=lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "logs"]


def test_end__one_that_does_not_listen_is_killed(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "pids").mkdir()
    command = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(15, lambda *_: None); time.sleep(60)",
    ]
    process = processes.launch("s3", command, ENVIRONMENT, tmp_path)
    processes.end([process], seconds=0.5)
    assert not processes.is_alive(process)


def test_kill__only_what_has_the_name(tmp_path: Path):
    one, two = sleeper(tmp_path, "datanode-1"), sleeper(tmp_path, "datanode-2")
    state = state_of(tmp_path, processes={"datanode-1": one, "datanode-2": two})
    kill(state, "datanode-2")
    assert [processes.is_alive(one), processes.is_alive(two)] == [True, False]
    with pytest.raises(InputError, match="daemon: found datanode-3, wanted one of datanode-1, datanode-2"):
        kill(state, "datanode-3")
    processes.end([one])


def test_kill__containers_of_that_node_alone(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "pids").mkdir()
    found = {}
    for node in (1, 2):
        place = tmp_path / "data" / f"nodemanager-{node}" / "work"
        place.mkdir(parents=True)
        command = ["sh", "-c", f"cd {place} && exec sleep 60"]
        variables = {**ENVIRONMENT, "CONTAINER_ID": f"container_{node}"}
        found[node] = processes.launch(f"container-{node}", command, variables, tmp_path)
    manager = sleeper(tmp_path, "nodemanager-1")
    kill(state_of(tmp_path, processes={"nodemanager-1": manager}), "nodemanager-1", with_containers=True)
    assert [processes.is_alive(found[node]) for node in (1, 2)] == [False, True]
    cluster.stop(tmp_path, say=lambda _: None)
    assert not processes.is_alive(found[2])


def plant(monkeypatch: pytest.MonkeyPatch, s3: str, gcs: str) -> None:
    """Let shell scripts stand for the two servers."""
    monkeypatch.setattr(store, "cached_parts", lambda _: set(store.PARTS))
    monkeypatch.setattr(cluster, "find_tools", lambda: NOTHING)
    monkeypatch.setattr(cluster, "commands", lambda *_: {"s3": ["sh", "-c", s3], "gcs": ["sh", "-c", gcs]})


def test_start__a_service_that_ends_is_told_and_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plant(
        monkeypatch,
        "sleep 1; echo 'ERROR: the drive is full'; echo bye; exit 1",
        "echo $$ >gcs.pid; exec sleep 60",
    )
    with pytest.raises(ClusterError, match=r"^s3 ended: ERROR: the drive is full \(.*/logs/s3\.log\)$"):
        cluster.start(tmp_path, ("s3", "gcs"), say=lambda _: None)
    assert not (tmp_path / "state.json").exists()
    assert processes.start_ticks(int((tmp_path / "gcs.pid").read_text())) is None
    assert processes.known_processes(tmp_path) == {}


def test_start__a_service_that_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError("no such key")

    plant(monkeypatch, "sleep 60", "sleep 60")
    monkeypatch.setattr(ready, "answers", lambda *_: True)
    monkeypatch.setattr(ready, "furnish", refuse)
    with pytest.raises(ClusterError, match=r"^s3 answers, but refuses: no such key$"):
        cluster.start(tmp_path, ("s3", "gcs"), say=lambda _: None)
    assert processes.known_processes(tmp_path) == {}


def test_start__twice_says_so_and_a_part_that_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plant(monkeypatch, "sleep 60", "sleep 60")
    monkeypatch.setattr(ready, "answers", lambda *_: True)
    monkeypatch.setattr(ready, "furnish", lambda *_: None)
    told: list[str] = []
    state = cluster.start(tmp_path, ("s3", "gcs"), say=told.append)
    assert cluster.start(tmp_path, ("s3", "gcs"), say=told.append) == state
    assert told[-1] == f"the cluster in {tmp_path} is up already."
    os.kill(state.processes["gcs"].pid, signal.SIGKILL)
    processes.end([state.processes["gcs"]], seconds=0)
    with pytest.raises(ClusterError, match=r"gcs of the cluster in .* ended; take it down first"):
        cluster.start(tmp_path, ("s3", "gcs"), say=told.append)
    cluster.stop(tmp_path, say=told.append)
    assert told[-1] == "1 processes ended."


def test_start__two_at_one_moment_choose_their_ports_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plant(monkeypatch, "sleep 60", "sleep 60")
    monkeypatch.setenv("EXOSHARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ready, "furnish", lambda *_: None)
    under_way: set[str] = set()
    together: list[int] = []

    def answers(state: State, service: str, *_: object) -> bool:
        under_way.add(state.folder)
        time.sleep(0.2)
        together.append(len(under_way))
        if service == "gcs":  # the last
            under_way.remove(state.folder)
        return True

    monkeypatch.setattr(ready, "answers", answers)
    folders = [tmp_path / "one", tmp_path / "two"]
    starts = [
        threading.Thread(target=cluster.start, args=(folder, ("s3", "gcs")), kwargs={"say": lambda _: None})
        for folder in folders
    ]
    for thread in starts:
        thread.start()
    for thread in starts:
        thread.join(60)
    assert [(folder / "state.json").exists() for folder in folders] == [True, True]
    assert together == [1, 1, 1, 1]
    for folder in folders:
        cluster.stop(folder, say=lambda _: None)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_cluster__each_store_keeps_a_file_and_no_process_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lacking = services.left_out(
        services.SERVICES, services.find_tools(), store.cached_parts(store.cache_folder())
    )
    if lacking:
        pytest.skip(" ".join(services.sentences(lacking)))
    fsspec, s3fs = pytest.importorskip("fsspec"), pytest.importorskip("s3fs")
    try:
        state = cluster.start(tmp_path, size=Size(datanodes=2, nodemanagers=2), say=lambda _: None)
    except FetchError as error:
        pytest.skip(str(error))
    try:
        assert state.hdfs is not None
        host, port = state.hdfs.webhdfs.split(":")
        hdfs = fsspec.filesystem("webhdfs", host=host, port=int(port), user=state.hdfs.user)
        hdfs.pipe("/user/a.txt", b"on hdfs")
        assert hdfs.cat("/user/a.txt") == b"on hdfs"
        for name, text in environment(state, "s3a").items():
            monkeypatch.setenv(name, text)
        s3 = s3fs.S3FileSystem(skip_instance_cache=True)
        s3.pipe(f"{root(state, 's3a', 's3')}/a.txt", b"on s3")
        assert s3.cat(f"{root(state, 's3a', 's3')}/a.txt") == b"on s3"
        assert put_and_get_gcs(environment(state, "gcs")["STORAGE_EMULATOR_HOST"], b"on gcs") == b"on gcs"
        told = run_command("status", "--folder", str(tmp_path))
        assert told.returncode == 0, told.stdout + told.stderr
        assert told.stdout.count(" yes ") == 4 + 8
        kill(state, "datanode-2")
        state = cluster.restart(state, "datanode-2")
        assert read_state(tmp_path) == state
    finally:
        cluster.stop(tmp_path, say=lambda _: None)
    assert not [name for name, process in state.processes.items() if processes.is_alive(process)]
    assert processes.containers(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "logs"]


def put_and_get_gcs(endpoint: str, text: bytes) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    upload = f"{endpoint}/upload/storage/v1/b/cohort/o?uploadType=media&name=a.txt"
    direct.open(urllib.request.Request(upload, data=text, method="POST"), timeout=10).close()
    with direct.open(f"{endpoint}/storage/v1/b/cohort/o/a.txt?alt=media", timeout=10) as answer:
        return answer.read()
