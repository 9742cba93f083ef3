"""The record of a minicluster, what Spark and Hadoop are told of it, its ports, and who answers."""

import http.server
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from contract.errors import InputError
from deploy.minicluster import hadoop, ports, processes, ready
from deploy.minicluster.cluster import Size, environment, read_state, root, spark_settings
from deploy.minicluster.state import Gcs, Hdfs, Jars, Process, State, write_state
from tests.deploy.services_played import sleeper, state_of


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
