import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from contract.errors import InputError
from contract.lock import LOCK_NAME, read_owner
from tests.train.processes import PROJECT
from train.errors import TrainingError
from train.run_lock import RunLock

KILLED = """
import os, signal, sys
from pathlib import Path
from train.run_lock import RunLock
RunLock(Path(sys.argv[1])).take()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "run"


def test_run_lock__one_job_at_a_time(out: Path):
    first, second = RunLock(out), RunLock(out)
    first.take()
    owner = read_owner(out)
    assert owner is not None
    assert (owner.process, owner.launch) == (os.getpid(), "")
    with pytest.raises(InputError, match=rf"run.out: found a run in progress \(process {os.getpid()} on "):
        second.take()
    second.release()
    first.check()
    (out / "something").touch()
    first.release()
    assert [path.name for path in out.iterdir()] == ["something"]
    second.take()
    second.release()


def test_run_lock__leaves_no_empty_folder(out: Path):
    lock = RunLock(out)
    lock.take()
    lock.release()
    assert not out.exists()
    lock.release()


def test_run_lock__of_a_killed_process_is_taken_over(out: Path):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", KILLED, str(out)], env=environment, timeout=60, check=False)
    assert (out / LOCK_NAME).exists()
    lock = RunLock(out)
    lock.take()
    lock.check()
    lock.release()


@pytest.fixture
def elsewhere(out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock of a job on another machine; six beats last 0.6 s."""
    monkeypatch.setattr("contract.lock.STALE_SECONDS", 0.6)
    lock = RunLock(out)
    lock.take()
    owner = read_owner(out)
    assert owner is not None
    lock.release()
    out.mkdir()
    (out / LOCK_NAME).write_text(json.dumps(asdict(replace(owner, machine="far", host="away"))))
    return out / LOCK_NAME


def test_run_lock__elsewhere_without_a_beat_is_taken_over(out: Path, elsewhere: Path):
    lock = RunLock(out)
    lock.take()
    lock.check()
    lock.release()
    assert not elsewhere.exists()


def test_run_lock__elsewhere_with_a_beat_is_refused(out: Path, elsewhere: Path):
    beat = threading.Timer(0.2, lambda: os.utime(elsewhere))
    beat.start()
    with pytest.raises(InputError, match=r"found a run in progress \(process \d+ on away, since"):
        RunLock(out).take()
    beat.join()


def test_run_lock__unreadable_and_left_alone_is_taken_over(out: Path, elsewhere: Path):
    elsewhere.write_text("")
    lock = RunLock(out)
    lock.take()
    lock.check()
    assert elsewhere.read_text() != ""
    lock.release()
    assert not elsewhere.exists()


def test_run_lock__check_refuses_to_write_after_another_took_over(out: Path):
    lock = RunLock(out)
    lock.take()
    (out / LOCK_NAME).write_text("{}")
    with pytest.raises(TrainingError, match="found another job's lock, wanted this one's"):
        lock.check()
    lock.release()
    assert (out / LOCK_NAME).exists(), "not ours to remove"


def test_run_lock__folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"run: run.out: found 'Not a directory', wanted a folder that"):
        RunLock(tmp_path / "file" / "run").take()
    with pytest.raises(InputError, match=r"file: run.out: found a file, wanted a folder"):
        RunLock(tmp_path / "file").take()
