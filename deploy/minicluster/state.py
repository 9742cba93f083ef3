"""What a cluster is: one JSON file, written last, which says how to reach and how to stop it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.errors import InputError, fault


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hdfs(_Model):
    """How to reach HDFS; `webhdfs` is host:port, `user` its superuser."""

    uri: str
    webhdfs: str
    user: str
    datanodes: int


class Yarn(_Model):
    """How to reach the ResourceManager: host:port of its clients, URL of its REST interface."""

    resourcemanager: str
    rest: str
    nodemanagers: int


class S3(_Model):
    """The S3 server; the keys are made up for this cluster and end with it."""

    endpoint: str
    access_key: str
    secret_key: str = Field(repr=False)
    bucket: str


class Gcs(_Model):
    """The GCS server, which asks for no credentials."""

    endpoint: str
    bucket: str


class Jars(_Model):
    """Paths of the connectors that Spark needs; empty where they were left out."""

    s3a: list[str] = []
    gcs: list[str] = []


class Process(_Model):
    """A process of the cluster. Numbers are used again: its start (clock ticks since boot) tells it apart."""

    pid: int
    started: int
    log: str
    command: list[str]


class State(_Model):
    """A cluster that runs, or ran until something was killed; a service that was not started is None.

    `ports` are by DAEMON.PURPOSE, `processes` by daemon.
    """

    folder: str
    java_home: str | None = None
    hadoop_conf_dir: str | None = None
    hdfs: Hdfs | None = None
    yarn: Yarn | None = None
    s3: S3 | None = None
    gcs: Gcs | None = None
    jars: Jars = Jars()
    ports: dict[str, int] = {}
    processes: dict[str, Process] = {}

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services that were started."""
        return tuple(name for name in ("hdfs", "yarn", "s3", "gcs") if getattr(self, name) is not None)


def state_path(folder: Path) -> Path:
    """The file that says that a cluster is up."""
    return folder / "state.json"


def read_state(folder: str | Path) -> State:
    """The state of the cluster in a folder.

    Raises
    ------
    InputError
        There is none, or it is not one that this version wrote.
    """
    path = state_path(Path(folder))
    try:
        return State.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        wanted = "the state of a cluster that is up; start one by `python -m deploy.minicluster up`"
        raise InputError(fault(path, "file", found="nothing", wanted=wanted)) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "text"
        raise InputError(fault(path, field, found=first["msg"], wanted="what `up` writes")) from None


def write_state(state: State) -> None:
    """Write the state under a temporary name and rename it; only its owner may read it, for it holds keys."""
    path = state_path(Path(state.folder))
    write_private(path, state.model_dump_json(indent=1) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file whole, readable by its owner alone."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(
        os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        stream.write(text)
    partial.rename(path)
