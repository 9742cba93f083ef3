"""A real SLURM of two nodes on this machine, while a block runs: for tests and `make cluster-test`."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
NODES = ("node-a", "node-b")
RUNNING_STATES = frozenset({"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "SUSPENDED"})


class SlurmError(Exception):
    """SLURM did not come up, or a job did not end as it should; the text says what was seen."""


def missing() -> list[str]:
    """Programs of SLURM that this machine lacks (Debian's packages slurm-wlm and munge have them)."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]


@dataclass(frozen=True)
class SlurmCluster:
    """A SLURM that runs. `environment` leads its commands to it; `values` is its file of values."""

    folder: Path
    environment: dict[str, str]
    values: Path

    def command(self, *words: str, seconds: float = 60) -> str:
        """What a command prints; raises SlurmError with its last lines where it fails."""
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode:
            raise SlurmError(f"{' '.join(words)}: status {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def submit(self, half: str, *words: str) -> str:
        """Number of a job that deploy/slurm/submit.sh sent off; `half` is etl or train."""
        submit = str(ROOT / "deploy" / "slurm" / "submit.sh")
        options = ("--parsable", f"--output={self.folder}/job-%j.out")
        return self.command("bash", submit, half, *options, *words).strip()

    def log(self, job: str) -> str:
        """What the job has printed by now."""
        path = self.folder / f"job-{job}.out"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def state(self, job: str) -> dict[str, str]:
        """The job's fields by name, as SLURM shows them: JobState, Restarts, ExitCode and so on."""
        return dict(re.findall(r"(\S+?)=(\S*)", self.command("scontrol", "show", "job", "-o", job)))

    def wait(self, job: str, seconds: float) -> dict[str, str]:
        """The job's fields once it has ended; raises SlurmError with its log where it takes too long."""
        deadline = time.monotonic() + seconds
        while (fields := self.state(job))["JobState"] in RUNNING_STATES:
            if time.monotonic() > deadline:
                raise SlurmError(
                    f"job {job}: {fields['JobState']} after {seconds} s\n{self.log(job)[-3000:]}"
                )
            time.sleep(0.5)
        return fields

    def end_jobs(self, seconds: float = 45) -> None:
        """Cancel all jobs, and wait until their processes are gone."""
        listed = ("squeue", "--noheader", "--format=%i")
        deadline = time.monotonic() + seconds
        while (jobs := self.command(*listed).split()) and time.monotonic() < deadline:
            self.command("scancel", *jobs)
            time.sleep(0.5)


@contextmanager
def slurm_cluster(*, memory: int = 5000) -> Iterator[SlurmCluster]:
    """Start munged, slurmctld and two slurmd as the present user; end them, and all jobs, after the block.

    Each node has two cores and `memory` MiB; both are this machine, told apart by their ports. Raises
    SlurmError where a program is missing or the nodes do not come up within a minute.
    """
    if absent := missing():
        raise SlurmError(f"found no {', '.join(absent)}, wanted Debian's packages slurm-wlm and munge")
    # Not under a long path: munged's socket has 108 characters.
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as made,
        ExitStack() as stack,
    ):
        folder = Path(made)
        configuration = _write_configuration(folder, memory)
        environment = {**os.environ, "PATH": SEARCH, "SLURM_CONF": str(configuration)}
        for name in [name for name in environment if re.match(r"(SLURM|SBATCH|SRUN)_(?!CONF)", name)]:
            del environment[name]  # of a job that this runs in
        values = folder / "values.env"
        values.write_text(_values(folder, memory))
        environment["EXOSHARD_VALUES"] = str(values)
        for name, words in _daemons(folder, configuration).items():
            _start(stack, words, folder / f"{name}.out", environment)
            if name == "munged":
                _wait_until(lambda: (folder / "munge.sock").exists(), folder, "munged")
        cluster = SlurmCluster(folder, environment, values)
        _wait_until(lambda: _idle(cluster) == len(NODES), folder, "both nodes")
        stack.callback(cluster.end_jobs)
        yield cluster


def etl_on_slurm(configuration: str, settings: Sequence[str], *, reference: str) -> dict[str, object]:
    """Run an ETL as a job on a temporary SLURM and compare its dataset with one made elsewhere.

    Parameters
    ----------
    configuration
        The ETL's configuration file.
    settings
        key=value; `out` must be among them, in a folder of this run's own.
    reference
        Folder of the dataset of the same configuration, run on this machine alone.

    Returns
    -------
    dict
        `seconds` from sending the job off to its end, and `equal`: the same files, by SHA-256.

    Raises
    ------
    SlurmError
        If SLURM did not come up, or the job failed: with the end of its log.
    """
    out = next((text.removeprefix("out=") for text in settings if text.startswith("out=")), None)
    if out is None:
        raise ValueError(f"settings: found {list(settings)}, wanted out=FOLDER among them")
    with slurm_cluster() as cluster:
        started = time.monotonic()
        job = cluster.submit("etl", configuration, *settings)
        fields = cluster.wait(job, 900)
        seconds = time.monotonic() - started
        if fields["JobState"] != "COMPLETED":
            raise SlurmError(f"job {job}: {fields['JobState']}\n{cluster.log(job)[-3000:]}")
    return {"seconds": round(seconds, 1), "equal": files_of(f"{out}/dataset") == files_of(reference)}


def files_of(dataset: str) -> dict[str, str]:
    """SHA-256 of each file of a dataset by path, as its manifest lists them."""
    # Not above: deploy.check reads this module where nothing but validators is installed.
    from contract.manifest import read_manifest

    manifest = read_manifest(dataset)
    parts = {file.path: file.sha256 for fold in manifest.folds for file in fold.files}
    return parts | {table.path: table.sha256 for table in manifest.tables.values()}


def _values(folder: Path, memory: int) -> str:
    """The values of a cluster as small as this one, from the file that its owner would fill in."""
    own = {
        **dict.fromkeys(("ACCOUNT", "ETL_PARTITION", "TRAIN_PARTITION"), "none"),
        **dict.fromkeys(("SCRATCH", "LOCAL_SCRATCH"), str(folder / "scratch")),
        **dict.fromkeys(("ETL_CPUS", "TRAIN_CPUS"), "1"),
        "ETL_MEMORY": f"{memory}M",
        "TRAIN_MEMORY": f"{memory // 2}M",
        "ETL_DRIVER_MEMORY": "1",
        "TRAIN_NODES": str(len(NODES)),
        "PYTHON": sys.executable,
        "INTERFACE": "lo",
    }
    text = (ROOT / "deploy" / "slurm" / "values.env").read_text(encoding="utf-8")
    return re.sub(
        r"(?m)^([A-Z_]+)=.*$", lambda line: f"{line[1]}={own[line[1]]}" if line[1] in own else line[0], text
    )


def _write_configuration(folder: Path, memory: int) -> Path:
    host, user = socket.gethostname().partition(".")[0], getpass.getuser()
    control, *ports = _free_ports(1 + len(NODES))
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory={memory}"
        for name, port in zip(NODES, ports, strict=True)
    ]
    for name in ("state", "spool", "scratch"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    lines = [
        "ClusterName=exoshard",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={control}",
        f"SlurmUser={user}",
        f"SlurmdUser={user}",
        # A job that is queued again waits as long as credentials live; 120 s by default.
        f"AuthInfo=socket={folder}/munge.sock,cred_expire=5",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/%n.pid",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "MpiDefault=none",
        "SlurmdParameters=config_overrides",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU_Memory",
        "SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0",
        *nodes,
        # Jobs of the second partition take the nodes of those in the first, 20 s after these were told.
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        f"PartitionName=all Nodes={','.join(NODES)} Default=YES PriorityTier=1 GraceTime=20",
        f"PartitionName=urgent Nodes={','.join(NODES)} PriorityTier=10",
    ]
    path = folder / "slurm.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def _daemons(folder: Path, configuration: Path) -> dict[str, list[str]]:
    places = {
        "key-file": "munge.key",
        "socket": "munge.sock",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
    }
    munge = [f"--{option}={folder / name}" for option, name in {**places, "seed-file": "munge.seed"}.items()]
    return {
        "munged": ["munged", "--foreground", "--force", *munge],
        "slurmctld": ["slurmctld", "-D", "-f", str(configuration)],
        **{name: ["slurmd", "-D", "-N", name, "-f", str(configuration)] for name in NODES},
    }


def _start(stack: ExitStack, words: list[str], log: Path, environment: dict[str, str]) -> None:
    """Start a daemon in the foreground; it is told to end, and in the end killed, when the stack closes."""
    program = shutil.which(words[0], path=SEARCH) or words[0]
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        [program, *words[1:]],
        env=environment,
        cwd=log.parent,
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
    )
    stack.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _idle(cluster: SlurmCluster) -> int:
    try:
        return len(set(cluster.command("sinfo", "--noheader", "-N", "-t", "idle", "-o", "%N").split()))
    except SlurmError:  # slurmctld does not listen yet
        return 0


def _wait_until(happened: Callable[[], bool], folder: Path, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-500:] for path in sorted(folder.glob("*.out")))
            raise SlurmError(f"SLURM: found no {what} after {seconds} s\n{logs}")
        time.sleep(0.2)
