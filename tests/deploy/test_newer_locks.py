"""The rows of `make test-matrix`: the newer locks, each installed and tested, and how a row is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import test_matrix as matrix

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", list(matrix.ROWS))
def test_lock__its_half_passes_its_tests(name: str, tmp_path: Path):
    row = matrix.ROWS[name]
    try:
        python = matrix.environment(row, matrix.cache_folder() / "test-matrix")
    except matrix.LeftOutError as lacking:
        pytest.skip(str(lacking))
    outcome = matrix.run_tests(row, python, tmp_path / "log")
    assert outcome.is_good, outcome.log.read_text()[-5000:]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("..\n418 passed, 1 warning in 503.55s (0:08:23)\n", {"passed": 418}),
        (
            "FAILED x - 3 passed\n1 failed, 4 passed, 2 skipped, 2 errors in 1.0s\n",
            {"failed": 1, "passed": 4, "skipped": 2, "error": 2},
        ),
        ("no module named pytest\n", {}),
    ],
)
def test_read_counts__from_the_last_line(text: str, counts: dict[str, int]):
    assert matrix.read_counts(text) == counts


def test_find_python__a_shim_that_leads_nowhere_is_none(tmp_path, monkeypatch):
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(matrix.LeftOutError, match=r"found no Python 3\.12, wanted it with venv"):
        matrix.find_python("3.12")
    shim.write_text("#!/bin/sh\necho 3.12\n")
    assert matrix.find_python("3.12") == str(shim)


@pytest.fixture
def little_row(tmp_path, monkeypatch) -> matrix.Row:
    """A row whose lock is empty, for the Python of this test; uv is played."""
    (tmp_path / "deploy" / "locks").mkdir(parents=True)
    (tmp_path / "deploy" / "locks" / "little.lock").write_text("# nothing\n")
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(matrix, "PROJECT", tmp_path)
    monkeypatch.setattr(matrix, "find_python", lambda version: sys.executable)
    uv = tmp_path / ".venv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\nexit "${UV_STATUS:-0}"\n')
    uv.chmod(0o755)
    return matrix.Row("little.lock", "3.11", ("tests",), 0)


def test_environment__is_made_once_for_each_content_of_the_lock(little_row, tmp_path, monkeypatch):
    python = matrix.environment(little_row, tmp_path / "cache")
    made = python.parent.parent
    (made / "kept").touch()
    assert matrix.environment(little_row, tmp_path / "cache") == python
    assert (made / "kept").exists()
    (tmp_path / "deploy" / "locks" / "little.lock").write_text("# another\n")
    monkeypatch.setenv("UV_STATUS", "3")
    with pytest.raises(subprocess.CalledProcessError):
        matrix.environment(little_row, tmp_path / "cache")
    monkeypatch.setenv("UV_STATUS", "0")
    assert matrix.environment(little_row, tmp_path / "cache") != python


def test_environment__no_room(little_row, tmp_path):
    greedy = matrix.Row(little_row.lock, "3.11", ("tests",), 1e9)
    with pytest.raises(
        matrix.LeftOutError, match=r"GB free at .*cache, wanted 1e\+09 for the packages of little.lock"
    ):
        matrix.environment(greedy, tmp_path / "cache")


def test_main__a_row_that_fails_one_that_is_left_out_and_one_unknown(monkeypatch, capsys, tmp_path):
    def environment(row: matrix.Row, cache: Path) -> Path:
        if row.lock == "gpu.lock":
            raise matrix.LeftOutError("found no Python 3.12")
        return tmp_path / "python"

    outcome = matrix.Outcome(
        1, {"passed": 3, "failed": 1}, 2.0, PROJECT / "build" / "test-matrix" / "next.log"
    )
    monkeypatch.setattr(matrix, "environment", environment)
    monkeypatch.setattr(matrix, "run_tests", lambda row, python, log: outcome)
    assert matrix.main([]) == 1
    told = capsys.readouterr().out
    assert "next.lock" in told
    assert "left out" in told
    assert matrix.main(["gpu"]) == 0
    assert matrix.main(["old"]) == 2
    assert "found old, wanted next or gpu" in capsys.readouterr().out


def test_outcome__no_test_at_all_is_not_good(tmp_path):
    assert not matrix.Outcome(0, {}, 1.0, tmp_path).is_good
    assert not matrix.Outcome(1, {"passed": 3, "failed": 1}, 1.0, tmp_path).is_good
    assert matrix.Outcome(0, {"passed": 3, "skipped": 1}, 1.0, tmp_path).is_good
