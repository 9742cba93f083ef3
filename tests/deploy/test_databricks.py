import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from contract.example import write_example
from contract.manifest import read_manifest
from deploy.check import databricks as check
from deploy.check.owner_values import read_values, unset, values_file
from deploy.check.runner import LeftOutError
from deploy.databricks import etl_task, evaluate_task, train_task, variables
from etl.session import HAIL_NEEDS, use_java
from tests.deploy.validators import validators

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "deploy" / "databricks"
JOB = "resources/exoshard_job.yml"


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the checks read, to plant faults in."""
    root = tmp_path / "checkout"
    shutil.copytree(FOLDER, root / "deploy" / "databricks")
    for name in ("conf", "contract", "etl", "train"):
        (root / name).mkdir()
    return root


@pytest.fixture
def values(tmp_path):
    path = values_file(PROJECT, "databricks")
    examples = {name: check.EXAMPLES.get(name, "example") for name in unset(path)}
    copy = tmp_path / "values.env"
    copy.write_text("".join(f"{name}={value}\n" for name, value in (read_values(path) | examples).items()))
    return copy


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def deploy(values: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(FOLDER / "deploy.sh"), *arguments],
        env={**os.environ, "VALUES": str(values), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_deploy__names_every_value_that_is_unset(values):
    replace(values, "VOLUME=/Volumes/example/default/exoshard\n", "VOLUME=\n")
    done = deploy(values, "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"databricks: {values}: VOLUME: found nothing, wanted a value of yours\n"


def test_deploy__a_name_that_the_file_lacks(values):
    replace(values, "VOLUME=/Volumes/example/default/exoshard\n", "")
    done = deploy(values, "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"databricks: {values}: VOLUME: found nothing, wanted a value of yours\n"


def test_deploy__tells_what_it_would_run(values):
    done = deploy(values, "--dry-run", "--target", "horovod")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "export BUNDLE_VAR_volume=/Volumes/example/default/exoshard" in lines
    assert lines[-3:] == [
        "databricks bundle validate --target horovod",
        "databricks bundle deploy --target horovod",
        "databricks bundle run exoshard --target horovod",
    ]


def test_deploy__unknown_target(values):
    done = deploy(values, "--target=spark")
    assert (done.returncode, done.stderr) == (
        2,
        "databricks: --target: found spark, wanted torch or horovod\n",
    )


def test_environment__the_workspace_is_no_variable_of_the_bundle():
    found = variables.environment({"HOST": "https://a", "TRAIN_GPUS": "4"})
    assert found == {"DATABRICKS_HOST": "https://a", "BUNDLE_VAR_train_gpus": "4"}


def test_checks__all_is_well():
    assert check.value_faults(PROJECT) == []
    assert check.bundle_faults(PROJECT) == []


def test_sync__the_etl_finds_its_default_profile_in_what_goes_along(tmp_path):
    for path in check.read_bundle(FOLDER)["sync"]["paths"]:
        folder = (FOLDER / path).resolve()
        shutil.copytree(
            folder, tmp_path / folder.relative_to(PROJECT), ignore=shutil.ignore_patterns("__pycache__")
        )
    code = (
        "from etl.config import PROFILES, EtlConfig\n"
        "print(PROFILES / f'{EtlConfig.model_fields[\"profile\"].default}.yaml')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    profile = Path(done.stdout.strip())
    assert profile.is_relative_to(tmp_path)
    assert profile.is_file()


def test_hail_needs__are_what_the_etl_asks_for():
    clusters = check.resolved(PROJECT, "torch")["exoshard"]["job_clusters"]
    conf = clusters[0]["new_cluster"]["spark_conf"]
    where = "spark.executor.extraClassPath"  # a fixed path here, the working directory under spark-submit
    assert {name: value for name, value in HAIL_NEEDS.items() if conf.get(name) != value} == {
        where: HAIL_NEEDS[where]
    }
    assert set(HAIL_NEEDS) <= set(check.HAIL_NEEDS)


def test_value_faults__a_variable_without_a_value_and_a_value_without_a_variable(checkout):
    replace(checkout / "deploy/databricks/values.env", "NODE_TYPE=\nMIN", "NODES=\nMIN")
    path = values_file(checkout, "databricks")
    assert check.value_faults(checkout) == [
        f"{path}: found no NODE_TYPE, wanted it: the bundle has no default",
        f"{path}: NODES: found a value that no variable takes",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("databricks.yml", "targets:", "tragets: {}\ntargets:", "found tragets, wanted one of bundle"),
        ("databricks.yml", "../../train", "../../tarin", "sync: found ../../tarin, wanted a folder"),
        (
            "databricks.yml",
            "  launcher: {default: torch}",
            "",
            "found ${var.launcher}, wanted a declared variable",
        ),
        (
            "databricks.yml",
            "15.4.x-scala2.12",
            "17.3.x-scala2.13",
            "spark_version: found 17.3.x-scala2.13, wanted",
        ),
        (
            "databricks.yml",
            "train_lock: local.lock",
            "train_lock: gpu.lock",
            "found gpu.lock, wanted local.lock",
        ),
        (
            JOB,
            "spark_python_task",
            "spark_pythn_task",
            "python_file: found nothing, wanted a file that is there",
        ),
        (JOB, "../etl_task.py", "../elt_task.py", "python_file: found ../elt_task.py, wanted a file"),
        (
            JOB,
            "depends_on: [{task_key: train}]",
            "depends_on: [{task_key: tarin}]",
            "depends_on: found tarin",
        ),
        (
            JOB,
            "job_cluster_key: etl\n          spark",
            "job_cluster_key: elt\n          spark",
            "found elt, wanted a job",
        ),
        (
            JOB,
            "HailKryoRegistrator",
            "KryoRegistrator",
            "spark.kryo.registrator: found is.hail.kryo.KryoRegistrator",
        ),
        (
            JOB,
            "JNAME: zulu17-ca-amd64",
            "JNAME: zulu8-ca-amd64",
            "JNAME: found zulu8-ca-amd64, wanted zulu17",
        ),
        (
            JOB,
            "data_security_mode: SINGLE_USER # Hail",
            "data_security_mode: USER_ISOLATION # Hail",
            "found USER_ISOLATION",
        ),
    ],
)
def test_bundle_faults__a_planted_fault(checkout, file, old, new, fault):
    assert check.bundle_faults(checkout) == []
    replace(checkout / "deploy/databricks" / file, old, new)
    assert any(fault in told for told in check.bundle_faults(checkout)), check.bundle_faults(checkout)


def test_resolved__targets_replace_variables_and_numbers_are_numbers():
    torch, horovod = (check.resolved(PROJECT, target)["exoshard"] for target in ("torch", "horovod"))
    assert torch["job_clusters"][0]["new_cluster"]["autoscale"] == {"min_workers": 2, "max_workers": 16}
    runtimes = [job["job_clusters"][1]["new_cluster"]["spark_version"] for job in (torch, horovod)]
    assert runtimes == ["16.4.x-gpu-ml-scala2.12", "15.4.x-gpu-ml-scala2.12"]


def test_schema_faults__a_command_line_without_schema_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "databricks").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "databricks").chmod(0o755)
    monkeypatch.setattr(check, "program", lambda name: str(tmp_path / name))
    with pytest.raises(LeftOutError, match="this databricks has no `bundle schema`"):
        check.schema_faults(PROJECT)


def test_etl_task__without_a_configuration():
    with pytest.raises(
        SystemExit, match=r"etl_task: found /code run, wanted SOURCE SCRATCH COMMAND CONF\.yaml"
    ):
        etl_task.main(["/code", "run"])


def played_cluster(spark: str, java: str) -> SimpleNamespace:
    """A SparkContext of a cluster, as far as the task asks it."""
    system = SimpleNamespace(getProperty=lambda name: java)
    jvm = SimpleNamespace(java=SimpleNamespace(lang=SimpleNamespace(System=system)))
    return SimpleNamespace(version=spark, _jvm=jvm, addPyFile=lambda path: None)


def play(monkeypatch, context: SimpleNamespace) -> list[str]:
    """Let the task find a cluster and a Hail that only notes what it is asked."""
    told: list[str] = []
    session = SimpleNamespace(sparkContext=context)
    builder = SimpleNamespace(getOrCreate=lambda: session)
    backend = SimpleNamespace(validate_file=lambda uri: told.append(f"checked {uri}"))
    hail = SimpleNamespace(init=lambda **settings: told.append("init"), current_backend=lambda: backend)
    monkeypatch.setitem(
        sys.modules, "pyspark.sql", SimpleNamespace(SparkSession=SimpleNamespace(builder=builder))
    )
    monkeypatch.setitem(sys.modules, "hail", hail)
    monkeypatch.setattr(etl_task, "zip_packages", lambda source, folder: "packages.zip")
    hail.validate = lambda uri: backend.validate_file(uri)
    return told


@pytest.mark.parametrize(
    ("spark", "java", "said"),
    [
        ("3.5.0", "1.8", "etl_task: the driver: Java: found 1.8, wanted Java 11 or 17: set JAVA_HOME"),
        ("4.0.0", "17", r"etl_task: the cluster: Spark: found 4.0.0 \(Scala 2.12\), wanted .*3\.5"),
    ],
)
def test_etl_task__a_cluster_that_hail_is_not_made_for(monkeypatch, spark, java, said):
    told = play(monkeypatch, played_cluster(spark, java))
    with pytest.raises(SystemExit, match=said) as ended:
        etl_task.main([str(PROJECT), "/scratch", "run", "etl.yaml"])
    assert "\n" not in str(ended.value)
    assert told == []


def test_start_hail__it_writes_where_java_can(monkeypatch, tmp_path):
    told = play(monkeypatch, played_cluster("3.5.0", "17"))
    etl_task.start_hail(PROJECT, "/scratch", str(tmp_path))
    for uri in ("s3a://bucket/t.ht", "/scratch/t.ht"):
        sys.modules["hail"].validate(uri)
    assert told == ["init", "checked /scratch/t.ht"]


def test_zip_packages__modules_of_the_etl_and_the_contract(tmp_path):
    names = zipfile.ZipFile(etl_task.zip_packages(PROJECT, tmp_path)).namelist()
    assert {"etl/__init__.py", "contract/errors.py"} <= set(names)


def test_train_task__a_launcher_that_it_does_not_know():
    with pytest.raises(
        SystemExit, match=r"train_task: found /code mpi 2 a\.yaml, wanted SOURCE torch\|horovod"
    ):
        train_task.main(["/code", "mpi", "2", "a.yaml"])


def test_horovod_command__a_rank_for_each_gpu():
    found = train_task.horovod_command(Path("/code"), 4, ["a.yaml", "seed=2"])
    assert found == ["bash", "/code/deploy/submit_train.sh", "-np", "4", "a.yaml", "seed=2"]


def test_evaluate_task__a_fault_is_told_by_its_status(tmp_path, capfd):
    with pytest.raises(SystemExit, match="evaluate_task: ended with status 2"):
        evaluate_task.main([str(PROJECT), str(tmp_path / "absent.yaml")])
    assert "absent.yaml" in capfd.readouterr().err


def install(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The init script, where a program plays the cluster's Python and uv."""
    files = tmp_path / "files"
    files.mkdir()
    for path in ("pyproject.toml", "deploy/locks/bootstrap.lock", "deploy/locks/local.lock"):
        shutil.copy(PROJECT / path, files)
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nif [ "$1" = -c ]; then echo "$0-packages"; exit; fi\n'
        'echo "python $*"\nwhile [ "$1" != --target ]; do shift; done\nmkdir -p "$2/bin"\n'
        'printf \'#!/bin/sh\\necho "uv $*"\\n\' >"$2/bin/uv"\nchmod +x "$2/bin/uv"\n'
    )
    python.chmod(0o755)
    given = {
        "EXOSHARD_FILES": str(files),
        "EXOSHARD_LOCK": "local.lock",
        "EXOSHARD_EXTRA": "etl",
        **environment,
    }
    given |= {"CLUSTER_PYTHON": str(python), "EXOSHARD_HOME": str(tmp_path / "home")}
    return subprocess.run(
        ["bash", str(FOLDER / "install_environment.sh")],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_install_environment__lock_without_spark_and_the_jar_at_its_path(tmp_path):
    jar = tmp_path / "python-packages/hail/backend/hail-all-spark.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--extra etl --extra s3 --extra gs -c " in done.stdout
    assert (tmp_path / "home/overrides.txt").read_text() == "pyspark ; python_version < '3'\n"
    assert (tmp_path / "home/hail-all-spark.jar").resolve() == jar


def test_install_environment__a_lock_that_is_not_there(tmp_path):
    done = install(tmp_path, EXOSHARD_LOCK="gpu.lock")
    assert (done.returncode, done.stderr) == (
        1,
        f"install_environment: found no {tmp_path}/files/gpu.lock, wanted it from deploy.sh\n",
    )


def test_install_environment__no_extra(tmp_path):
    done = install(tmp_path, EXOSHARD_EXTRA="")
    assert done.stderr.startswith(
        "install_environment: found no EXOSHARD_EXTRA, wanted it among the cluster's"
    )


def task(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A task of the job, as a file that Python runs."""
    return subprocess.run(
        [sys.executable, str(FOLDER / name), str(PROJECT), *arguments],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=500,
    )


def spark_arguments(conf: dict[str, str]) -> str:
    """What starts a Spark as a cluster's spark_conf does, for PYSPARK_SUBMIT_ARGS."""
    return " ".join(f"--conf {name}={value}" for name, value in conf.items()) + " pyspark-shell"


@pytest.mark.slow
def test_train_task__ranks_under_torch_distributor_and_evaluation(tmp_path):
    write_example(str(tmp_path / "dataset"), n_samples=400, causal=(0, 1), seed=3)
    conf = tmp_path / "train.yaml"
    settings = yaml.safe_load((PROJECT / "conf/train/demo.yaml").read_text())
    settings["data"] = {**settings.get("data", {}), "dataset": str(tmp_path / "dataset"), "reader": "arrow"}
    settings["run"] = {"out": str(tmp_path / "run")}
    settings["stopping"] = {**settings.get("stopping", {}), "max_epochs": 2}
    conf.write_text(yaml.safe_dump(settings))
    use_java()
    done = task("train_task.py", "torch", "2", str(conf), TRAIN_ON_CPU="yes")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "run/bundle").is_dir()
    done = task("evaluate_task.py", str(conf))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "run/metrics.json").is_file()


@pytest.mark.slow
def test_train_task__what_a_rank_said_arrives(tmp_path):
    conf = tmp_path / "train.yaml"
    conf.write_text(yaml.safe_dump({"data": {"dataset": str(tmp_path / "absent"), "reader": "arrow"},
                                    "run": {"out": str(tmp_path / "run")}}))  # fmt: skip
    use_java()
    done = task("train_task.py", "torch", "2", str(conf), TRAIN_ON_CPU="yes")
    assert done.returncode == 1
    assert "train_task: found 0 of 2 ranks that ended well; why stands above" in done.stderr
    assert "rank 0 ends with status 2" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_etl_task__the_dataset_of_a_local_run(tmp_path):
    import hail

    jar = str(Path(hail.__file__).parent / "backend/hail-all-spark.jar")
    cluster = check.resolved(PROJECT, "torch")["exoshard"]["job_clusters"][0]["new_cluster"]
    conf = {name: str(value).replace("/opt/exoshard/hail-all-spark.jar", jar)
            for name, value in cluster["spark_conf"].items()} | {"spark.master": "local[2]"}  # fmt: skip
    python = [sys.executable, "-m", "etl"]
    options = SimpleNamespace(cwd=PROJECT, check=True, timeout=400, capture_output=True).__dict__
    simulated = ["people=300", "genes.count=40", "seed=11", f"out={tmp_path}/cohort"]
    subprocess.run([*python, "simulate", "conf/simulate/tiny.yaml", *simulated], **options)
    settings = ["run", str(PROJECT / "conf/etl/demo.yaml"), f"data={tmp_path}/cohort", "row_group_size=16"]
    subprocess.run([*python, *settings, f"out={tmp_path}/local", "spark.driver_memory=2g"], **options)
    use_java()
    done = task(
        "etl_task.py", str(tmp_path / "scratch"), *settings, f"out={tmp_path}/task",
        PYSPARK_SUBMIT_ARGS=f"--driver-memory 2g {spark_arguments(conf)}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    ours, local = (read_manifest(str(tmp_path / name / "dataset")) for name in ("task", "local"))
    assert [fold.model_dump() for fold in ours.folds] == [fold.model_dump() for fold in local.folds]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("spark_python_task", "spark_pythn_task", "task etl: Unexpected field 'spark_pythn_task'"),
        ("num_workers: 0", "num_workers: none", "cluster train: invalid literal"),
        ("data_security_mode: SINGLE_USER\n", "data_security_mode: SINGLE\n", "SINGLE"),
    ],
)
def test_job_faults__a_planted_fault(tmp_path, old, new, fault):
    python = validators()
    shutil.copytree(FOLDER, tmp_path / "deploy" / "databricks")
    code = (
        "import sys; from pathlib import Path; from deploy.check.databricks import job_faults\n"
        "print('\\n'.join(job_faults(Path(sys.argv[1]))))"
    )

    def faults() -> str:
        done = subprocess.run(
            [python, "-c", code, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert faults() == ""
    replace(tmp_path / "deploy/databricks" / JOB, old, new)
    assert fault in faults()
