import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from contract.example import write_example
from deploy.check import dataproc as check
from deploy.check.owner_values import unset, values_file
from deploy.dataproc import job, render
from tests.deploy.validators import validators
from tests.etl.mini import MiniInputs

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "deploy" / "dataproc"


@pytest.fixture
def values(tmp_path):
    return check.example_values(PROJECT, tmp_path)


@pytest.fixture
def mini(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    return MiniInputs(folder)


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the checks read, to plant faults in."""
    root = tmp_path / "checkout"
    shutil.copytree(FOLDER, root / "deploy" / "dataproc")
    return root


def command(script: str, *arguments: str, values: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(FOLDER / script), *arguments],
        env={**os.environ, "VALUES": str(values), "PYTHON": sys.executable},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_create_cluster__names_every_value_that_is_unset(values):
    replace(values, "PROJECT=example-project", "PROJECT=")
    replace(values, "ZONE=us-central1-b", "ZONE=CHANGE-ME")
    done = command("create_cluster.sh", "--dry-run", values=values)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"dataproc: {values}: PROJECT: found nothing, wanted a value of yours",
        f"dataproc: {values}: ZONE: found nothing, wanted a value of yours",
    ]


@pytest.mark.parametrize("line", ["", "REGION=' '\n"])
def test_create_cluster__a_name_that_the_file_lacks_or_leaves_blank(values, line):
    replace(values, "REGION=us-central1\n", line)
    done = command("create_cluster.sh", "--dry-run", values=values)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"dataproc: {values}: REGION: found nothing, wanted a value of yours\n"


def test_create_cluster__tells_what_it_would_run(values):
    done = command("create_cluster.sh", "--dry-run", values=values)
    assert done.returncode == 0, done.stderr
    beginnings = [" ".join(line.split()[:4]) for line in done.stdout.splitlines()]
    assert beginnings[1:] == [
        "gcloud dataproc autoscaling-policies import",
        "gcloud dataproc clusters import",
    ]


def test_create_cluster__an_argument_that_it_does_not_know(values):
    done = command("create_cluster.sh", "--region=x", values=values)
    assert (done.returncode, done.stderr) == (
        2,
        "dataproc: found --region=x, wanted --dry-run or nothing: settings stand in values.env\n",
    )


def test_submit_etl__hands_over_file_packages_jar_and_settings(values, tmp_path):
    configuration = tmp_path / "cohort.yaml"
    configuration.touch()
    done = command("submit_etl.sh", "--dry-run", str(configuration), "profile=bipex", values=values)
    assert done.returncode == 0, done.stderr
    assert f"--files={configuration},{PROJECT}/build/dataproc/packages.zip" in shlex.split(done.stdout)
    jar = "/opt/exoshard/environment/lib/python3.11/site-packages/hail/backend/hail-all-spark.jar"
    assert f"spark.driver.extraClassPath={jar}" in done.stdout
    assert f"spark.executor.extraClassPath={jar}" in done.stdout
    assert done.stdout.endswith(" -- etl run cohort.yaml profile=bipex\n")


def test_submit_etl__serverless_takes_the_runtime_of_hails_scala(values):
    done = command("submit_etl.sh", "--serverless", "--dry-run", "conf/etl/demo.yaml", values=values)
    assert "gcloud dataproc batches submit pyspark" in done.stdout
    assert "--version=1.2" in done.stdout
    assert "--container-image=us-central1-docker.pkg.dev" in done.stdout


def test_submit_etl__serverless_without_an_image(values):
    image = check.EXAMPLES["CONTAINER_IMAGE"]
    replace(values, f"CONTAINER_IMAGE={image}", "CONTAINER_IMAGE=none")
    done = command("submit_etl.sh", "--serverless", "--dry-run", "conf/etl/demo.yaml", values=values)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"dataproc: {values}: CONTAINER_IMAGE: found none, wanted an image for --serverless\n"
    )
    assert command("submit_etl.sh", "--dry-run", "conf/etl/demo.yaml", values=values).returncode == 0


def test_values__who_uses_a_cluster_need_not_name_an_image():
    assert "CONTAINER_IMAGE" not in unset(values_file(PROJECT, "dataproc"))


def test_submit_etl__no_such_configuration(values):
    done = command("submit_etl.sh", "--dry-run", "absent.yaml", values=values)
    assert (done.returncode, done.stderr) == (
        2,
        "dataproc: found no file absent.yaml, wanted the ETL's configuration\n",
    )


def test_run_workflow__training_follows_the_etl(values):
    done = command("run_workflow.sh", "--dry-run", "conf/etl/demo.yaml", "conf/train/gpu.yaml", values=values)
    assert done.returncode == 0, done.stderr
    workflows = re.findall(r"instantiate-from-file --file=\S+/(\w+)\.yaml", done.stdout)
    assert workflows == ["etl_workflow", "train_workflow"]


def test_cluster_properties__memory_that_hail_wants_outside_of_the_heap(values):
    found = render.cluster_properties(values)
    assert found["spark:spark.executor.memory"] == "10117m"
    assert found["spark:spark.executor.memoryOverhead"] == "15175m"
    assert found["spark:spark.driver.memory"] == "36g"


def test_cluster_properties__machine_of_unknown_memory(values):
    replace(values, "WORKER_MACHINE=n1-highmem-8", "WORKER_MACHINE=n1-highcpu-8")
    with pytest.raises(
        render.ValuesError, match=r"values\.env: WORKER_MACHINE: found n1-highcpu-8, wanted c3-high"
    ):
        render.cluster_properties(values)


def test_write_files__nothing_where_a_value_is_unset(values, tmp_path):
    replace(values, "TRAIN_GPUS=4", "TRAIN_GPUS=")
    with pytest.raises(render.ValuesError, match="TRAIN_GPUS: found nothing, wanted a value of yours"):
        render.write_files(values, tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_write_files__etl_on_spot_workers_and_training_on_gpus(values, tmp_path):
    render.write_files(values, tmp_path)
    etl = yaml.safe_load((tmp_path / "etl_workflow.yaml").read_text())
    cluster = etl["placement"]["managedCluster"]["config"]
    assert cluster["secondaryWorkerConfig"]["preemptibility"] == "SPOT"
    train = yaml.safe_load((tmp_path / "train_workflow.yaml").read_text())
    accelerators = train["placement"]["managedCluster"]["config"]["masterConfig"]["accelerators"]
    assert accelerators == [{"acceleratorTypeUri": "nvidia-tesla-a100", "acceleratorCount": 4}]
    assert [step["pysparkJob"]["args"][0] for step in train["jobs"]] == ["fit", "evaluate"]


def test_write_packages__code_with_its_data_files(tmp_path):
    render.write_packages(tmp_path)
    names = zipfile.ZipFile(tmp_path / "packages.zip").namelist()
    assert {"etl/__main__.py", "contract/errors.py", "deploy/submit_train.sh"} <= set(names)
    assert any(name.startswith("train/") and name.endswith(".j2") for name in names)
    assert not any("__pycache__" in name for name in names)


def test_command__a_rank_for_each_gpu():
    found = job.command(["fit", "4", "train.yaml", "seed=2"], Path("/code"))
    assert found == [
        *("bash", "/code/deploy/submit_train.sh", "--standalone", "--nproc-per-node", "4"),
        *("train.yaml", "seed=2"),
    ]


def test_command__fit_without_the_number_of_gpus():
    with pytest.raises(SystemExit, match=r"found fit train\.yaml, wanted fit RANKS CONF\.yaml"):
        job.command(["fit", "train.yaml"], Path("/code"))


def test_job__the_etl_reads_what_lies_beside_its_code(tmp_path, mini):
    render.write_packages(tmp_path)
    mini.settings["profile"] = "bipex"
    words = [sys.executable, str(FOLDER / "job.py"), "etl", "check", str(mini.write_config())]
    without_checkout = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=tmp_path, env=without_checkout, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, "no faults found\n"), done.stderr


@pytest.mark.slow
def test_job__trains_and_judges_from_the_packages(tmp_path):
    render.write_packages(tmp_path)
    write_example(str(tmp_path / "dataset"), n_samples=400, causal=(0, 1), seed=3)
    settings = yaml.safe_load((PROJECT / "conf/train/demo.yaml").read_text())
    settings["data"] = {**settings.get("data", {}), "dataset": str(tmp_path / "dataset"), "reader": "arrow"}
    settings["run"] = {"out": str(tmp_path / "run")}
    settings["stopping"] = {**settings.get("stopping", {}), "max_epochs": 2}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(settings))
    without_checkout = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for words in (["fit", "2", "train.yaml"], ["evaluate", "train.yaml"]):
        done = subprocess.run(
            [sys.executable, str(FOLDER / "job.py"), *words],
            cwd=tmp_path,
            env=without_checkout,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "run/metrics.json").is_file()


def run_init_action(tmp_path: Path, extra: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The initialization action where metadata, store and Python are played by small programs."""
    programs = {
        "curl": f'#!/bin/sh\ncase "$4" in *exoshard-extra) echo {extra} ;; *) echo "{PROJECT}" ;; esac\n',
        "gcloud": '#!/bin/sh\nname=$(basename "$3")\nshift 2\n'
        f'[ -f "$1" ] || set -- "{PROJECT}/deploy/locks/$name" "$2"\ncp "$1" "$2"\n',
        "g++": "#!/bin/sh\n",
        "python3.11": '#!/bin/sh\n[ "$2" != venv ] || { mkdir -p "$3/bin"\n'
        'for name in python uv; do printf \'#!/bin/sh\\necho "%s $*"\\n\' "$name" >"$3/bin/$name"\n'
        'chmod +x "$3/bin/$name"; done; }\n',
    }
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["bash", str(FOLDER / "init_environment.sh")],
        env={
            "PATH": f"{folder}:/usr/bin:/bin",
            "EXOSHARD_HOME": str(tmp_path / "home"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_init_environment__installs_the_lock_in_its_own_folder(tmp_path):
    done = run_init_action(tmp_path, "train-arrow")
    assert done.returncode == 0, done.stderr
    home = tmp_path / "home"
    pip, venv, packages = done.stdout.splitlines()
    assert pip.endswith(f"--require-hashes -r {home}/locks/bootstrap.lock")
    assert venv == f"uv venv --quiet --python 3.11 {home}/environment"
    assert f"--python {home}/environment/bin/python" in packages
    assert packages.endswith(f"--extra train-arrow --extra gs --extra s3 -c {home}/locks/local.lock")


def test_checks__all_is_well():
    assert check.value_faults(PROJECT) == []
    assert check.client_faults(PROJECT) == []


def test_checks__a_file_that_is_no_yaml_is_a_fault(checkout):
    replace(checkout / "deploy/dataproc/autoscaling_policy.yaml", "basicAlgorithm:", "basicAlgorithm: [")
    messages = next(one for one in check.checks(checkout) if one.name == "files are messages of the API")
    (fault,) = messages.run()
    assert fault.startswith("deploy/dataproc: ParserError: while parsing")


@pytest.mark.parametrize("extra", ["gs", "s3"])
def test_client_faults__a_store_that_machines_could_not_open(checkout, extra):
    assert check.client_faults(checkout) == []
    path = checkout / "deploy/dataproc/init_environment.sh"
    replace(path, f" --extra {extra}", "")
    assert check.client_faults(checkout) == [f"{path}: found no --extra {extra}, wanted it"]


def test_value_faults__a_name_without_a_line_and_a_line_without_a_reader(checkout):
    replace(checkout / "deploy/dataproc/values.env", "IDLE_SECONDS=3600", "IDLE_MINUTES=60")
    first, second = check.value_faults(checkout)
    assert "cluster_config.yaml: found IDLE_SECONDS, wanted a name in" in first
    assert second.endswith("values.env: IDLE_MINUTES: found a value that nothing reads")


def test_order_faults__a_step_that_waits_for_a_later_one():
    jobs = [{"stepId": "evaluate", "prerequisiteStepIds": ["fit"]}, {"stepId": "fit"}]
    assert check.order_faults("train_workflow", {"jobs": jobs}) == [
        "deploy/dataproc/train_workflow.yaml: evaluate: found prerequisite fit, wanted an earlier step"
    ]


def test_shuffle_faults__spot_workers_that_would_keep_shuffles(values):
    cluster = render.rendered("cluster", values)
    policy = render.rendered("autoscaling_policy", values)
    assert check.shuffle_faults(cluster, policy) == []
    del cluster["config"]["softwareConfig"]["properties"]["dataproc:efm.spark.shuffle"]
    policy["workerConfig"]["minInstances"] = 2
    policy["basicAlgorithm"]["yarnConfig"]["gracefulDecommissionTimeout"] = "3600s"
    assert check.shuffle_faults(cluster, policy) == [
        "the cluster: dataproc:efm.spark.shuffle: found None, wanted primary-worker",
        "deploy/dataproc/autoscaling_policy.yaml: workerConfig: found a range, wanted one number: these "
        "workers keep shuffles",
        "deploy/dataproc/autoscaling_policy.yaml: gracefulDecommissionTimeout: found 3600s, wanted 0s",
    ]


def test_cluster_differences__a_property_and_an_image_that_hailctl_has_not(values):
    software = render.rendered("cluster", values)["config"]["softwareConfig"]
    said = (
        "Allocating memory\ngcloud dataproc clusters create x \\\n    --image-version=2.3.5-debian12 \\\n"
        "    '--properties=^|||^spark:spark.task.maxFailures=20|||spark:spark.speculation=false'"
    )
    assert check.cluster_differences(said, software) == [
        "deploy/dataproc/render.py: spark:spark.speculation: found true, wanted false as hailctl has it",
        "deploy/dataproc/values.env: IMAGE_VERSION: found 2.2-debian12, wanted 2.3 as hailctl has it",
    ]


def test_printed__a_script_that_fails_is_told(values):
    replace(values, "PROJECT=example-project", "PROJECT=")
    with pytest.raises(
        RuntimeError, match=r"create_cluster\.sh ended with status 2: .* PROJECT: found nothing"
    ):
        check.printed(PROJECT, values, "create_cluster.sh", "--dry-run")


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_refused__a_flag_that_gcloud_does_not_know(tmp_path):
    lines = ["gcloud dataproc clusters import c --source=f --regoin=r", "gcloud storage cp a gs://b/"]
    (fault,) = check.refused(lines, tmp_path)
    assert fault.startswith(
        "deploy/dataproc: gcloud dataproc clusters import: gcloud says: unrecognized arguments"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("cluster_config.yaml", "machineTypeUri", "machineTypUri", "no field named"),
        ("cluster_config.yaml", "preemptibility: SPOT", "preemptibility: SPOTTY", "SPOTTY"),
        ("autoscaling_policy.yaml", "cooldownPeriod: 120s", "cooldownPeriod: soon", "no AutoscalingPolicy"),
        ("train_workflow.yaml", "mainPythonFileUri", "mainPythonFile", "no WorkflowTemplate"),
        (
            "train_workflow.yaml",
            "prerequisiteStepIds: [fit]",
            "prerequisiteStepIds: [fot]",
            "prerequisite fot",
        ),
        ("create_cluster.sh", "--source=", "--sauce=", "gcloud says"),
    ],
)
def test_deploy_check__finds_a_planted_fault(tmp_path, file, old, new, fault):
    if file.endswith(".sh") and shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    python = validators()
    for folder in ("deploy", "etl", "contract", "train", "conf"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)

    def run() -> subprocess.CompletedProcess[str]:
        words = [python, "-m", "deploy.check", "--only", "dataproc"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200)

    well = run()
    assert well.returncode == 0, well.stdout + well.stderr
    replace(tmp_path / "deploy" / "dataproc" / file, old, new)
    done = run()
    assert done.returncode == 1, done.stdout
    assert fault in done.stderr
