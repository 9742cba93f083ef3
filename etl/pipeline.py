"""Running the steps in order: what is up to date stays, what changed is computed again with all after it."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from contract.config import digest
from contract.errors import InputError, fault
from contract.lock import lock_of
from contract.provenance import file_digest, software_versions, source_digest, stream_digest
from contract.storage import CHANGES, StorageError, exists, is_url, join, open_storage
from etl.config import EtlConfig
from etl.failures import told
from etl.ingest.files import open_source
from etl.like.table import LIKE_STEPS
from etl.places import stores
from etl.progress import shown
from etl.session import Engine, starting
from etl.steps import STEPS
from etl.steps.base import SOFTWARE, Run, Step
from etl.workspace import Record, Workspace

PACKAGE = Path(__file__).resolve().parent
ENGINES = ("cyvcf2", "hail", "pyspark")
"""Libraries that compute results: with another version of one, steps run again."""
SLOW_IMPORTS = ("etl.steps.relatedness", "etl.steps.ancestry", "etl.report.html")
"""What brings scikit-learn and plotly; neither brings Hail, which has a time of its own."""
BRIEF_BYTES = 2 * 2**30
"""Size of the calls below which a run is one of minutes."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepStatus:
    """Whether a step has to run, and why."""

    step: Step
    digest: str
    settings: dict[str, object]
    inputs: dict[str, str]
    done: bool
    reason: str


def plan(config: EtlConfig) -> list[StepStatus]:
    """What a run would do, without starting Hail.

    A step is done when the record in its folder carries the digest of its settings, its inputs, its code
    and the step before it.
    """
    profile, workspace = config.resolved_profile(), Workspace(config.work)
    statuses: list[StepStatus] = []
    upstream, stale = "", False
    for step in LIKE_STEPS if config.like else STEPS:
        inputs = {url: _input_digest(url) for url in step.inputs(config)}
        settings = {**step.settings(config, profile), "inputs": inputs}
        code = {name: source_digest(PACKAGE / name) for name in step.packages}
        code |= {name: file_digest(PACKAGE / name) for name in step.modules}
        code["genome"] = file_digest(PACKAGE / "genome.py")
        code["step"] = file_digest(PACKAGE.parent / f"{step.source.replace('.', '/')}.py")
        code |= software_versions(ENGINES)
        upstream = digest({"settings": settings, "code": code, "before": upstream})
        record = workspace.record(step.folder)
        reason = _reason(record, upstream, settings, stale)
        if reason == "up to date" and not all(exists(path) for path in step.outputs(config)):
            reason = "its output is gone"
        stale = stale or reason != "up to date"
        statuses.append(StepStatus(step, upstream, settings, inputs, not stale, reason))
    return statuses


def has_work(config: EtlConfig) -> bool:
    """Whether a run would compute anything; False also where faults of the inputs keep it from starting."""
    try:
        return not all(status.done for status in plan(config))
    except (InputError, StorageError):
        return False


def engine(config: EtlConfig) -> AbstractContextManager[Engine | None]:
    """Spark and Hail, starting now if a run would compute anything; None if not."""
    return _engine(config) if has_work(config) else nullcontext()


def _engine(config: EtlConfig) -> AbstractContextManager[Engine]:
    root, log = Workspace(config.work).root, None
    if not is_url(root):
        with suppress(OSError):  # a file in its place is told by the check; the log then goes elsewhere
            Path(root).mkdir(parents=True, exist_ok=True)
        log = join(root, "hail.log") if Path(root).is_dir() else None
    shared = join(root, f"scratch-{uuid.uuid4().hex[:12]}")
    brief = _input_bytes(config) < BRIEF_BYTES
    return starting(config.spark, log=log, brief=brief, shared=shared, places=[*stores(config)])


def run(config: EtlConfig, *, console: Console, engine: Engine | None = None) -> None:
    """Compute every step that is not up to date.

    `engine` is one that starts already; without it, it is started if there is anything to do.

    Raises
    ------
    InputError
        If a step can't go on; finished steps stay and are not computed again by the next run. If another run
        is at work on the same outputs.
    """
    statuses = plan(config)
    to_do = [status for status in statuses if not status.done]
    for status in statuses:
        if status.done:
            console.print(f"  {status.step.folder:24} up to date")
    if not to_do:
        return
    with _alone(config.out), nullcontext(engine) if engine else _engine(config) as started:
        if not config.like:
            threading.Thread(target=_import_ahead, daemon=True).start()
        for status in to_do:
            _run_step(status, config, console, started)


@contextmanager
def _alone(out: str) -> Iterator[None]:
    """Own the folder of outputs: another run there is refused, or refuses this one."""
    lock = lock_of(out)
    lock.take()
    try:
        yield
    finally:
        lock.release()


def _import_ahead() -> None:
    """Import what later steps need, while Java starts and this process waits for it: it takes seconds."""
    for name in SLOW_IMPORTS:
        # Whatever is wrong is told by the step that needs it.
        with suppress(Exception):
            import_module(name)


def _run_step(status: StepStatus, config: EtlConfig, console: Console, engine: Engine) -> None:
    step, workspace = status.step, Workspace(config.work)
    doing = f"step {step.folder} ({step.title})"
    with (
        _failures_told(doing, step.inputs(config), workspace),
        shown(console, f"  {step.folder:24} {step.title} …"),
    ):
        engine.wait_for_spark()
        if step.leaves_cores_idle:
            engine.start_hail()
        if step.needs_hail or step.needs_hail_for(config):
            engine.wait_for_hail()
        started = time.monotonic()
        out = workspace.begin(step.folder)
        result = step.work(Run(config, config.resolved_profile(), workspace, out, status.inputs))
        seconds = round(time.monotonic() - started, 2)
        record = Record(
            **result.model_dump(),
            digest=status.digest,
            settings=status.settings,
            software=software_versions(SOFTWARE),
            seconds=seconds,
        )
        workspace.finish(step.folder, out, record)
    console.print(f"  {step.folder:24} {seconds:6.1f} s  {_facts_told(result.facts)}")
    for text in result.warnings:
        console.print(f"  [yellow]warning[/] {escape(text)}", highlight=False, soft_wrap=True)


@contextmanager
def _failures_told(doing: str, files: list[str], workspace: Workspace) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise told(error, doing=doing, files=files, log=join(workspace.root, "errors.log")) from error


def _reason(record: Record | None, wanted: str, settings: dict[str, object], stale: bool) -> str:
    if record is None:
        return "not computed yet"
    if record.digest == wanted:
        return "up to date"
    changed = list(_differences(record.settings, settings))
    if changed:
        return f"changed: {', '.join(changed[:4])}"
    return "an earlier step is computed again" if stale else "the inputs or the code changed"


def _differences(old: object, new: object, prefix: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
    elif old != new:
        yield prefix


def _input_digest(url: str) -> str:
    """Digest of a file's content; of a large file, of its size and time of change, and it says so."""
    filesystem, path = open_storage(url)
    try:
        state = filesystem.info(path)
        changes = digest([str(state[name]) for name in CHANGES if name in state])
        return _content_digest(url, changes) if state["size"] <= 64 * 2**20 else f"size and time {changes}"
    except OSError as error:
        found = f"no readable file ({error.strerror or error})"
        raise InputError(fault(url, "input", found=found, wanted="a file")) from None


@cache
def _content_digest(url: str, changes: str) -> str:
    """Digest of a file, read once for a plan and the run that follows it."""
    filesystem, path = open_storage(url)
    with filesystem.open(path, "rb") as stream:
        return stream_digest(stream)


def _input_bytes(config: EtlConfig) -> int:
    """Size of the calls as they are stored."""
    return open_source(config.input).size()


def _facts_told(facts: dict[str, object]) -> str:
    plain = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    return ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in list(plain.items())[:5])
