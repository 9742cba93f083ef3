import json
from pathlib import Path

import psutil
import pytest

from contract.config import load_config
from deploy import cluster_test
from deploy.cluster_test import Outcome
from deploy.minicluster.ready import wait_for
from deploy.minicluster.services import Tools
from deploy.minicluster.state import S3, Jars, State
from etl.simulate.config import SimulateConfig
from train.config import TrainConfig

HERE = Outcome(50.0, "abc", {"arrow": [0.5, 0.6], "petastorm": [0.5, 0.6]})


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("deploy.console.FIGURES", tmp_path)
    return tmp_path / "clusters.json"


def test_report__equal_places_are_told_and_those_left_out_are_absent(figures: Path):
    there = Outcome(80.0, "abc", {"arrow": [0.5, 0.6], "petastorm": [0.5, 0.6]})
    assert cluster_test._report(HERE, {"s3a": there}, ("s3a", "gcs")) == 0
    assert json.loads(figures.read_text()) == {
        "local_digest": "abc",
        "local_seconds": 50.0,
        "s3a": {"seconds": 80.0, "digest": "abc", "equal": True},
    }


@pytest.mark.parametrize(
    "there",
    [
        Outcome(80.0, "other", {"arrow": [0.5, 0.6]}),
        Outcome(80.0, "abc", {"arrow": [0.5, 0.6], "petastorm": [0.5, 0.7]}),
        None,
    ],
    ids=["another_dataset", "other_losses_of_one_reader", "failed"],
)
def test_report__a_place_that_differs_or_failed_is_a_failure(figures: Path, there: Outcome | None):
    assert cluster_test._report(HERE, {"gcs": there}, ("gcs",)) == 1
    assert json.loads(figures.read_text())["gcs"]["equal"] is False


def test_timed__a_command_without_an_end_is_told_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster_test, "FOLDER", tmp_path)
    monkeypatch.setattr(cluster_test, "TIMEOUT", 1)
    command = ["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait"]
    with pytest.raises(cluster_test.FailedError, match=r"^a b: no end within 1 s \(.*/logs/a-b\.log\)$"):
        cluster_test._timed("a b", command)
    child = int((tmp_path / "child").read_text())
    gone, _ = psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=10)
    assert not psutil.pid_exists(child) or gone


@pytest.mark.parametrize("settings", [cluster_test.COHORT, cluster_test.SHORT_COHORT])
def test_settings__are_those_of_the_configurations(settings: list[str]):
    cohort = load_config(SimulateConfig, "conf/simulate/demo.yaml", settings)
    training = load_config(TrainConfig, "conf/train/demo.yaml", cluster_test.TRAINING)
    assert settings[0] == f"people={cohort.people}"
    assert (training.seed, training.stopping.max_epochs) == (1, 2)


def test_can_start__without_tools_says_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("EXOSHARD_CACHE", str(tmp_path))
    monkeypatch.setattr(cluster_test, "find_tools", lambda: Tools(None, None, None))
    assert not cluster_test._can_start(cluster_test.SHORT)
    assert "checks of HDFS, YARN and Spark's S3A connector are left out" in capsys.readouterr().out


def test_service_names__of_the_places():
    assert cluster_test._service_names(("yarn_client_hdfs", "s3a")) == ["hdfs", "yarn", "s3"]
    assert cluster_test._service_names(("slurm",)) == []


def test_fetched_meanwhile__compiles_the_servers_beside_yarn_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = tmp_path / "told"
    (tmp_path / "nice").write_text(
        f'#!/bin/sh\necho "called $@" > {told}.part\nmv {told}.part {told}\nexec sleep 60\n'
    )
    (tmp_path / "nice").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    before = set(psutil.Process().children())
    with cluster_test._fetched_meanwhile(("yarn_client_hdfs", "gcs", "s3a", "slurm")):
        (fetching,) = set(psutil.Process().children()) - before
        assert wait_for(told.exists, 30, lambda: None)
    assert told.read_text().endswith("-m deploy.minicluster fetch --only gcs,s3\n")
    assert not fetching.is_running()


def test_fetched_meanwhile__starts_nothing_where_no_server_is_wanted():
    before = psutil.Process().children()
    with cluster_test._fetched_meanwhile(("yarn_client_hdfs", "slurm")):
        assert psutil.Process().children() == before


@pytest.mark.parametrize(("jars", "has"), [(["hadoop-aws.jar"], True), ([], False)])
def test_has__an_object_store_wants_its_connector(jars: list[str], has: bool):
    s3 = S3(endpoint="http://127.0.0.1:1", access_key="a", secret_key="b", bucket="cohort")
    state = State(folder="/nowhere", ports={}, jars=Jars(s3a=jars), s3=s3)
    assert cluster_test._has(state, "s3a") is has
    assert not cluster_test._has(state, "hdfs")
