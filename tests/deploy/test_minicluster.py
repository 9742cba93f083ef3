"""Services on this machine: what is missing is told, no other process is touched, each store keeps a file."""

import hashlib
import http.server
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from contract.errors import InputError
from deploy.minicluster import cluster, hadoop, ports, processes, ready, services, store
from deploy.minicluster.cluster import Size, environment, kill, read_state, root, spark_settings
from deploy.minicluster.errors import ClusterError, FetchError, first_error, last_error
from deploy.minicluster.services import Tools
from deploy.minicluster.state import S3, Gcs, Hdfs, Jars, Process, State, write_state

PROJECT = Path(__file__).resolve().parents[2]
NOTHING = Tools(java=None, maven=None, go=None)
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def state_of(folder: Path, **changes: object) -> State:
    fields: dict = {
        "folder": str(folder),
        "hadoop_conf_dir": str(folder / "conf/hadoop"),
        "jars": Jars(s3a=["/jars/a.jar", "/jars/b.jar"], gcs=["/jars/c.jar"]),
        "hdfs": Hdfs(uri="hdfs://127.0.0.1:9000", webhdfs="127.0.0.1:9870", user="someone", datanodes=1),
        "s3": S3(
            endpoint="http://127.0.0.1:9100", access_key="an-id", secret_key="a-secret", bucket="cohort"
        ),
        "gcs": Gcs(endpoint="http://127.0.0.1:9023", bucket="cohort"),
    }
    return State(**{**fields, **changes})


def sleeper(folder: Path, name: str = "s3") -> Process:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "pids").mkdir(exist_ok=True)
    return processes.launch(name, ["sleep", "60"], ENVIRONMENT, folder)


def run_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.minicluster", *arguments],
        env={**os.environ, **variables},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# What is asked for, and what this machine lacks


def test_chosen__all_some_and_what_yarn_brings_along():
    assert services.chosen(None) == ("hdfs", "yarn", "s3", "gcs")
    assert services.chosen("gcs, s3") == ("s3", "gcs")
    assert services.chosen("yarn") == ("hdfs", "yarn")


@pytest.mark.parametrize(("only", "found"), [("s3,hive,ozone", "hive, ozone"), ("", "nothing")])
def test_chosen__unknown_service_told(only: str, found: str):
    with pytest.raises(InputError, match=f"--only: found {found}, wanted some of hdfs, yarn, s3, gcs"):
        services.chosen(only)


def test_size__nothing_of_something_told():
    with pytest.raises(InputError, match="datanodes: found 0, wanted a whole number of at least 1"):
        Size(datanodes=0)


def test_left_out__each_tool_in_one_sentence_with_its_checks():
    java, maven, go = Path("java"), Path("mvn"), Path("go")
    everything = services.SERVICES

    def told(tools: Tools, cached: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
        return services.sentences(services.left_out(everything, tools, cached))

    assert told(Tools(java, maven, go)) == []
    assert told(Tools(java, None, go)) == [
        "Maven was not found on this machine: checks of HDFS, YARN, Spark's S3A connector and Spark's GCS"
        " connector are left out."
    ]
    assert told(Tools(java, maven, None)) == [
        "Go was not found on this machine: checks of the S3 server and the GCS server are left out."
    ]
    assert [sentence.split(" was ")[0] for sentence in told(NOTHING)] == ["Java 11 or 17", "Go"]
    assert told(Tools(java, None, None), set(store.PARTS)) == []


def test_command__unknown_service_has_status_2():
    done = run_command("up", "--only", "hive")
    assert done.returncode == 2
    assert done.stderr == "minicluster: --only: found hive, wanted some of hdfs, yarn, s3, gcs\n"


def test_command__no_cluster_has_status_2(tmp_path: Path):
    done = run_command("status", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"{tmp_path}/state.json: file: found nothing, wanted the state of a cluster"
    )


def test_command__nothing_to_start_with(tmp_path: Path):
    done = run_command(
        "up", "--only", "s3", "--folder", str(tmp_path / "c"), EXOSHARD_CACHE=str(tmp_path), PATH="/nowhere"
    )
    assert done.returncode == 1
    assert "Go was not found on this machine: checks of the S3 server are left out." in done.stdout
    assert done.stderr == "minicluster: Nothing can be started.\n"


# Parts and their sums


def test_check_jars__pinned_and_other_sums(tmp_path: Path):
    sums, folder = tmp_path / "jars.sha256", tmp_path / "jars"
    folder.mkdir()
    jar = folder / "a-1.jar"
    jar.write_bytes(b"classes")
    sums.write_text(f"{hashlib.sha256(b'classes').hexdigest()}  a-1.jar\n")
    store.check_jars(folder, sums)
    jar.write_bytes(b"other classes")
    with pytest.raises(
        ClusterError, match=r"a-1\.jar: its SHA-256 is [0-9a-f]{64}, jars\.sha256 wants [0-9a-f]{64}"
    ):
        store.check_jars(folder, sums)
    jar.write_bytes(b"classes")
    (folder / "stranger.jar").touch()
    with pytest.raises(ClusterError, match=r"stranger\.jar: .* jars\.sha256 wants no such jar"):
        store.check_jars(folder, sums)


def test_pinned_sums__format_of_sha256sum_with_file_names_alone():
    lines = (store.HERE / "jars.sha256").read_text().splitlines()
    names = [line.split("  ")[1] for line in lines]
    assert all(len(line.split("  ")[0]) == 64 for line in lines)
    assert len(names) == len(set(names))
    assert not [name for name in names if "/" in name or not name.endswith(".jar")]
    assert {"hadoop-common-3.3.4.jar", "hadoop-aws-3.3.4.jar", "aws-java-sdk-bundle-1.12.262.jar"} < set(
        names
    )


def fake_tool(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_fetch__an_unpinned_jar_leaves_nothing(tmp_path: Path):
    script = 'for word in "$@"; do case $word in -DoutputDirectory=*) touch "${word#*=}/new.jar";; esac; done'
    java = fake_tool(tmp_path, "java", "echo '    java.home = /somewhere' >&2")
    tools = Tools(java=java, maven=fake_tool(tmp_path, "mvn", script), go=None)
    with pytest.raises(ClusterError, match=r"new\.jar: its SHA-256 is"):
        store.fetch(tmp_path / "cache", "jars/gcs", tools)
    assert store.cached_parts(tmp_path / "cache") == set()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_fetch__the_first_error_of_the_tool_is_told(tmp_path: Path):
    maven = fake_tool(
        tmp_path, "mvn", "echo '[ERROR] no route to jars'; echo '[ERROR] Re-run with -X'; exit 1"
    )
    java = fake_tool(tmp_path, "java", "echo '    java.home = /somewhere' >&2")
    with pytest.raises(FetchError, match=r"^Maven failed: \[ERROR\] no route to jars$"):
        store.fetch(tmp_path / "cache", "jars/gcs", Tools(java=java, maven=maven, go=None))


def test_fetch__a_part_is_made_once_and_whole(tmp_path: Path):
    script = f'echo made >>{tmp_path}/log; while [ "$1" != -o ]; do shift; done; touch "$2/fake-gcs-server"'
    tools = Tools(java=None, maven=None, go=fake_tool(tmp_path, "go", script))
    cache = tmp_path / "cache"
    (cache / "bin" / "gcs").mkdir(parents=True)  # of a fetch that was killed before its mark
    for _ in range(2):
        store.fetch(cache, "bin/gcs", tools)
    assert (tmp_path / "log").read_text() == "made\n"
    assert store.cached_parts(cache) == {"bin/gcs"}
    assert Path(store.program(cache, "gcs")).exists()


def test_cache_folder__variables_in_order(monkeypatch: pytest.MonkeyPatch):
    key = store.cache_folder({"EXOSHARD_CACHE": "/e", "XDG_CACHE_HOME": "/x"}).name
    assert (
        store.cache_folder({"EXOSHARD_CACHE": "/e", "XDG_CACHE_HOME": "/x"}) == Path("/e/minicluster") / key
    )
    assert store.cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/exoshard/minicluster") / key
    monkeypatch.setattr(store, "PINNED", store.PINNED[:-1])
    assert store.cache_folder({"EXOSHARD_CACHE": "/e"}).name != key


# The state, and what is read from it


def test_state__comes_back_and_is_its_owners(tmp_path: Path):
    state = state_of(tmp_path, processes={"s3": Process(pid=1, started=2, log="l", command=["c"])})
    write_state(state)
    assert read_state(tmp_path) == state
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert state.services == ("hdfs", "s3", "gcs")
    assert "a-secret" not in repr(state)


def test_read_state__one_of_another_version_told(tmp_path: Path):
    (tmp_path / "state.json").write_text(json.dumps({"folder": "f", "ozone": {}}))
    with pytest.raises(InputError, match=r"state\.json: ozone: found .*, wanted what `up` writes"):
        read_state(tmp_path)


@pytest.mark.parametrize("name", ["hdfs", "s3a", "gcs"])
def test_spark_settings__hold_no_key(tmp_path: Path, name: str):
    settings = spark_settings(state_of(tmp_path), name)
    assert "a-secret" not in str(settings)
    assert "an-id" not in str(settings)
    assert all(key.startswith("spark.") and isinstance(text, str) for key, text in settings.items())


def test_spark_settings__jars_for_driver_and_executors(tmp_path: Path):
    settings = spark_settings(state_of(tmp_path), "s3a")
    assert settings["spark.jars"] == "/jars/a.jar,/jars/b.jar"
    assert settings["spark.driver.extraClassPath"] == "/jars/a.jar:/jars/b.jar"
    assert settings["spark.executor.extraClassPath"] == "./a.jar:./b.jar"
    assert settings["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:9100"


def test_spark_settings__what_is_not_there_told(tmp_path: Path):
    with pytest.raises(InputError, match="store: found ozone, wanted one of hdfs, s3a, gcs"):
        spark_settings(state_of(tmp_path), "ozone")
    with pytest.raises(InputError, match="gcs: found no such service"):
        spark_settings(state_of(tmp_path, gcs=None), "gcs")
    with pytest.raises(InputError, match=r"jars\.s3a: found none, wanted those that Maven brings"):
        spark_settings(state_of(tmp_path, jars=Jars()), "s3a")


def test_environment__each_store_has_its_own(tmp_path: Path):
    state = state_of(tmp_path)
    conf = {"HADOOP_CONF_DIR": f"{tmp_path}/conf/hadoop"}
    assert environment(state, "hdfs") == conf
    assert environment(state, "gcs") == conf | {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9023"}
    assert environment(state, "s3a")["AWS_SECRET_ACCESS_KEY"] == "a-secret"
    assert [root(state, "hdfs"), root(state, "s3a", "s3")] == [
        "hdfs://127.0.0.1:9000/user/someone",
        "s3://cohort",
    ]


def test_configuration__nodes_have_ports_and_folders_of_their_own(tmp_path: Path):
    size = Size(datanodes=2, nodemanagers=2, memory_mb=5000, vcores=3)
    chosen = ports.choose_ports(("hdfs", "yarn"), size)
    assert len(set(chosen.values())) == len(chosen) == 19
    conf = hadoop.write_configuration(tmp_path, chosen, size)
    clients = {"core-site.xml", "hdfs-site.xml", "yarn-site.xml", "capacity-scheduler.xml"}
    assert {path.name for path in conf.iterdir()} == clients
    nodes = [(tmp_path / f"conf/datanode-{node}/hdfs-site.xml").read_text() for node in (1, 2)]
    assert "<name>dfs.replication</name><value>2</value>" in nodes[0]
    assert f"file://{tmp_path}/data/datanode-2<" in nodes[1]
    yarn = (conf / "yarn-site.xml").read_text()
    assert "<name>yarn.nodemanager.resource.memory-mb</name><value>2500</value>" in yarn


@pytest.mark.parametrize("some", [("hdfs",), ("yarn",), ("hdfs", "yarn")])
def test_configuration__of_the_services_that_are_there(tmp_path: Path, some: tuple[str, ...]):
    hadoop.write_configuration(tmp_path, ports.choose_ports(some, Size()), Size())
    assert (tmp_path / "conf/datanode-1").exists() == ("hdfs" in some)
    assert (tmp_path / "conf/nodemanager-1").exists() == ("yarn" in some)


def test_choose_ports__a_taken_one_is_passed_over():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        taken = server.server_address[1]
        assert not ports._is_free(taken)
    assert ports._is_free(taken)


def test_answers__not_for_a_port_of_another_process(tmp_path: Path):
    def state(server: http.server.HTTPServer, pid: int) -> State:
        port = server.server_address[1]
        gcs = Gcs(endpoint=f"http://127.0.0.1:{port}", bucket="cohort")
        process = Process(pid=pid, started=1, log="", command=[])
        return state_of(tmp_path, gcs=gcs, ports={"gcs.api": port}, processes={"gcs": process})

    class Bucket(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    other = sleeper(tmp_path)
    with http.server.HTTPServer(("127.0.0.1", 0), Bucket) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert ready.answers(state(server, os.getpid()), "gcs")
        assert not ready.answers(state(server, other.pid), "gcs")
        server.shutdown()
    processes.end([other])


def test_answers__not_before_all_datanodes_are_there(tmp_path: Path):
    bean = {"FSState": "Operational", "NumLiveDataNodes": 1}

    class NameNode(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"beans": [bean]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), NameNode) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        one = state_of(tmp_path, hdfs=Hdfs(uri="hdfs://h", webhdfs=address, user="u", datanodes=1))
        two = state_of(tmp_path, hdfs=Hdfs(uri="hdfs://h", webhdfs=address, user="u", datanodes=2))
        assert ready.answers(one, "hdfs")
        assert not ready.answers(two, "hdfs")
        bean["FSState"] = "safeMode"
        assert not ready.answers(one, "hdfs")
        server.shutdown()
    assert not ready.answers(one, "hdfs")


# Processes


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


def test_errors__the_line_that_says_why():
    log = "INFO starting\njava.net.BindException: in use\n  at org.X.Exception(Y)\nINFO SHUTDOWN_MSG\n"
    assert last_error(log) == "java.net.BindException: in use"
    assert first_error("go: downloading\ngo: no such version\n") == "go: no such version"
    broken = "verifying mux@v1: checksum mismatch\n\nSECURITY ERROR\nsee 'go help module-auth'."
    assert first_error(broken) == "verifying mux@v1: checksum mismatch"
    assert [last_error(""), first_error("")] == ["its log is empty", "it printed nothing"]


# All of it


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
