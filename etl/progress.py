"""What a step is doing, shown while it runs: its title and how many of Spark's tasks are done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

SECONDS_BETWEEN = 0.5


@contextmanager
def shown(console: Console, text: str) -> Iterator[None]:
    """Show a line while a block runs; where nobody watches (no terminal), only the steps' ends are told."""
    if not console.is_terminal:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN):
            tasks = running_tasks()
            status.update(f"{text} {tasks[0]} of {tasks[1]} tasks" if tasks else text)

    with console.status(text) as status:
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def running_tasks() -> tuple[int, int] | None:
    """Finished and all tasks of the stages that Spark works on; None while it does not."""
    pyspark = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark else None
    if context is None:
        return None
    try:
        tracker = context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    except Exception:  # noqa: BLE001 - a Spark that is ending answers in many ways; nothing hangs on this
        return None
    known = [stage for stage in stages if stage is not None]
    if not known:
        return None
    return sum(stage.numCompletedTasks for stage in known), sum(stage.numTasks for stage in known)
