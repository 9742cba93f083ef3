import io
import threading
import time

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from etl.progress import running_tasks, shown


def slow(number: int) -> int:
    time.sleep(1.0)
    return number


@pytest.mark.usefixtures("hail_session")
def test_running_tasks__counts_those_of_the_running_stage():
    context = SparkSession.builder.getOrCreate().sparkContext
    seen = []
    job = threading.Thread(target=lambda: context.parallelize(range(6), 6).map(slow).collect())
    job.start()
    while job.is_alive():
        seen.append(running_tasks())
        time.sleep(0.1)
    counts = [found for found in seen if found]
    assert {total for _, total in counts} == {6}
    assert counts == sorted(counts)
    assert counts[0][0] < counts[-1][0]


def test_shown__a_terminal_sees_the_line_and_others_do_not():
    for is_terminal in (True, False):
        written = io.StringIO()
        with shown(Console(file=written, force_terminal=is_terminal), "reading calls"):
            time.sleep(0.3)
        assert ("reading calls" in written.getvalue()) is is_terminal
