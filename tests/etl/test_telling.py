import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from etl.__main__ import app
from etl.telling import LOG, STATUS, VARIABLE, Telling, tell_status, told_status

PROJECT = Path(__file__).resolve().parents[2]


def test_telling__keeps_the_text_and_passes_it_on(tmp_path: Path):
    beside = io.StringIO()
    stream = Telling(str(tmp_path / "told"), beside)
    stream.write("half ")
    assert not (tmp_path / f"told{LOG}").exists()
    stream.write("a line\n")
    assert (tmp_path / f"told{LOG}").read_text() == beside.getvalue() == "half a line\n"


def test_telling__a_place_that_can_t_be_written_to_stops_nothing(tmp_path: Path):
    (tmp_path / "file").touch()
    beside = io.StringIO()
    Telling(str(tmp_path / "file" / "told"), beside).write("a line\n")
    assert beside.getvalue() == "a line\n"


def test_told_status__of_an_earlier_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "told"))
    assert told_status() is None
    tell_status(2)
    assert told_status() == 2


def test_run__what_was_refused_once_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "told"))
    tell_status(2)
    done = CliRunner().invoke(app, ["run", str(tmp_path / "absent.yaml")])
    assert (done.exit_code, done.output) == (2, "")


def test_run__a_driver_far_away_tells_its_fault_and_status(tmp_path: Path):
    environment = {**os.environ, VARIABLE: str(tmp_path / "told")}
    command = [sys.executable, "-m", "etl", "run", str(tmp_path / "absent.yaml")]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "absent.yaml: configuration: found no readable file" in (tmp_path / f"told{LOG}").read_text()
    assert (tmp_path / f"told{STATUS}").read_text() == "2"
