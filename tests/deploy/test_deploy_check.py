import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.check import __main__ as command
from deploy.check.owner_values import read_values, unset, unset_sentences, used_names, values_file
from deploy.check.runner import Check, LeftOutError, missing, outcome, table
from tests.deploy.validators import validators

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = PROJECT / "deploy" / "check" / "environment.sh"


def left_out() -> list[str]:
    raise LeftOutError("the server is not there")


def test_outcome__faults_are_counted():
    done = outcome(Check("kubernetes", "fields", lambda: ["a: b", "c: d"]))
    assert done.faults == ("a: b", "c: d")
    assert done.said == "2 faults"


def test_outcome__one_fault_is_not_two():
    assert outcome(Check("kubernetes", "fields", lambda: ["a: b"])).said == "1 fault"


def test_outcome__a_check_without_its_tool_is_left_out_by_name():
    done = outcome(Check("slurm", "scripts", left_out, needs=("no-such-tool", "python:no_such_module")))
    assert done.said == "left out: no-such-tool, no_such_module is not installed"


def test_outcome__a_check_can_say_itself_why_it_is_left_out():
    assert outcome(Check("kubernetes", "server", left_out)).said == "left out: the server is not there"


def test_outcome__a_check_that_breaks_is_not_taken_for_passed():
    def broken() -> list[str]:
        raise KeyError("spec")

    [fault] = outcome(Check("kubernetes", "fields", broken)).faults
    assert fault == "kubernetes: fields: could not be checked: KeyError: 'spec'"


def test_missing__finds_modules_and_programs():
    assert missing(("python:json", "python:json.no_such", "python:no_such.part", "sh")) == [
        "python:json.no_such",
        "python:no_such.part",
    ]


def test_table__columns_are_aligned():
    lines = table(
        [outcome(Check("slurm", "one", lambda: [])), outcome(Check("kubernetes", "twice", lambda: []))]
    )
    assert lines[1:] == ["slurm       one        0.0  passed", "kubernetes  twice      0.0  passed"]


def test_run__one_fault_gives_status_1_and_its_sentence(monkeypatch, capsys):
    monkeypatch.setattr(command, "checks_of", lambda target, root: [Check(target, "all", lambda: ["f: x"])])
    assert command.run(["slurm"], PROJECT) == 1
    printed = capsys.readouterr()
    assert "1 fault" in printed.out
    assert printed.err == "deploy-check: f: x\n"


def test_main__an_unknown_target_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "kubernets"])
    assert ended.value.code == 2
    assert "found target kubernets, wanted some of kubernetes, containers" in capsys.readouterr().err


@pytest.fixture
def values(tmp_path: Path) -> Path:
    path = tmp_path / "deploy" / "dataproc" / "values.env"
    path.parent.mkdir(parents=True)
    path.write_text("# where it runs\nPROJECT=CHANGE-ME\nREGION=\nBUCKET=gs://mine-CHANGE-ME\nNODES='4'\n")
    return path


def test_read_values__quotes_and_comments_are_not_part_of_a_value(values):
    assert read_values(values) == {
        "PROJECT": "CHANGE-ME",
        "REGION": "",
        "BUCKET": "gs://mine-CHANGE-ME",
        "NODES": "4",
    }


def test_unset__empty_and_placeholder_in_the_order_of_the_file(values):
    assert unset(values) == ["PROJECT", "REGION", "BUCKET"]


def test_unset__blanks_in_quotes_are_no_value_and_none_is_one(values):
    values.write_text("PROJECT=' '\nREGION=none\nBUCKET=\" mine \"\n")
    assert unset(values) == ["PROJECT"]
    assert read_values(values)["BUCKET"] == "mine"


def test_unset__names_that_the_file_lacks_come_last(values):
    assert unset(values, ["ZONE", "NODES", "REGION"]) == ["PROJECT", "REGION", "BUCKET", "ZONE"]


@pytest.mark.parametrize("target", ["kubernetes", "dataproc", "databricks", "slurm"])
def test_used_names__are_those_of_the_file_of_values(target):
    path = values_file(PROJECT, target)
    assert set(used_names(PROJECT, target)) == set(read_values(path))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("kubernetes", "GPU_NODE_POOL"),
        ("dataproc", "BUCKET"),
        ("databricks", "TRAIN_GPUS"),
        ("databricks", "HOST"),
        ("slurm", "ETL_CPUS"),
    ],
)
def test_report_unset__a_name_that_the_file_lacks(tmp_path, capsys, target, name):
    shutil.copytree(PROJECT / "deploy" / target, tmp_path / "deploy" / target)
    path = values_file(tmp_path, target)
    left = {one: "mine" for one in read_values(path) if one != name}
    path.write_text("".join(f"{one}={value}\n" for one, value in left.items()))
    assert command.report_unset([target], tmp_path) == 2
    said = f"deploy-check: {path}: {name}: found nothing, wanted a value of yours\n"
    assert capsys.readouterr().err == said


def test_unset_sentences__name_the_file_and_what_was_found(values):
    assert unset_sentences(values)[1] == f"{values}: REGION: found nothing, wanted a value of yours"


def test_unset_sentences__a_line_that_is_no_value(values):
    values.write_text("PROJECT: mine\n")
    assert unset_sentences(values) == [
        f"{values}: line 1: found 'PROJECT: mine', wanted KEY=value or a comment"
    ]


def test_unset_sentences__a_name_that_stands_twice(values):
    values.write_text("PROJECT=a\nPROJECT=b\n")
    assert "found PROJECT a second time" in unset_sentences(values)[0]


def test_unset_sentences__no_file(tmp_path):
    assert "found no such file" in unset_sentences(tmp_path / "values.env")[0]


def test_report_unset__status_2_until_all_are_set(values, capsys):
    root = values.parents[2]
    assert command.report_unset(["dataproc"], root) == 2
    assert "PROJECT: found CHANGE-ME, wanted a value of yours" in capsys.readouterr().err
    values.write_text("PROJECT=mine\n")
    assert command.report_unset(["dataproc"], root) == 0


def test_checks_of__a_broken_file_of_values_is_a_fault(values):
    values.write_text("PROJECT mine\n")
    [check] = [
        one for one in command.checks_of("dataproc", values.parents[2]) if one.name.startswith("values.env: ")
    ]
    assert "line 1: found 'PROJECT mine'" in check.run()[0]


def test_deploy_check__values_can_be_asked_for_without_the_validators():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "deploy.check", "--values", "kubernetes"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "values.env: TRAIN_IMAGE: found CHANGE-ME, wanted a value of yours" in done.stderr


def run_environment(root: Path, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(root / "deploy" / "check" / "environment.sh")],
        env={**os.environ, "EXOSHARD_CACHE": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy of the script with a lock that asks for nothing."""
    for name in ("deploy/check/environment.sh", "deploy/locks/check.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ENVIRONMENT, tmp_path / "deploy/check/environment.sh")
    (tmp_path / "deploy/locks/check.lock").write_text("# nothing\n")
    return tmp_path


@pytest.fixture
def python311(tmp_path: Path) -> str:
    """A program that says yes to what is asked of a Python 3.11, and makes environments of itself."""
    path = tmp_path / "python"
    path.write_text('#!/bin/sh\n[ "$2" != venv ] || { mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; }\n')
    path.chmod(0o755)
    return str(path)


def test_environment__is_made_once_and_again_for_another_lock(checkout, tmp_path, python311):
    first = run_environment(checkout, tmp_path / "cache", PYTHON=python311)
    again = run_environment(checkout, tmp_path / "cache", PYTHON=python311)
    assert "making the environment" in first.stderr
    assert again.stderr == ""
    assert again.stdout == first.stdout
    (checkout / "deploy/locks/check.lock").write_text("# still nothing\n")
    assert run_environment(checkout, tmp_path / "cache", PYTHON=python311).stdout != first.stdout


def test_environment__one_that_was_left_unfinished_is_made_again(checkout, tmp_path, python311):
    python = Path(run_environment(checkout, tmp_path / "cache", PYTHON=python311).stdout.strip())
    (python.parents[1] / ".complete").unlink()
    assert "making the environment" in run_environment(checkout, tmp_path / "cache", PYTHON=python311).stderr


def test_environment__packages_that_cannot_be_installed_leave_it_unfinished(checkout, tmp_path, python311):
    with open(python311, "a") as program:
        program.write('[ "$2" != pip ] || exit 1\n')
    done = run_environment(checkout, tmp_path / "cache", PYTHON=python311)
    assert done.returncode == 1
    assert "the packages of deploy/locks/check.lock could not be installed" in done.stderr
    assert not list((tmp_path / "cache").rglob(".complete"))


def test_environment__says_what_python_it_wants(checkout, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "sha256sum", "cut", "mkdir", "flock"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    done = run_environment(
        checkout, tmp_path / "cache", PATH=str(tools), PYTHON="", PYENV_ROOT=str(tmp_path), HOME=str(tmp_path)
    )
    assert done.returncode == 1
    assert "no Python 3.11 with venv was found" in done.stderr


@pytest.mark.slow
def test_deploy_check__all_files_pass():
    done = subprocess.run(
        [validators(), "-m", "deploy.check"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fault" not in done.stdout
