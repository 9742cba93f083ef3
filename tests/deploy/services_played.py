"""A cluster's record, a process that sleeps and the command, for tests of the minicluster."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.minicluster import processes
from deploy.minicluster.services import Tools
from deploy.minicluster.state import S3, Gcs, Hdfs, Jars, Process, State

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
