"""What watches over spark-submit: a driver far away is heard, its status arrives, no process outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.errors import InputError
from deploy import submission
from deploy.submission import follow_driver, place_to_tell, wait_for_driver
from etl.telling import LOG, STATUS, Telling, told_status

PROJECT = Path(__file__).resolve().parents[2]
DEMO = str(PROJECT / "conf" / "etl" / "demo.yaml")


def process(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code])


def run_command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.submission", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(submission, "SECONDS_BETWEEN", 0.05)


# Where a driver tells what it does


def test_place_to_tell__is_beside_the_outputs_and_new_each_time(tmp_path):
    places = {place_to_tell(DEMO, [f"out={tmp_path}/out"], "cluster") for _ in range(2)}
    assert len(places) == 2
    assert {os.path.dirname(place) for place in places} == {f"{tmp_path}/out"}


def test_place_to_tell__a_folder_of_this_machine_alone_is_refused_in_cluster_mode(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place_to_tell(DEMO, ["out=here"], "client").startswith(f"{tmp_path}/here/")
    with pytest.raises(InputError, match=r"out: found here, wanted a URL, or an absolute path that all"):
        place_to_tell(DEMO, ["out=here"], "cluster")


def test_place__every_fault_of_the_configuration_is_a_sentence(tmp_path):
    done = run_command("place", "--mode", "cluster", "--", DEMO, f"out={tmp_path}", "folds.seeds=1")
    _, errors = done.communicate(timeout=60)
    assert done.returncode == 2
    (line,) = errors.splitlines()
    assert line.startswith("error ")
    assert "folds.seeds" in line


# A driver in a container


def test_follow_driver__shows_what_is_told_while_it_is_told(tmp_path, capsys):
    told = str(tmp_path / "told")
    code = f"""
import time
for text in ("first\\n", "first\\nsecond\\n"):
    open({told + LOG!r}, "w").write(text)
    time.sleep(0.3)
open({told + STATUS!r}, "w").write("2")
raise SystemExit(1)
"""
    assert follow_driver(told, process(code), str(tmp_path / "log")) == 2
    assert capsys.readouterr().err == "first\nsecond\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("left", "ends", "status"), [("0", 0, 0), ("0", 1, 1), ("1", 1, 1), ("2", 1, 2)])
def test_follow_driver__status_of_the_run(tmp_path, left: str, ends: int, status: int):
    told = tmp_path / "told"
    Path(f"{told}{STATUS}").write_text(left)
    assert follow_driver(str(told), process(f"raise SystemExit({ends})"), "") == status


def test_follow_driver__a_run_that_ends_without_a_word_is_explained_by_spark(tmp_path, capsys):
    log = tmp_path / "spark.log"
    log.write_text("INFO Client: begins\n\t diagnostics: Queue 'bad' is unknown\nINFO done\n")
    assert follow_driver(str(tmp_path / "told"), process("raise SystemExit(1)"), str(log)) == 1
    told = capsys.readouterr().err
    assert "found a run that ended without a word, wanted a status" in told
    assert f"Spark says 'diagnostics: Queue 'bad' is unknown' ({log})" in told


def test_telling__a_second_attempt_goes_on_where_the_first_one_ended(tmp_path, monkeypatch):
    place = str(tmp_path / "told")
    for text in ("first\n", "second\n"):
        Telling(place, sys.stderr).write(text)
    assert Path(place + LOG).read_text() == "first\nsecond\n"
    monkeypatch.setenv("EXOSHARD_TOLD", place)
    assert told_status() is None
    Path(place + STATUS).write_text("2")
    assert told_status() == 2


# A driver here


@pytest.mark.parametrize(("ends", "status"), [(0, 0), (2, 2)])
def test_wait_for_driver__adds_nothing_to_what_was_told(tmp_path, capsys, ends: int, status: int):
    assert wait_for_driver(process(f"raise SystemExit({ends})"), str(tmp_path / "log")) == status
    assert capsys.readouterr().err == ""


def test_wait_for_driver__a_status_that_no_input_explains(tmp_path, capsys):
    log = tmp_path / "spark.log"
    killed = process("import os; os.kill(os.getpid(), 9)")
    assert wait_for_driver(killed, str(log)) == 137
    assert capsys.readouterr().err == (
        f"submit_etl: the run ended with status 137; what Spark says is in {log}\n"
    )


def test_run__spark_is_kept_apart_from_the_run(tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    log, script = tmp_path / "log", "echo progress; echo noise >&2"
    done = run_command("run", "--log", str(log), "--away", str(away), "--", "sh", "-c", script)
    out, errors = done.communicate(timeout=60)
    assert (done.returncode, out, errors) == (0, "progress\n", "")
    assert log.read_text() == "noise\n"
    assert not away.exists()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("nothing", "submit_etl: stopped before YARN had the run"),
        (
            "Submitted application_17_0003",
            "submit_etl: application_17_0003 goes on in the cluster; "
            "`yarn application -kill application_17_0003` ends it",
        ),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run__what_is_interrupted_in_cluster_mode_says_what_goes_on(tmp_path, said, told, number):
    log = tmp_path / "log"
    options = ("--mode", "cluster", "--told", str(tmp_path / "told"), "--log", str(log))
    script = f"echo $$ {said}; exec sleep 60"
    done = run_command("run", *options, "--", "sh", "-c", script)
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    done.send_signal(number)
    _, errors = done.communicate(timeout=60)
    assert errors == f"{told}\n"
    assert done.returncode == 128 + number
    assert not Path(f"/proc/{log.read_text().split()[0]}").exists()
