"""The ETL on a real YARN and HDFS of two nodes each: the dataset of one machine, whatever a run loses."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.dataset import content_digest
from contract.storage import make_folder, open_storage
from deploy.minicluster import processes, services, store
from deploy.minicluster.cluster import Size, environment, kill, restart, root, spark_settings, start, stop
from deploy.minicluster.state import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PROJECT = Path(__file__).resolve().parents[2]
SIZES = [
    *("--num-executors", "2", "--executor-cores", "1", "--executor-memory", "1g", "--driver-memory", "1g"),
    *("--conf", "spark.executor.memoryOverhead=800m", "--conf", "spark.driver.memoryOverhead=500m"),
]
"""A node holds the driver and one executor, or two executors: each node has one at least."""
MASTER, EXECUTOR = b"ApplicationMaster", b"YarnCoarseGrainedExecutorBackend"
LIMIT = 1200
SPARK_S_OWN = (" INFO ", " WARN ", "Exception in thread", "\tat org.apache")


@dataclass
class Cluster:
    """Services, a cohort in their HDFS, and what one machine makes of it."""

    state: State
    folder: Path
    overrides: list[str]
    digest: str

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to reach the services."""
        return environment(self.state, "hdfs")

    def restart(self, name: str) -> None:
        """Start a daemon again that a test has killed."""
        self.state = restart(self.state, name)


@dataclass
class Submitted:
    """A run that was submitted: its process, what its terminal shows, where its outputs go."""

    process: subprocess.Popen[bytes]
    shown: Path
    out: str

    @property
    def text(self) -> str:
        """What the terminal shows so far."""
        return self.shown.read_text()

    def wait_until(self, told: str) -> None:
        """Wait until a word is on the terminal."""
        deadline = time.monotonic() + LIMIT
        while told not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, f"no {told}: {self.text}"
            time.sleep(0.2)

    def finish(self) -> int:
        """The exit status, once it has ended."""
        return self.process.wait(LIMIT)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """HDFS and YARN of two nodes each, with a cohort."""
    wanted = ("hdfs", "yarn")
    lacking = services.left_out(wanted, services.find_tools(), store.cached_parts(store.cache_folder()))
    if lacking:
        pytest.skip(" ".join(services.sentences(lacking)))
    from tests.etl.study import simulate_study

    folder = tmp_path_factory.mktemp("yarn")
    study = simulate_study(folder)
    here = [sys.executable, "-m", "etl", "run", "conf/etl/demo.yaml", *study.overrides()]
    subprocess.run([*here, "spark.driver_memory=2g"], cwd=PROJECT, check=True, timeout=LIMIT)
    size = Size(datanodes=2, nodemanagers=2, memory_mb=8192, vcores=8)
    state = start(folder / "services", wanted, size, lambda _: None)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, text in environment(state, "hdfs").items():
                patch.setenv(name, text)
            place = f"{root(state, 'hdfs')}/cohort"
            _put(study.cohort, place)
            given = [f"data={place}", f"input.vcf={place}/calls.*.vcf.bgz", "reference=GRCh37"]
            yield Cluster(state, folder, given, content_digest(str(study.out / "dataset")))
    finally:
        stop(folder / "services", say=lambda _: None)
        shutil.rmtree(folder / "services", ignore_errors=True)


@pytest.fixture
def submit(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Submitted]]:
    """Submits the cohort; what still runs at the end of a test is ended."""
    begun: list[Submitted] = []

    def begin(
        mode: str, *overrides: str, spark: Mapping[str, str] | None = None, environment: str = ""
    ) -> Submitted:
        out = f"{root(cluster.state, 'hdfs')}/{tmp_path.name}"
        settings = {**spark_settings(cluster.state, "hdfs"), **(spark or {})}
        options = [word for item in settings.items() for word in ("--conf", "=".join(item))]
        script = ["bash", "deploy/submit_etl.sh", "--master", "yarn", "--deploy-mode", mode]
        own = ["--log", str(tmp_path / "spark.log"), *SIZES, *options]
        own += ["--environment", environment] if environment else []
        shown = tmp_path / "shown"
        with shown.open("wb") as stream:
            process = subprocess.Popen(
                [*script, *own, "conf/etl/demo.yaml", *cluster.overrides, f"out={out}", *overrides],
                cwd=PROJECT,
                env={**os.environ, **cluster.variables, "PYTHON": sys.executable},
                stdout=stream,
                stderr=stream,
            )
        begun.append(Submitted(process, shown, out))
        return begun[-1]

    yield begin
    for run in begun:
        run.process.terminate()
        run.process.wait(60)
    # A driver in the cluster outlives the one who submitted it.
    processes.end(processes.containers(Path(cluster.state.folder)), seconds=5)


def _put(folder: Path, place: str) -> None:
    filesystem, inside = open_storage(place)
    make_folder(place)
    for path in sorted(folder.iterdir()):
        if path.is_file():
            filesystem.put_file(str(path), f"{inside}/{path.name}")


def containers_of(cluster: Cluster, kind: bytes) -> dict[int, str]:
    """Process -> NodeManager of the Java processes of one kind in YARN's containers."""
    place, found = Path(cluster.state.folder) / "data", {}
    for process in processes.containers(Path(cluster.state.folder)):
        proc = Path("/proc") / str(process.pid)
        try:
            words = (proc / "cmdline").read_bytes()
            is_java = os.path.basename(os.readlink(proc / "exe")) == "java"
            if is_java and kind in words:
                found[process.pid] = Path(os.readlink(proc / "cwd")).relative_to(place).parts[0]
        except OSError:
            continue
    return found


def pythons_of(cluster: Cluster) -> set[str]:
    """Pythons that tasks or drivers run with, in YARN's containers."""
    found = set()
    for process in processes.containers(Path(cluster.state.folder)):
        with suppress(OSError):
            words = (Path("/proc") / str(process.pid) / "cmdline").read_bytes().split(b"\0")
            if b"python" in os.path.basename(words[0]):
                found.add(words[0].decode())
    return found


def check_whole(cluster: Cluster, run: Submitted) -> None:
    """The run ends well, with the dataset of one machine, and nothing of Spark's on the terminal."""
    assert run.finish() == 0, run.text
    assert content_digest(f"{run.out}/dataset") == cluster.digest
    for step in ("01_ingest", "09_dataset", "11_report", "dataset: "):
        assert step in run.text
    assert not [word for word in SPARK_S_OWN if word in run.text], run.text


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_submit_etl__gives_the_dataset_of_one_machine(
    cluster: Cluster, submit: Callable[..., Submitted], mode: str
):
    run = submit(mode)
    check_whole(cluster, run)
    filesystem, inside = open_storage(run.out)
    assert not [name for name in filesystem.ls(inside, detail=False) if "submitted-" in name]


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_submit_etl__an_input_that_is_refused_is_one_sentence(
    cluster: Cluster, submit: Callable[..., Submitted], mode: str
):
    run = submit(mode, "samples.sample_id=absent")
    assert run.finish() == 2, run.text
    (line,) = run.text.splitlines()
    assert line.startswith("error ")
    assert "samples.tsv" in line
    assert "absent" in line


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_submit_etl__executors_without_python_are_one_sentence(
    cluster: Cluster, submit: Callable[..., Submitted], mode: str, monkeypatch: pytest.MonkeyPatch
):
    nowhere = {"spark.pyspark.python": "/nowhere/python", "spark.pyspark.driver.python": sys.executable}
    run = submit(mode, spark=nowhere)
    assert run.finish() == 2, run.text
    assert run.text.splitlines()[-1] == (
        "error an executor: Python: found no program /nowhere/python, "
        "wanted that of this project there: at PYSPARK_PYTHON, or sent by submit_etl.sh --environment"
    )


def test_submit_etl__executors_whose_java_ends_at_once(
    cluster: Cluster, submit: Callable[..., Submitted], tmp_path: Path
):
    """YARN counts them, and ends the run."""
    java = tmp_path / "java/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    run = submit("client", spark={"spark.executorEnv.JAVA_HOME": str(tmp_path / "java")})
    assert run.finish() == 2, run.text
    assert "error the executors: processes: found an end at their start, wanted Java 11 or 17" in run.text


def test_submit_etl__executors_that_come_and_go_and_tasks_that_run_twice(
    cluster: Cluster, submit: Callable[..., Submitted]
):
    settings = {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.executorIdleTimeout": "5s",
        "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.maxExecutors": "2",
        "spark.speculation": "true",
        "spark.speculation.multiplier": "1.01",
        "spark.speculation.quantile": "0.5",
    }
    check_whole(cluster, submit("cluster", spark=settings))


def lose_executor(cluster: Cluster) -> None:
    """One executor alone."""
    victim = next(iter(containers_of(cluster, EXECUTOR)))
    os.kill(victim, signal.SIGKILL)


def lose_node_of_executor(cluster: Cluster) -> str:
    """The node where the driver is not."""
    (driver,) = containers_of(cluster, MASTER).values()
    nodes = set(containers_of(cluster, EXECUTOR).values()) - {driver}
    assert nodes, "all executors are beside the driver"
    return _lose(cluster, nodes.pop())


def lose_node_of_driver(cluster: Cluster) -> str:
    """The node that the driver is on: YARN starts it again on the other."""
    (driver,) = containers_of(cluster, MASTER).values()
    return _lose(cluster, driver)


def lose_datanode(cluster: Cluster) -> str:
    """One of two that hold each block."""
    return _lose(cluster, "datanode-1")


def _lose(cluster: Cluster, name: str) -> str:
    kill(cluster.state, name, with_containers=name.startswith("nodemanager"))
    return name


@pytest.mark.parametrize(
    ("step", "lose"),
    [
        ("05_variant_qc", lose_executor),
        ("01_ingest", lose_node_of_executor),
        ("03_relatedness", lose_node_of_driver),
        ("08_aggregation", lose_datanode),
    ],
)
def test_submit_etl__what_is_lost_in_mid_run_changes_nothing(
    cluster: Cluster, submit: Callable[..., Submitted], step: str, lose: Callable[[Cluster], Any]
):
    run = submit("cluster")
    run.wait_until(step)
    lost = lose(cluster)
    try:
        check_whole(cluster, run)
    finally:
        if lost:
            cluster.restart(lost)


@pytest.mark.parametrize(("mode", "option"), [("client", "--executors"), ("cluster", None)])
def test_pack_env__nodes_need_no_environment(
    cluster: Cluster, submit: Callable[..., Submitted], tmp_path: Path, mode: str, option: str | None
):
    archive = tmp_path / "env.tar.gz"
    packed = subprocess.run(
        ["bash", "deploy/pack_env.sh", *filter(None, [option]), str(archive)],
        env={**os.environ, "PYTHON": sys.executable},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if "pack_env:" not in packed.stdout and "error sending request" in packed.stderr:
        pytest.skip("no package registry answers")
    assert packed.returncode == 0, packed.stderr
    place = f"{root(cluster.state, 'hdfs')}/{mode}.tar.gz"
    filesystem, inside = open_storage(place)
    filesystem.put_file(str(archive), inside)
    archive.unlink()
    run = submit(mode, environment=place)
    run.wait_until("01_ingest")
    pythons = pythons_of(cluster)
    check_whole(cluster, run)
    assert pythons == {"./environment/bin/python"}
