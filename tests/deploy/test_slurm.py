"""The jobs of deploy/slurm on a real SLURM of two nodes, and what is checked without one."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from contract.config import build_config, dump_config
from contract.example import write_example
from deploy.check.runner import program
from deploy.check.slurm import sbatch_faults, shellcheck_faults, unused_values
from deploy.slurm.cluster import SlurmCluster, SlurmError, etl_on_slurm, missing, slurm_cluster
from tests.train.optional import needs_horovod
from tests.train.processes import wait_for
from tests.train.runs import history_of, series_of
from train.config import TrainConfig

PROJECT = Path(__file__).resolve().parents[2]
SLURM = PROJECT / "deploy" / "slurm"
ECHO = '#!/bin/sh\nprintf "%s\\n" "$@"\n'
EPOCHS = 40
RANK = """#!/bin/bash
[ "${SLURM_RESTART_COUNT:-0}" = 0 ] || exit 0
trap 'sleep 2; echo "rank $SLURM_NODEID ends with status 143: saved" >&2; exit 1' TERM
echo begun
for _ in $(seq 300); do sleep 0.2; done
"""

needs_slurm = pytest.mark.skipif(
    bool(missing()), reason=f"no {', '.join(missing())}: Debian's packages slurm-wlm and munge have them"
)


def filled(folder: Path, **own: str) -> Path:
    """A file of values in which what an owner must set is set."""
    text = (SLURM / "values.env").read_text()
    answers = {
        "ACCOUNT": "lab",
        "ETL_PARTITION": "cpu",
        "TRAIN_PARTITION": "gpu",
        "SCRATCH": "/shared",
        **own,
    }
    for name, value in answers.items():
        text, count = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        assert count == 1, name
    (path := folder / "values.env").write_text(text)
    return path


def submit(folder: Path, *words: str, values: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Call submit.sh with an sbatch that prints its words, one a line."""
    (sbatch := folder / "bin" / "sbatch").parent.mkdir(exist_ok=True)
    sbatch.write_text(ECHO)
    sbatch.chmod(0o755)
    environment = {**os.environ, "PATH": f"{sbatch.parent}:{os.environ['PATH']}"}
    if values is not None:
        environment["EXOSHARD_VALUES"] = str(values)
    command = ["bash", str(SLURM / "submit.sh"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_submit__options_of_the_etl(tmp_path):
    done = submit(tmp_path, "etl", "--hold", "x.yaml", "profile=bipex", values=filled(tmp_path))
    assert done.stdout.splitlines() == [
        "--account=lab",
        "--partition=cpu",
        "--nodes=2",
        "--cpus-per-task=32",
        "--mem=128G",
        "--time=24:00:00",
        "--hold",
        str(SLURM / "etl.sbatch"),
        "x.yaml",
        "profile=bipex",
    ]


def test_submit__options_of_the_training(tmp_path):
    values = filled(tmp_path, ACCOUNT="none", QOS="high", TRAIN_CONSTRAINT="a100", TRAIN_GPUS="4")
    words = submit(tmp_path, "train", "x.yaml", values=values).stdout.splitlines()
    assert words[:3] == ["--qos=high", "--partition=gpu", "--nodes=1"]
    assert {"--constraint=a100", "--gpus-per-node=4"} < set(words)
    assert not any(word.startswith("--account") for word in words)


def test_submit__values_of_the_other_half_may_be_unset(tmp_path):
    values = filled(tmp_path, ETL_PARTITION="")
    assert submit(tmp_path, "train", "x.yaml", values=values).returncode == 0
    assert submit(tmp_path, "etl", "x.yaml", values=values).returncode == 2


@pytest.mark.parametrize("line", ["", 'SCRATCH=" "\n'])
def test_submit__a_name_that_the_file_lacks_or_leaves_blank(tmp_path, monkeypatch, line: str):
    monkeypatch.setenv("SCRATCH", "/of/the/environment")
    values = filled(tmp_path)
    values.write_text(re.sub(r"(?m)^(SCRATCH=/shared|ETL_NODES=2)\n", "", values.read_text()) + line)
    done = submit(tmp_path, "etl", "x.yaml", values=values)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"submit: {values}: SCRATCH ETL_NODES: found no value, wanted yours, or none\n"
    done = submit(tmp_path, "train", "x.yaml", values=values)
    assert done.stderr == f"submit: {values}: SCRATCH: found no value, wanted yours, or none\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["etl", "x.yaml"],
            r"values\.env: ACCOUNT ETL_PARTITION SCRATCH: found no value, wanted yours, or none",
        ),
        (["train", "x.yaml"], r"values\.env: ACCOUNT TRAIN_PARTITION SCRATCH: found no value"),
        (["train", "--hold"], r"found no configuration among the arguments, wanted conf/train/NAME\.yaml"),
        (["fit", "x.yaml"], "found fit as the first word, wanted etl or train"),
        ([], "found nothing as the first word, wanted etl or train"),
    ],
)
def test_submit__bad_input(tmp_path, words: list[str], told: str):
    done = submit(tmp_path, *words)
    assert done.returncode == 2
    assert re.search(told, done.stderr)
    assert done.stderr.count("\n") == 1


def test_submit__help(tmp_path):
    done = submit(tmp_path, "--help")
    assert "deploy/slurm/submit.sh train" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["etl", "train"])
def test_job__called_away_from_the_checkout(tmp_path, name: str):
    script = shutil.copy(SLURM / f"{name}.sbatch", tmp_path)
    done = subprocess.run(
        ["bash", script, "x.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert (
        f"{name}.sbatch: found no deploy/slurm/common.sh in {tmp_path}, wanted sbatch called" in done.stderr
    )


def test_etl_job__no_memory_is_asked_for(tmp_path):
    environment = {
        "EXOSHARD_ROOT": str(PROJECT),
        "EXOSHARD_VALUES": str(filled(tmp_path, PYTHON=sys.executable)),
    }
    words = ["bash", str(SLURM / "etl.sbatch"), "x.yaml"]
    done = subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "etl.sbatch: found no SLURM_MEM_PER_NODE in the job, wanted sbatch --mem" in done.stderr


def test_unused_values__a_name_that_is_misspelt(tmp_path):
    assert unused_values(SLURM) == []
    shutil.copytree(SLURM, tmp_path / "slurm")
    with (tmp_path / "slurm" / "values.env").open("a") as values:
        values.write("TRAIN_RANK_COUNT=1\nETL_MODULES=none\n")
    first, second = unused_values(tmp_path / "slurm")
    assert "TRAIN_RANK_COUNT: found in no script" in first
    assert "ETL_MODULES: found in no script" in second


@pytest.mark.skipif(program("shellcheck") is None, reason="no shellcheck")
def test_shellcheck_faults__an_unquoted_variable(tmp_path):
    assert shellcheck_faults(PROJECT) == []
    shutil.copytree(SLURM, tmp_path / "deploy" / "slurm")
    with (tmp_path / "deploy" / "slurm" / "train.sbatch").open("a") as job:
        job.write("rm -rf $nothing/*\n")
    assert any("train.sbatch" in fault and "SC2086" in fault for fault in shellcheck_faults(tmp_path))


def test_slurm_cluster__programs_are_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploy.slurm.cluster.SEARCH", "/nowhere")
    with pytest.raises(
        SlurmError, match=r"found no munged, slurmctld, .*, wanted Debian's packages slurm-wlm"
    ):
        slurm_cluster().__enter__()


def test_etl_on_slurm__no_folder_of_its_own():
    with pytest.raises(ValueError, match="wanted out=FOLDER among them"):
        etl_on_slurm("x.yaml", ["data=d"], reference="r")


@needs_slurm
@pytest.mark.slow
def test_sbatch_faults__a_time_that_is_none(tmp_path):
    assert sbatch_faults(SLURM) == []
    job = (SLURM / "train.sbatch").read_text().replace("#SBATCH --requeue", "#SBATCH --requeue --time=soon")
    (tmp_path / "train.sbatch").write_text(job)
    (fault,) = sbatch_faults(tmp_path)
    assert re.search(r"train\.sbatch: found options that SLURM refuses, .*Invalid --time", fault)


@needs_slurm
@pytest.mark.slow
def test_etl_job__dataset_of_one_machine(tmp_path):
    python, conf = [sys.executable, "-m", "etl"], "conf/etl/demo.yaml"
    cohort, local, there = (str(tmp_path / name) for name in ("cohort", "local", "there"))
    for words in (
        ["simulate", "conf/simulate/tiny.yaml", f"out={cohort}"],
        ["run", conf, f"data={cohort}", f"out={local}", "spark.driver_memory=2g"],
    ):
        subprocess.run([*python, *words], cwd=PROJECT, check=True, capture_output=True, timeout=300)
    settings = [f"data={cohort}", f"out={there}"]
    told = etl_on_slurm(str(PROJECT / conf), settings, reference=f"{local}/dataset")
    assert told["equal"] is True
    assert 0 < told["seconds"] < 900
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if "org.apache.spark.deploy" in line and "slurm-" in line] == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of some twenty seconds."""
    folder = tmp_path_factory.mktemp("training")
    write_example(str(folder / "data"), n_samples=600, n_genes=40, causal=(3, 17), effect=3.0, density=0.1)
    sections = {
        "data": {"dataset": str(folder / "data"), "reader": "arrow"},
        "run": {"out": str(folder / "run"), "device": "cpu"},
        "stopping": {"max_epochs": EPOCHS, "patience": EPOCHS},
    }
    (path := folder / "train.yaml").write_text(dump_config(build_config(TrainConfig, sections, "test")))
    return path


@pytest.fixture(scope="module")
def undisturbed(cluster: SlurmCluster, configuration: Path) -> Path:
    """The run of a job on two nodes, a rank on each, that nothing disturbed."""
    run = configuration.with_name("undisturbed")
    job = cluster.submit("train", str(configuration), f"run.out={run}")
    assert cluster.wait(job, 300)["JobState"] == "COMPLETED", cluster.log(job)
    return run


def weights(run: Path) -> bytes:
    return (run / "bundle" / "weights.safetensors").read_bytes()


def in_mid_run(run: Path) -> int:
    """Epochs that are done, once there are some and more to come."""
    wait_for(run / "history.json")
    done = len(history_of(run))
    assert done < EPOCHS
    return done


@needs_slurm
@pytest.mark.slow
def test_train_job__queued_again_in_mid_run(cluster: SlurmCluster, configuration: Path, undisturbed: Path):
    run = configuration.with_name("requeued")
    job = cluster.submit("train", str(configuration), f"run.out={run}")
    in_mid_run(run)
    cluster.command("scontrol", "requeue", job)
    fields = cluster.wait(job, 300)
    assert (fields["JobState"], fields["Restarts"]) == ("COMPLETED", "1"), cluster.log(job)
    assert "going on from epoch" in cluster.log(job)
    assert weights(run) == weights(undisturbed)


@needs_slurm
@pytest.mark.slow
def test_train_job__queues_again_before_its_time_limit(
    cluster: SlurmCluster, configuration: Path, undisturbed: Path
):
    run = configuration.with_name("limited")
    job = cluster.submit("train", str(configuration), f"run.out={run}")
    in_mid_run(run)
    cluster.command("scancel", "--batch", "--signal=USR1", job)
    fields = cluster.wait(job, 300)
    assert (fields["JobState"], fields["Restarts"]) == ("COMPLETED", "1"), cluster.log(job)
    assert f"train.sbatch: saved; job {job} queues again" in cluster.log(job)
    assert weights(run) == weights(undisturbed)


@needs_slurm
@pytest.mark.slow
def test_train_job__gives_its_nodes_to_a_job_that_preempts_it(cluster: SlurmCluster, tmp_path: Path):
    (python := tmp_path / "python").write_text(RANK)
    python.chmod(0o755)
    values = tmp_path / "values.env"
    values.write_text(cluster.values.read_text().replace(f"PYTHON={sys.executable}", f"PYTHON={python}"))
    other = SlurmCluster(cluster.folder, {**cluster.environment, "EXOSHARD_VALUES": str(values)}, values)
    job = other.submit("train", "x.yaml")
    deadline = time.monotonic() + 60
    while "begun" not in other.log(job):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    words = ("--partition=urgent", "--nodes=2", "--mem=4000", "--output=/dev/null", "--wrap=true")
    urgent = other.command("sbatch", "--parsable", *words).strip()
    fields = other.wait(job, 120)
    assert (fields["JobState"], fields["Restarts"]) == ("COMPLETED", "1"), other.log(job)
    assert f"train.sbatch: saved; job {job} queues again" in other.log(job)
    assert other.wait(urgent, 30)["JobState"] == "COMPLETED"


@needs_slurm
@pytest.mark.slow
def test_train_job__cancelled_for_good(cluster: SlurmCluster, configuration: Path):
    run = configuration.with_name("cancelled")
    job = cluster.submit("train", str(configuration), f"run.out={run}")
    in_mid_run(run)
    cluster.command("scancel", job)
    assert cluster.wait(job, 60)["JobState"] == "CANCELLED"
    assert json.loads((run / "end.json").read_text())["status"] == 143
    time.sleep(8)  # it would wait so long, were it queued again
    assert cluster.state(job)["JobState"] == "CANCELLED"


@needs_slurm
@pytest.mark.slow
def test_train_job__a_fault_is_the_status_of_the_job(cluster: SlurmCluster, configuration: Path):
    job = cluster.submit(
        "train", str(configuration), "data.dataset=/nowhere", f"run.out={configuration.parent}/faulty"
    )
    fields = cluster.wait(job, 120)
    assert (fields["JobState"], fields["ExitCode"]) == ("FAILED", "2:0"), cluster.log(job)


@needs_slurm
@needs_horovod
@pytest.mark.slow
def test_train_job__horovod_on_two_nodes(
    cluster: SlurmCluster, configuration: Path, undisturbed: Path, tmp_path: Path
):
    values = tmp_path / "values.env"
    values.write_text(cluster.values.read_text().replace("LAUNCHER=torchrun", "LAUNCHER=horovodrun"))
    other = SlurmCluster(cluster.folder, {**cluster.environment, "EXOSHARD_VALUES": str(values)}, values)
    run = configuration.with_name("horovod")
    job = other.submit("train", str(configuration), f"run.out={run}")
    in_mid_run(run)
    other.command("scontrol", "requeue", job)
    fields = other.wait(job, 300)
    assert (fields["JobState"], fields["Restarts"]) == ("COMPLETED", "1"), cluster.log(job)
    assert "2 rank(s) (backend horovod)" in cluster.log(job)
    np.testing.assert_allclose(series_of(run), series_of(undisturbed), atol=1e-4)
