import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from contract.example import write_example
from tests.train.processes import wait_for

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


def elastic_words(tmp_path: Path, *options: str, **environment: str) -> tuple[list[str], str]:
    """Words that horovodrun is given, and what its host discovery answers."""
    python = executable(tmp_path / "python", ECHO)
    answer = 'while [ "$1" != --host-discovery-script ]; do shift; done; "$2" >"$(dirname "$0")/answer"\n'
    executable(tmp_path / "horovodrun", ECHO + answer)
    done = submit(
        "submit_train.sh", "--elastic", "-np", "2", *options, "x.yaml", PYTHON=str(python), **environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), (tmp_path / "answer").read_text()


def test_submit_train__elastic_on_hosts_that_stay(tmp_path):
    words, answer = elastic_words(tmp_path, "-H", "a:2,b:4", "--max-np=6")
    assert answer == "a:2\nb:4\n"
    assert "-H" not in words
    assert words[1:5] == ["--gloo", "-np", "2", "--max-np=6"]
    assert words[5] == "--host-discovery-script"
    assert words[7:12] == ["--min-np", "1", "--blacklist-cooldown-range", "10", "120"]
    assert "--network-interface" not in words


def test_submit_train__elastic_hosts_are_those_of_the_first_minute(tmp_path):
    hosts = executable(
        tmp_path / "hosts.sh", f'#!/bin/sh\ncat "{tmp_path}/now"; echo 127.0.0.1:1 >>"{tmp_path}/now"\n'
    )
    (tmp_path / "now").write_text("localhost:1\n")
    words, answer = elastic_words(tmp_path, "--host-discovery-script", str(hosts), "--min-np", "2")
    assert answer == "localhost:1\n"
    assert words.count("--min-np") == 1
    assert words[words.index("--network-interface") + 1] == "lo"
    _, answer = elastic_words(tmp_path, "--host-discovery-script", str(hosts), SETTLING="0")
    assert answer.splitlines() == ["localhost:1", "127.0.0.1:1", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "found --elastic alone, wanted --host-discovery-script PROGRAM or -H HOST:RANKS,..."),
        (["-H", "node1:2"], "found one host, wanted --network-interface NAME"),
        (
            ["--host-discovery-script", "absent.sh"],
            "--host-discovery-script: found absent.sh, wanted a program",
        ),
    ],
)
def test_submit_train__elastic_without_what_it_needs(tmp_path, options: list[str], told: str):
    python = executable(tmp_path / "python", ECHO)
    executable(tmp_path / "horovodrun", ECHO)
    done = submit("submit_train.sh", "--elastic", "-np", "2", *options, "x.yaml", PYTHON=str(python))
    assert done.returncode == 2
    assert told in done.stderr


def test_submit_train__torchrun_is_not_elastic(tmp_path):
    python = executable(tmp_path / "python", ECHO)
    done = submit("submit_train.sh", "--elastic", "x.yaml", PYTHON=str(python), LAUNCHER="torchrun")
    assert done.returncode == 2
    assert "found --elastic with torchrun, wanted horovodrun" in done.stderr


def test_submit_train__torchrun_as_launcher(tmp_path):
    python = executable(tmp_path / "python", ECHO)
    options = ("--standalone", "--nproc-per-node", "2")
    done = submit("submit_train.sh", *options, "x.yml", PYTHON=str(python), LAUNCHER="torchrun")
    assert done.stdout.splitlines()[1:7] == ["-m", "torch.distributed.run", *options, "-m"]
    refused = submit("submit_train.sh", "-np", "2", "x.yml", PYTHON=str(python), LAUNCHER="mpirun")
    assert refused.returncode == 2
    assert "LAUNCHER: found mpirun, wanted horovodrun or torchrun" in refused.stderr


@pytest.mark.parametrize(
    ("lines", "status", "told"),
    [
        (
            [
                "[1]<stderr>:rank 1 ends with status 1: epoch 1: found x, wanted y",
                "[0]<stderr>:rank 0 ends with status 2: run: run.out: found x, wanted y",
                "[0]<stderr>:rank 0 ends with status 2: run: run.out: found z, wanted y",
                "Process 0 exit with status code 2.",
                "  traceback : rank 0 ends with status 2: run: run.out: found x, wanted y",
            ],
            2,
            ["rank 0: run: run.out: found x, wanted y", "rank 0: run: run.out: found z, wanted y"],
        ),
        (
            ["rank 0 was left alone: epoch 1", "rank 1 ends with status 1: memory", "Process 1 exit"],
            1,
            ["rank 1: memory"],
        ),
        (
            ["rank 0 was left alone: epoch 1: another rank has ended"],
            1,
            ["rank 0: epoch 1: another rank has ended"],
        ),
        (["[0]<stderr>:rank 0 ends with status 143: stopped and saved"], 143, ["rank 0: stopped and saved"]),
        (["Process 1 exit with status code 137."], 1, ["the launcher ended with status 7"]),
    ],
)
def test_submit_train__the_reason_is_last_and_the_status_is_the_rank_s(
    tmp_path, lines: list[str], status: int, told: list[str]
):
    python = executable(tmp_path / "python", ECHO)
    text = "\n".join(["#!/bin/sh", "cat >&2 <<'END'", *lines, "END", "exit 7"])
    executable(tmp_path / "horovodrun", text + "\n")
    done = submit("submit_train.sh", "-np", "2", "x.yaml", PYTHON=str(python))
    assert done.stderr.splitlines() == [*lines, *(f"submit_train: {line}" for line in told)]
    assert done.returncode == status


@pytest.mark.slow
def test_submit_train__a_fault_through_horovodrun(tmp_path):
    conf = tmp_path / "conf.yaml"
    conf.write_text(f"data: {{dataset: {tmp_path}/absent}}\nrun: {{out: {tmp_path}/run}}\n")
    done = submit("submit_train.sh", "-np", "2", str(conf), PYTHON=sys.executable)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"submit_train: rank 0: {tmp_path}/absent: manifest.json: found no such file")


@pytest.mark.slow
def test_submit_train__told_to_end_saves(tmp_path):
    dataset = str(tmp_path / "dataset")
    write_example(dataset, n_samples=400, n_genes=20, seed=1)
    conf = tmp_path / "conf.yaml"
    conf.write_text(
        f"data: {{dataset: {dataset}, reader: arrow}}\nrun: {{out: {tmp_path}/run}}\n"
        "stopping: {max_epochs: 100000, patience: 100000}\n"
    )
    with subprocess.Popen(
        ["bash", str(PROJECT / "deploy" / "submit_train.sh"), "-np", "2", str(conf)],
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as launched:
        try:
            wait_for(tmp_path / "run" / "history.json")
            launched.terminate()
            _, errors = launched.communicate(timeout=60)
        finally:
            launched.kill()
    assert launched.returncode == 143
    assert errors.splitlines()[-1] == (
        "submit_train: rank 0: stopped and saved; the same command goes on from here"
    )


def etl_words(tmp_path: Path, *options: str, **environment: str) -> list[str]:
    """The words of the command that submits an ETL."""
    given = {"PYTHON": sys.executable, "SPARK_HOME": str(tmp_path / "spark"), "PYSPARK_PYTHON": ""}
    given |= {"HADOOP_CONF_DIR": str(tmp_path)}
    arguments = ("--dry-run", *options, "conf/etl/demo.yaml", f"out={tmp_path}/out", "profile=bipex")
    done = submit("submit_etl.sh", *arguments, **(given | environment))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return shlex.split(done.stdout)


def settings_in(words: list[str]) -> dict[str, str]:
    """What stands behind each --conf of a command."""
    given = [words[place + 1] for place, word in enumerate(words) if word == "--conf"]
    return dict(text.split("=", 1) for text in given)


def after(words: list[str], option: str) -> list[str]:
    """The one list that an option is given."""
    (place,) = (place for place, word in enumerate(words) if word == option)
    return words[place + 1].split(",")


def test_submit_etl__hands_options_to_spark_and_settings_to_the_run(tmp_path):
    options = ("--master", "spark://host:7077")
    words = etl_words(tmp_path, *options)
    assert words[:3] == [f"{tmp_path}/spark/bin/spark-submit", "--deploy-mode", "client"]
    settings = (f"out={tmp_path}/out", "profile=bipex")
    assert words[-7:] == [*options, f"{PROJECT}/etl/__main__.py", "run", "conf/etl/demo.yaml", *settings]
    given = settings_in(words)
    assert Path(given["spark.jars"]).is_file()
    assert given["spark.driver.extraClassPath"] == given["spark.jars"]
    assert given["spark.executor.extraClassPath"] == "./hail-all-spark.jar"
    assert given["spark.serializer"] == "org.apache.spark.serializer.KryoSerializer"
    assert given["spark.kryo.registrator"] == "is.hail.kryo.HailKryoRegistrator"
    assert not {"--archives", "--files"} & set(words)


def test_submit_etl__code_and_configuration_travel_in_cluster_mode(tmp_path):
    words = etl_words(tmp_path, "--master=yarn", "--deploy-mode=cluster")
    assert after(words, "--files") == ["conf/etl/demo.yaml"]
    (code,) = after(words, "--archives")
    assert code.endswith("/exoshard.zip#exoshard")
    assert words[words.index("run") + 1] == "demo.yaml"
    given = settings_in(words)
    for side in ("driver", "executor"):
        assert given[f"spark.{side}.extraClassPath"] == "./hail-all-spark.jar"
    for setting in ("spark.yarn.appMasterEnv.PYSPARK_PYTHON", "spark.executorEnv.PYSPARK_PYTHON"):
        assert given[setting] == sys.executable
    assert given["spark.yarn.appMasterEnv.EXOSHARD_TOLD"].startswith(f"{tmp_path}/out/submitted-")
    assert not Path(code.partition("#")[0]).exists()  # a dry run leaves nothing


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_submit_etl__what_the_user_sends_goes_beside_our_own(tmp_path, mode: str):
    own = ("--jars", "/a/x.jar,/b/y.jar", "--files=/a/log.xml", "--archives", "/a/data.zip#data")
    options = ("--master", "yarn", "--deploy-mode", mode, "--environment", "hdfs:///env.tar.gz", *own)
    words = etl_words(tmp_path, *options)
    given = settings_in(words)
    assert given["spark.jars"].endswith("hail-all-spark.jar,/a/x.jar,/b/y.jar")
    assert given["spark.executor.extraClassPath"] == "./hail-all-spark.jar:./x.jar:./y.jar"
    assert after(words, "--files")[-1] == "/a/log.xml"
    assert after(words, "--archives")[-2:] == ["hdfs:///env.tar.gz#environment", "/a/data.zip#data"]


def test_submit_etl__in_cluster_mode_the_driver_too_takes_its_python_from_the_environment(tmp_path):
    options = ("--master", "yarn", "--deploy-mode", "cluster", "--environment", "hdfs:///env.tar.gz")
    given = settings_in(etl_words(tmp_path, *options, PYSPARK_PYTHON="/elsewhere/python"))
    python = "./environment/bin/python"
    assert given["spark.executorEnv.PYSPARK_PYTHON"] == python
    assert given["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] == python
    assert given["spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON"] == python
    assert given["spark.yarn.appMasterEnv.SPARK_HOME"].startswith("./environment/lib/python3.11/")


def test_submit_etl__help_is_the_script_s_own(tmp_path):
    done = submit("submit_etl.sh", "--help", PYTHON="/absent")
    assert done.returncode == 0
    assert done.stdout.startswith("Run the ETL on a Spark cluster: ")
    for word in ("--environment FILE", "--log FILE", "--dry-run", "PYSPARK_PYTHON", "--deploy-mode cluster"):
        assert word in done.stdout
    assert "set -e" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--master", "yarn"],
            "found no HADOOP_CONF_DIR, wanted the folder with the cluster's core-site.xml",
        ),
        (["--deploy-mode", "far"], "found --deploy-mode far, wanted client or cluster"),
        (
            ["--deploy-mode=cluster", "--master=spark://a:7077"],
            "found --deploy-mode cluster with master 'spark://a:7077', wanted yarn",
        ),
        (["--deploy-mode", "cluster"], "found --deploy-mode cluster with master '', wanted yarn"),
    ],
)
def test_submit_etl__says_what_is_wrong_with_an_option(arguments: list[str], told: str):
    done = submit("submit_etl.sh", *arguments, "conf/etl/demo.yaml", HADOOP_CONF_DIR="", YARN_CONF_DIR="")
    assert done.returncode == 2
    assert told in done.stderr


def test_submit_etl__an_option_without_its_value():
    for option in ("--log", "--environment", "--jars", "--files", "--archives", "--master", "--deploy-mode"):
        done = submit("submit_etl.sh", option)
        assert done.returncode == 2
        assert done.stderr == f"submit_etl: found nothing after {option}, wanted its value\n"


def test_submit_etl__a_configuration_that_is_not_there_and_one_at_fault(tmp_path):
    absent = submit("submit_etl.sh", "absent.yaml", PYTHON=sys.executable)
    assert absent.stderr == "submit_etl: found no file absent.yaml, wanted a configuration\n"
    faulty = submit("submit_etl.sh", "conf/etl/demo.yaml", f"out={tmp_path}", "x=1", PYTHON=sys.executable)
    assert (absent.returncode, faulty.returncode) == (2, 2)
    (line,) = faulty.stderr.splitlines()
    assert line.startswith("error ")
    assert "x" in line


@pytest.mark.parametrize(
    ("script", "arguments", "told"),
    [
        ("submit_etl.sh", ["--master", "yarn"], "found no configuration among the arguments"),
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
