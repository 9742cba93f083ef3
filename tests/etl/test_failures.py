"""Failures of steps: one sentence that names step, file and log, and gives nothing of the data away."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from rich.console import Console
from typer.testing import CliRunner

from contract.config import load_config
from contract.errors import InputError, working_on
from etl.__main__ import app
from etl.config import EtlConfig
from etl.failures import LostProcessError, told
from etl.pipeline import run
from tests.etl.mini import MiniInputs

STEP = "step 02_sample_metrics (measuring people, sex)"
SECRET = "NA12878 0/1"


def caught(error: Exception) -> Exception:
    """The error with a traceback, as a step raises it."""
    try:
        raise error
    except Exception as raised:  # noqa: BLE001 - any
        return raised


def sentence(error: Exception, log: Path, *files: str) -> str:
    (text,) = told(caught(error), doing=STEP, files=files, log=log).faults
    return text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk, wanted more"),
        (pa.ArrowInvalid(f"{SECRET} [errno 28] [Errno 28] Error writing"), "no space left on the disk"),
        (MemoryError(), "too little memory for Python, wanted more"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), "too little memory for Python"),
        (RuntimeError("java.lang.OutOfMemoryError: Java heap space"), "too little memory for Java, wanted"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "a file that can't be used (Permission"),
        (ValueError(f"could not convert {SECRET}"), "an unexpected failure (ValueError); steps before it"),
        (pd.errors.MergeError(SECRET), "an unexpected failure (MergeError); steps before it"),
    ],
)
def test_told__the_cause_and_nothing_of_the_data(error: Exception, cause: str, tmp_path: Path):
    log = tmp_path / "errors.log"
    text = sentence(error, log)
    assert text.startswith(f"{STEP}: found {cause}")
    assert text.endswith(f"; steps before it are kept, the full text is in {log}")
    assert SECRET not in text
    kept = log.read_text()
    assert STEP in kept
    assert "Traceback" in kept
    assert str(error) in kept


def test_told__an_input_error_is_told_as_it_is(tmp_path: Path):
    error = InputError(["a: b: found c, wanted d", "e"])
    assert told(error, doing=STEP, files=(), log=tmp_path / "errors.log") is error
    assert not (tmp_path / "errors.log").exists()


def test_told__the_input_that_the_error_names(tmp_path: Path):
    log = tmp_path / "errors.log"
    error = RuntimeError("/data/b.vcf.gz: [E::bgzf_read] Read block operation failed")
    text = sentence(error, log, "/data/a.vcf.gz", "/data/b.vcf.gz")
    assert "found an unexpected failure (RuntimeError) while working on /data/b.vcf.gz; steps" in text
    from_system = FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/c.tsv")
    assert "(No such file or directory) while working on /data/c.tsv; steps" in sentence(from_system, log)
    from_spark = RuntimeError("Could not read file:/out/part-0.parquet. Is it Parquet?")
    assert "while working on /out/part-0.parquet; steps" in sentence(from_spark, log)


def test_told__the_place_that_the_code_was_working_on(tmp_path: Path):
    with pytest.raises(ValueError, match="NA12878") as raised, working_on("a.vcf, record chr1:5"):
        raise ValueError(SECRET)
    assert "(ValueError) while working on a.vcf, record chr1:5; steps" in sentence(
        raised.value, tmp_path / "errors.log"
    )


def test_told__a_log_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    text = sentence(ValueError(), tmp_path / "file" / "errors.log")
    assert text.endswith("; steps before it are kept, the full text could not be (Not a directory)")


def test_told__no_key_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-key")
    sentence(ValueError("signed with planted-key"), tmp_path / "errors.log")
    assert "ValueError: signed with ***" in (tmp_path / "errors.log").read_text()


def raise_input_error(number: int) -> int:
    raise InputError(["a.vcf: GT: found allele ≥ 3,\nwanted 0 to 2", "second"])


def raise_no_space(number: int) -> int:
    raise OSError(errno.ENOSPC, "No space left on device", "/tmp/part")


def raise_value_error(number: int) -> int:
    with working_on("a.vcf, record chr1:5"):
        raise ValueError(SECRET)


def raising_kernel(raising):
    def kernel(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raising(batch.num_rows)
            yield batch

    return kernel


def from_a_task(raising, way: str) -> Exception:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    try:
        if way == "rdd":
            spark.sparkContext.parallelize([1], 1).map(raising).collect()
        else:
            spark.range(1).mapInArrow(raising_kernel(raising), "id long").collect()
    except Exception as error:  # noqa: BLE001 - of Spark, py4j or Hail
        return error
    pytest.fail("the task ended well")


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("way", ["rdd", "kernel"])
def test_told__an_input_error_of_a_task_keeps_its_faults(way: str, tmp_path: Path):
    error = told(from_a_task(raise_input_error, way), doing=STEP, files=(), log=tmp_path / "errors.log")
    assert error.faults == ["a.vcf: GT: found allele ≥ 3,\nwanted 0 to 2", "second"]


@pytest.mark.usefixtures("hail_session")
@pytest.mark.parametrize("way", ["rdd", "kernel"])
def test_told__other_errors_of_a_task(way: str, tmp_path: Path):
    log = tmp_path / "errors.log"
    assert "found no space left on the disk" in sentence(from_a_task(raise_no_space, way), log)
    text = sentence(from_a_task(raise_value_error, way), log)
    assert "found an unexpected failure (ValueError) while working on a.vcf, record chr1:5; steps" in text
    assert SECRET not in text
    assert SECRET in log.read_text()


@pytest.mark.usefixtures("hail_session")
def test_run__any_failure_ends_with_a_sentence_and_keeps_finished_steps(
    mini: MiniInputs, monkeypatch: pytest.MonkeyPatch
):
    def work(run: object) -> object:
        raise KeyError(SECRET)

    monkeypatch.setattr("etl.steps.sample_metrics.work", work)
    done = CliRunner().invoke(app, ["run", str(mini.write_config())])
    assert done.exit_code == 2
    steps = Path(mini.settings["out"]) / "steps"
    text = done.stderr.splitlines()[-1]
    assert text == (
        f"error {STEP}: found an unexpected failure (KeyError); "
        f"steps before it are kept, the full text is in {steps / 'errors.log'}"
    )
    assert (steps / "01_ingest" / "record.json").exists()
    assert SECRET in (steps / "errors.log").read_text()


@pytest.mark.usefixtures("hail_session")
def test_run__an_interrupt_is_no_failure(mini: MiniInputs, monkeypatch: pytest.MonkeyPatch):
    def work(run: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("etl.steps.ingest.work", work)
    with pytest.raises(KeyboardInterrupt):
        run(load_config(EtlConfig, mini.write_config()), console=Console(quiet=True))


def test_told__what_was_lost_is_no_fault_of_an_input(tmp_path: Path):
    for text in ("Py4JNetworkError: Answer from Java side is empty", "Python worker exited unexpectedly"):
        error = told(caught(RuntimeError(text)), doing=STEP, files=(), log=str(tmp_path / "log"))
        assert isinstance(error, LostProcessError)
        assert "ended from outside" in str(error)
    error = told(caught(RuntimeError("Java heap space")), doing=STEP, files=(), log=str(tmp_path / "log"))
    assert not isinstance(error, LostProcessError)
