"""Where a run's figures go while it trains: a log of lines, TensorBoard, and MLflow where it is asked for.

Everything here belongs to the leading rank. No figure is of one person, and nothing here can end or delay a
run: MLflow's server is spoken to by a thread of its own.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from contract.config import digest
from contract.errors import InputError, fault
from train.distributed import Comm, on_leader
from train.errors import Stopped
from train.prepare import Prepared
from train.run_folder import BUNDLE_NAME, CONFIG_NAME, HISTORY_NAME, RUN_NAME, write_json, writing

LOG_NAME = "metrics.jsonl"
TENSORBOARD_NAME = "tensorboard"
MLFLOW_NAME = "mlflow.json"
"""MLflow's id of the run, with which the same run goes on there."""
MLFLOW_URI = "MLFLOW_TRACKING_URI"
MLFLOW_PATIENCE = 30.0
"""Seconds for what MLflow has not been told when the run ends."""
MLFLOW_PATIENCE_OF_OTHERS = 2.0
"""The same for a run that was stopped or failed: launchers kill what stays."""
MLFLOW_LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Unless the environment says otherwise: MLflow's own would keep a run waiting for many minutes."""
PARAMS_AT_A_TIME = 100
"""As many as MLflow takes in one request."""


class Sink(Protocol):
    """Takes figures."""

    def write(self, of: str, step: int, figures: Mapping[str, float]) -> None:
        """Figures `of` a step or an epoch, after so many steps."""
        ...

    def close(self, status: str) -> None:
        """No more figures come; `status` is finished, stopped or failed."""
        ...


class Telemetry:
    """All sinks of a run. One that fails is given up, which the console is told.

    Parameters
    ----------
    sinks
        Where figures go; none on other ranks than the leading one.
    every
        Steps between two whose figures are written.
    console
        See above.
    """

    def __init__(self, sinks: Sequence[Sink], every: int, console: Console) -> None:
        self._sinks, self._every, self._console = list(sinks), every, console

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Note a step's figures, where it is its turn."""
        if step % self._every == 0:
            self._each(lambda sink: sink.write("step", step, figures))

    def epoch(self, step: int, figures: Mapping[str, float]) -> None:
        """Note the figures of an epoch that ended with a step."""
        self._each(lambda sink: sink.write("epoch", step, figures))

    def close(self, status: str) -> None:
        """End all sinks."""
        self._each(lambda sink: sink.close(status))

    def _each(self, action: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks):
            try:
                action(sink)
            except (OSError, ValueError) as error:  # TensorBoard's queue raises what its thread met
                self._sinks.remove(sink)
                self._console.print(f"{type(sink).__name__} takes no more figures of this run: {error}")


@contextmanager
def telemetry(out: Path, prepared: Prepared, step: int, comm: Comm, console: Console) -> Iterator[Telemetry]:
    """Write a run's figures for as long as the block runs; all ranks call it.

    Parameters
    ----------
    out
        The run's folder.
    prepared
        The run.
    step
        Steps that were done before; what an earlier start has noted of later ones is void.
    comm
        The ranks.
    console
        Is told once if a sink takes no more.

    Raises
    ------
    InputError
        On every rank, if MLFLOW_TRACKING_URI is set and leads nowhere, or MLflow is not installed.
    """
    sinks: list[Sink] = []

    def open_sinks() -> None:
        with writing(out, LOG_NAME):
            sinks.extend([JsonLines(out / LOG_NAME), TensorBoard(out / TENSORBOARD_NAME, step)])
        if os.environ.get(MLFLOW_URI):
            sinks.append(MLflow(out, prepared, console))

    on_leader(comm, open_sinks)
    told = Telemetry(sinks, prepared.config.run.log_steps, console)
    try:
        yield told
    except BaseException as error:
        told.close("stopped" if isinstance(error, Stopped) else "failed")
        raise
    told.close("finished")


class JsonLines:
    """One object a line: time, of (step or epoch), step, and the figures."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8", buffering=1)

    def write(self, of: str, step: int, figures: Mapping[str, float]) -> None:
        """Add a line."""
        line = {"time": round(time.time(), 3), "of": of, "step": step, **figures}
        self._stream.write(json.dumps(line) + "\n")

    def close(self, status: str) -> None:
        """Close the file."""
        self._stream.close()


class TensorBoard:
    """Event files for `tensorboard --logdir`; scalars such as epoch/validation_loss by optimizer step."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        threading.excepthook = _told_later
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, of: str, step: int, figures: Mapping[str, float]) -> None:
        """Add scalars."""
        for name, value in figures.items():
            self._writer.add_scalar(f"{of}/{name}", value, step)

    def close(self, status: str) -> None:
        """Write what is left."""
        self._writer.close()


def _told_later(failure: threading.ExceptHookArgs) -> None:
    """Spare the traceback of TensorBoard's thread on a full disk: the next figure raises the same."""
    own = type(failure.thread).__name__ == "_AsyncWriterThread" and isinstance(failure.exc_value, OSError)
    if not own:
        threading.__excepthook__(failure)


class MLflow:
    """A run of an MLflow experiment: settings, figures, the dataset's digest; in the end the bundle.

    The experiment is MLFLOW_EXPERIMENT_NAME, or exoshard. A server that fails later costs the rest of the
    figures there and one sentence, not the run.
    """

    def __init__(self, out: Path, prepared: Prepared, console: Console) -> None:
        self._out, self._console = out, console
        self._store = digest(os.environ[MLFLOW_URI])  # it may hold a password
        for name, value in MLFLOW_LIMITS.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow

            self._entities = mlflow.entities
            self._client = mlflow.MlflowClient()
            self._run_id = self._open(prepared)
        except Exception as error:  # noqa: BLE001 - of a server or a store: any kind
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            wanted = "a store or server that answers, package mlflow-skinny installed, or no such variable"
            raise InputError(fault("environment", MLFLOW_URI, found=f"'{first}'", wanted=wanted)) from None
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    def write(self, of: str, step: int, figures: Mapping[str, float]) -> None:
        """Queue the figures, unless the server has failed."""
        if not self._worker.is_alive():
            return
        now = int(1000 * time.time())
        metrics = [
            self._entities.Metric(f"{of}_{name}", float(value), now, step) for name, value in figures.items()
        ]
        self._jobs.put(lambda: self._client.log_batch(self._run_id, metrics=metrics))

    def close(self, status: str) -> None:
        """Give it the files that hold no individual-level data, and a moment to take them."""
        names = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
        if status == "finished":
            for name in (CONFIG_NAME, RUN_NAME, HISTORY_NAME, BUNDLE_NAME):
                self._jobs.put(lambda name=name: self._give(name))  # type: ignore[misc]
        self._jobs.put(lambda: self._client.set_terminated(self._run_id, names[status]))
        self._jobs.put(None)
        self._worker.join(MLFLOW_PATIENCE if status == "finished" else MLFLOW_PATIENCE_OF_OTHERS)
        if self._worker.is_alive():
            self._console.print("MLflow was not told everything of this run: it answers too slowly")

    def _open(self, prepared: Prepared) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "exoshard")
        experiment = self._client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment else self._client.create_experiment(name)
        known = self._out / MLFLOW_NAME
        if known.exists():
            kept = json.loads(known.read_text(encoding="utf-8"))
            if kept["store"] == self._store:
                self._client.update_run(kept["run_id"], status="RUNNING")
                return str(kept["run_id"])
        config, entities = prepared.config, self._entities
        dataset = entities.Dataset(
            name=Path(config.data.dataset).name,
            digest=digest(prepared.manifest),
            source_type="exoshard",
            source=config.data.dataset,
        )
        run_id = str(self._client.create_run(place, run_name=self._out.name).info.run_id)
        self._client.log_inputs(run_id, [entities.DatasetInput(dataset)])
        params = [entities.Param(name, str(value)) for name, value in flat(config.model_dump(mode="json"))]
        for start in range(0, len(params), PARAMS_AT_A_TIME):
            self._client.log_batch(run_id, params=params[start : start + PARAMS_AT_A_TIME])
        write_json(known, {"store": self._store, "run_id": run_id})
        return run_id

    def _give(self, name: str) -> None:
        path = self._out / name
        if path.is_dir():
            self._client.log_artifacts(self._run_id, str(path), name)
        elif path.exists():
            self._client.log_artifact(self._run_id, str(path))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - of a server: any kind
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
                self._console.print(f"MLflow takes no more figures of this run: {first}")
                return


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings with keys as the command line has them: data.batch_size."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
