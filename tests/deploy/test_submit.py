import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ECHO = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n'


def submit(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(PROJECT / "deploy" / script), *arguments],
        env={**os.environ, **environment},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_submit_train__hands_options_to_horovodrun_and_settings_to_fit(tmp_path):
    python = executable(tmp_path / "python", ECHO)
    executable(tmp_path / "horovodrun", ECHO)
    done = submit(
        "submit_train.sh", "-np", "4", "-H", "a:2,b:2", "conf/train/x.yaml", "seed=3", PYTHON=str(python)
    )
    words = done.stdout.splitlines()
    assert words[1:6] == ["--gloo", "-np", "4", "-H", "a:2,b:2"]
    assert words[6:] == [str(python), "-m", "train", "fit", f"{PROJECT}/conf/train/x.yaml", "seed=3"]


def test_submit_train__number_of_ranks_after_an_equals_sign(tmp_path):
    python = executable(tmp_path / "python", ECHO)
    executable(tmp_path / "horovodrun", ECHO)
    done = submit("submit_train.sh", "--num-proc=4", "x.yml", PYTHON=str(python))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:3] == ["--gloo", "--num-proc=4"]


def test_submit_etl__hands_options_to_spark_and_settings_to_the_run(tmp_path):
    spark = executable(tmp_path / "spark" / "bin" / "spark-submit", ECHO)
    python = PROJECT / ".venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv in the checkout")
    options = ("--master", "spark://host:7077")
    done = submit(
        "submit_etl.sh", *options, "conf/etl/x.yaml", "profile=bipex", SPARK_HOME=str(tmp_path / "spark")
    )
    words = done.stdout.splitlines()
    assert words[0] == str(spark)
    assert words[-6:] == [*options, f"{PROJECT}/etl/__main__.py", "run", "conf/etl/x.yaml", "profile=bipex"]
    settings = dict(word.split("=", 1) for word in words if word.startswith("spark."))
    assert Path(settings["spark.jars"]).is_file()
    assert settings["spark.executor.extraClassPath"] == "./hail-all-spark.jar"
    assert settings["spark.serializer"] == "org.apache.spark.serializer.KryoSerializer"
    assert settings["spark.kryo.registrator"] == "is.hail.kryo.HailKryoRegistrator"


@pytest.mark.parametrize(
    ("script", "arguments", "told"),
    [
        ("submit_etl.sh", ["--master", "yarn"], "found no configuration among the arguments"),
        (
            "submit_etl.sh",
            ["--deploy-mode", "cluster", "x.yaml"],
            "found --deploy-mode cluster, wanted client",
        ),
        ("submit_etl.sh", ["--deploy-mode=cluster", "x.yml"], "found --deploy-mode cluster, wanted client"),
        ("submit_train.sh", ["-np", "2"], "found no configuration among the arguments"),
        ("submit_train.sh", ["x.yaml"], "found no -np, wanted the number of ranks"),
    ],
)
def test_submit__says_what_is_wrong(script, arguments, told):
    done = submit(script, *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_submit_train__asks_for_horovod(tmp_path):
    python = executable(tmp_path / "python", ECHO)
    done = submit("submit_train.sh", "-np", "2", "x.yaml", PYTHON=str(python))
    assert done.returncode == 2
    assert f"found no {tmp_path}/horovodrun" in done.stderr
