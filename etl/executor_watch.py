"""Executors that end at their start, counted while the first tasks wait for them.

A Spark master starts another executor for each that ended, without end: each one "ran", if only for a second.
No list of Spark's shows those that never spoke with the driver; its client's log alone does.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

MOST_ENDS = 5
"""Executors that end before any has come, after which none is waited for."""
PAUSE = 1.0
"""Seconds between two looks."""
CLIENT = "org.apache.spark.deploy.client"
END = re.compile(r"Executor updated: \S+ is now (?:EXITED|FAILED|LOST)(?: \(([^)]*)\))?")


class Ends:
    """The last words of executors that ended; empty where none did, or where some executor came."""

    def __init__(self) -> None:
        self.words: list[str] = []


@contextmanager
def watched_starts(context: Any) -> Iterator[Ends]:
    """Cancel the jobs of a SparkContext once MOST_ENDS executors have ended and none has come.

    Does nothing where the cluster is not a Spark master: other managers count for themselves.
    """
    ends, over = Ends(), threading.Event()
    with _log_of_client(context) as log:
        thread = threading.Thread(target=_watch, args=(context, log, ends, over), daemon=True)
        if log is not None:
            thread.start()
        try:
            yield ends
        finally:
            over.set()
            if log is not None:
                thread.join()


def ends_told(log: str) -> list[str]:
    """What a client's log says of executors that ended, such as "Command exited with code 1"."""
    return [found.group(1) or "no reason given" for found in END.finditer(log)]


def _watch(context: Any, log: Any, ends: Ends, over: threading.Event) -> None:
    while not over.wait(PAUSE):
        with suppress(Exception):  # Java may be ending
            told = ends_told(str(log.toString()))
            if len(told) >= MOST_ENDS and _came(context) == 0:
                ends.words = told
                context.cancelAllJobs()  # again: the first tasks may not have been sent off before


def _came(context: Any) -> int:
    executors = context._jsc.sc().statusStore().executorList(False)
    return sum(executors.apply(i).id() != "driver" for i in range(executors.size()))


@contextmanager
def _log_of_client(context: Any) -> Iterator[Any]:
    """What Spark's client of a master logs, as a Java writer; None without such a client or log4j."""
    jvm, scheme = context._jvm, context.master.partition(":")[0].partition("[")[0]
    if scheme not in ("spark", "local-cluster"):
        yield None
        return
    log4j = jvm.org.apache.logging.log4j
    try:
        writer = jvm.java.io.StringWriter()
        layout = log4j.core.layout.PatternLayout.createDefaultLayout()
        appender = log4j.core.appender.WriterAppender.createAppender(
            layout, None, writer, "exoshard", False, True
        )
        appender.start()
        configuration = log4j.LogManager.getContext(False).getConfiguration()
        own = log4j.core.config.LoggerConfig(CLIENT, log4j.Level.INFO, False)
        own.addAppender(appender, log4j.Level.INFO, None)
        configuration.addLogger(CLIENT, own)
        log4j.LogManager.getContext(False).updateLoggers()
    except Exception:  # noqa: BLE001 - a vendor's Spark may log by something else
        yield None
        return
    try:
        yield writer
    finally:
        with suppress(Exception):
            configuration.removeLogger(CLIENT)
            log4j.LogManager.getContext(False).updateLoggers()
