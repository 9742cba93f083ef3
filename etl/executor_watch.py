"""Executors that never come, while the first tasks wait for them.

A Spark master starts another executor for each that ended, without end: each one "ran", if only for a second.
Such executors never spoke with the driver, and Spark's words of them are lost: Hail's jar silences its log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SECONDS = 120
"""For which executors are waited, unless SETTING says otherwise."""
SETTING = "spark.scheduler.maxRegisteredResourcesWaitingTime"
"""Spark's own, for how long it waits for executors before it begins without all of them."""
PAUSE = 1.0
"""Seconds between two looks."""


class Wait:
    """For how many seconds executors were waited for in vain; 0 where one came."""

    def __init__(self) -> None:
        self.seconds = 0


@contextmanager
def watched_starts(context: Any) -> Iterator[Wait]:
    """Cancel the jobs of a SparkContext where no executor comes in time.

    Does nothing where the cluster is not a Spark master: other managers count ends for themselves.
    """
    wait, over = Wait(), threading.Event()
    if not context.master.startswith(("spark://", "local-cluster")):
        yield wait
        return
    thread = threading.Thread(target=_watch, args=(context, wait, over), daemon=True)
    thread.start()
    try:
        yield wait
    finally:
        over.set()
        thread.join()


def _watch(context: Any, wait: Wait, over: threading.Event) -> None:
    limit, begun = _limit(context), time.monotonic()
    while not over.wait(PAUSE):
        with suppress(Exception):  # Java may be ending
            if _came(context):
                return
            if time.monotonic() - begun >= limit:
                wait.seconds = limit
                context.cancelAllJobs()  # again: the first tasks may not have been sent off before


def _limit(context: Any) -> int:
    text = context.getConf().get(SETTING)
    return (
        int(context._jvm.org.apache.spark.network.util.JavaUtils.timeStringAsSec(text)) if text else SECONDS
    )


def _came(context: Any) -> bool:
    executors = context._jsc.sc().statusStore().executorList(False)
    return any(executors.apply(i).id() != "driver" for i in range(executors.size()))
