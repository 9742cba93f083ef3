import subprocess
import sys
import time

import psutil
import pytest

from deploy.measure import run_measured

HOLD_100_MB = "import time; held = b'x' * 100_000_000; time.sleep(1)"


def test_run_measured__peak_counts_the_command():
    measured = run_measured([sys.executable, "-c", HOLD_100_MB], timeout=60)
    assert measured.returncode == 0
    assert measured.seconds >= 1
    assert 100 < measured.peak_rss_mb < 200


def test_run_measured__peak_sums_over_children():
    two_children = (
        "import subprocess, sys\n"
        f"held = [subprocess.Popen([sys.executable, '-c', {HOLD_100_MB!r}]) for _ in range(2)]\n"
        "[process.wait() for process in held]"
    )
    assert 200 < run_measured([sys.executable, "-c", two_children], timeout=60).peak_rss_mb < 400


def test_run_measured__peak_counts_shared_pages_once():
    forks = (
        "import os, time\nheld = b'x' * 100_000_000\nchildren = [os.fork() for _ in range(1)]\ntime.sleep(1)"
    )
    assert 100 < run_measured([sys.executable, "-c", forks], timeout=60).peak_rss_mb < 150


def test_run_measured__hands_on_the_exit_code():
    assert run_measured([sys.executable, "-c", "raise SystemExit(3)"], timeout=60).returncode == 3


def test_run_measured__adds_to_the_environment():
    command = [sys.executable, "-c", "import os; raise SystemExit(int(os.environ['EXIT_WITH']))"]
    assert run_measured(command, timeout=60, env={"EXIT_WITH": "5"}).returncode == 5


def test_run_measured__timeout_kills_the_whole_tree(tmp_path):
    written = tmp_path / "pid"
    grandchild = (
        "import subprocess, sys, pathlib\n"
        "sleeper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(written)!r}).write_text(str(sleeper.pid))\n"
        "sleeper.wait()"
    )
    started = time.perf_counter()
    with pytest.raises(subprocess.TimeoutExpired):
        run_measured([sys.executable, "-c", grandchild], timeout=3)
    assert time.perf_counter() - started < 30
    assert not psutil.pid_exists(int(written.read_text()))
