"""Datasets, runs and bundles in an object store."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from contract.config import dump_config
from contract.errors import InputError
from contract.lock import LOCK_NAME
from contract.storage import open_storage
from tests.object_store import KEY, object_store
from tests.train.optional import READER
from tests.train.processes import FAULTY, PROJECT, launched
from tests.train.ranks import torchrun
from tests.train.runs import ConfigMaker, fit_quietly, series_of
from train.checkpoint import state_of_bytes
from train.errors import TrainingError
from train.mirror import Mirror, local_folder, mirrored
from train.run_lock import StoredLock

SHORT = {"stopping": {"max_epochs": 2, "patience": 100}}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with object_store(monkeypatch) as url:
        yield url


def put(folder: str, url: str) -> str:
    filesystem, path = open_storage(url)
    filesystem.put(folder.rstrip("/") + "/", path + "/", recursive=True)
    return url


def python_m_train(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "train", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("reader", "fail_every"),
    [
        ("petastorm", 0),
        pytest.param("arrow", 5, marks=pytest.mark.slow),
        pytest.param("petastorm", 5, marks=pytest.mark.slow),
    ],
)
def test_fit__dataset_in_a_store_that_sometimes_fails(
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    make_config: ConfigMaker,
    tmp_path: Path,
    reader: str,
    fail_every: int,
):
    if reader != READER and reader == "petastorm":
        pytest.skip("Petastorm is not installed")
    local = fit_quietly(make_config(**SHORT, run={"out": str(tmp_path / "local")}))
    with object_store(monkeypatch, fail_every=fail_every) as bucket:
        data = {"dataset": put(dataset, f"{bucket}/dataset"), "reader": reader, "cache": "none"}
        stored = fit_quietly(make_config(**SHORT, data=data))
    assert series_of(stored) == series_of(local)


@pytest.mark.slow
def test_main__a_run_at_a_url_from_fit_to_predict(
    dataset: str, make_config: ConfigMaker, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    data, out = put(dataset, f"{bucket}/cohort/dataset"), f"{bucket}/runs/one"
    conf = tmp_path / "conf.yaml"
    settings = {**SHORT, "evaluation": {"bootstrap_draws": 50}}
    conf.write_text(dump_config(make_config(**settings, data={"dataset": data}, run={"out": out})))
    done = [
        python_m_train("fit", str(conf)),
        python_m_train("evaluate", out),
        python_m_train("audit", out),
        python_m_train("predict", f"{out}/bundle", data, f"{bucket}/scored.parquet"),
    ]
    assert [run.returncode for run in done] == [0, 0, done[2].returncode, 0], done
    assert done[2].returncode in (0, 3)  # a verdict, whatever it is
    said = "".join(run.stdout + run.stderr for run in done)
    assert f"bundle: {out}/bundle" in said
    assert f"report: {out}/report.html" in said
    assert KEY not in said
    filesystem, path = open_storage(out)
    files = {name.removeprefix(path + "/") for name in filesystem.find(path)}
    assert {"config.yaml", "bundle/bundle.json", "checkpoint.pt", "metrics.json", "report.html"} <= files
    assert LOCK_NAME not in files
    assert not list((tmp_path / "temporary").glob("exoshard-*"))
    assert KEY.encode() not in b"".join(filesystem.cat(sorted(filesystem.find(path))).values())
    scored = pd.read_parquet(f"{bucket}/scored.parquet", filesystem=filesystem)
    assert len(scored) == 900  # without the sealed fold
    again = python_m_train("evaluate", out)
    assert again.returncode == 2
    assert f"by {out}" in again.stderr


@pytest.mark.slow
def test_fit__goes_on_with_a_run_at_a_url(make_config: ConfigMaker, bucket: str, tmp_path: Path):
    config = make_config(stopping={"max_epochs": 3, "patience": 100}, run={"out": f"{bucket}/run"})
    fault = {"FAULT": "kill:0:30"}  # in the third epoch
    with launched([sys.executable, FAULTY], config, tmp_path, **fault) as first:
        first.finish()
    content = open_storage(f"{bucket}/run/checkpoint.pt")[0].cat("bucket/run/checkpoint.pt")
    assert state_of_bytes(content)["progress"]["total_steps"] == 24
    with launched([*torchrun(2), "-m", "train"], config, tmp_path) as second:
        status, out, errors = second.finish()
    assert status == 0, errors
    assert "going on from epoch 3, step 1" in out
    alone = fit_quietly(make_config(stopping={"max_epochs": 3, "patience": 100}))
    Mirror(f"{bucket}/run", tmp_path / "copy").pull()
    np.testing.assert_allclose(series_of(tmp_path / "copy"), series_of(alone), rtol=0, atol=1e-6)


def test_stored_lock__one_job_at_a_time(bucket: str, monkeypatch: pytest.MonkeyPatch):
    first, second = StoredLock(f"{bucket}/run"), StoredLock(f"{bucket}/run")
    first.take()
    with pytest.raises(InputError, match=rf"run.out: found a run in progress \(process {os.getpid()} on "):
        second.take()
    second.release()
    first.check()
    first.release()
    second.take()
    second.release()
    assert not open_storage(bucket)[0].find("bucket/run")


def test_stored_lock__elsewhere_without_a_beat_is_taken_over(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("contract.lock.STALE_SECONDS", 0.6)
    first, second = StoredLock(f"{bucket}/run"), StoredLock(f"{bucket}/run")
    monkeypatch.setattr("contract.lock._machine", lambda: "far")
    first.take()
    monkeypatch.setattr("contract.lock._machine", lambda: "here")
    started = time.monotonic()
    second.take()
    assert time.monotonic() - started > 0.5
    with pytest.raises(Exception, match="found another job's lock, wanted this one's"):
        first.check()
    second.check()
    second.release()


def test_mirror__a_bundle_without_its_end_is_not_fetched(bucket: str, tmp_path: Path):
    filesystem, _ = open_storage(bucket)
    half = ("bundle/weights.safetensors", "bundle/reference/means.parquet")
    filesystem.pipe({f"bucket/run/{name}": b"half" for name in half} | {"bucket/run/history.json": b"[]"})
    mirror = Mirror(f"{bucket}/run", tmp_path / "copy")
    mirror.pull()
    assert [path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()] == ["history.json"]


def test_mirror__sends_what_changed_and_removes_what_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = fsspec.filesystem("memory")
    store.pipe({"/run/a": b"1", "/run/b": b"2"})
    sent: list[str] = []
    mirror = Mirror("memory://run", tmp_path / "copy")
    monkeypatch.setattr(store, "put_file", _noting(store.put_file, sent))
    mirror.pull()
    (tmp_path / "copy" / "b").unlink()
    (tmp_path / "copy" / "c").write_text("3")
    (tmp_path / "copy" / "d.partial").write_text("4")
    mirror.push()
    mirror.push()
    assert sent == ["c"]
    assert sorted(store.find("/run")) == ["/run/a", "/run/c"]


def test_mirror__names_that_lead_elsewhere_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = fsspec.filesystem("memory")
    mirror = Mirror("memory://elsewhere", tmp_path / "a" / "copy")
    monkeypatch.setattr(store, "find", lambda path: ["/elsewhere/../../outside"])
    with pytest.raises(OSError, match=r"a name that leads elsewhere: \.\./\.\./outside"):
        mirror.pull()
    assert not (tmp_path / "outside").exists()


def test_mirror__sends_what_makes_others_count_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = fsspec.filesystem("memory")
    sent: list[str] = []
    monkeypatch.setattr(store, "put_file", _noting(store.put_file, sent))
    mirror = Mirror("memory://ordered", tmp_path / "copy")
    mirror.pull()
    last = ["effects.safetensors", "checkpoint.pt", "bundle.json"]
    for name in (*reversed(last), "history.json", "run.json", "config.yaml"):
        (tmp_path / "copy" / name).write_text("1")
    mirror.push()
    assert sent == ["run.json", "config.yaml", "history.json", *last]


def test_mirrored__what_can_not_be_sent_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = fsspec.filesystem("memory")

    def refuse(*unused: object, **unused_too: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store, "put_file", refuse)
    told = r"memory://closed: folder: found 'memory://closed: Access Denied', wanted .* in (.*)"
    with pytest.raises(TrainingError, match=told) as caught, mirrored("memory://closed"):
        (local_folder("memory://closed") / "metrics.json").write_text("{}")
    kept = Path(re.search(told, str(caught.value))[1])
    assert (kept / "metrics.json").read_text() == "{}"
    assert list(tmp_path.glob("exoshard-*")) == [kept]


def test_mirrored__copies_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, alive = (tmp_path / f"exoshard-copy-{process}-0" for process in (ended.pid, os.getpid()))
    left.mkdir()
    alive.mkdir()
    with mirrored("memory://other"), mirrored("memory://other"):
        assert not left.exists()
        assert alive.exists()
    assert list(tmp_path.iterdir()) == [alive]


def test_local_folder__of_a_file_url():
    assert local_folder("file:///data/run") == Path("/data/run")


def _noting(put_file: object, sent: list[str]) -> object:
    def noted(source: str, target: str, **settings: object) -> None:
        sent.append(Path(source).name)
        put_file(source, target, **settings)  # type: ignore[operator]

    return noted


def test_fit__a_store_that_does_not_answer(
    make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    for name, value in {
        "ENDPOINT_URL": "http://127.0.0.1:9",
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with pytest.raises(InputError, match=r"s3://bucket/run/lock.json: store: found no answer .*127.0.0.1:9"):
        fit_quietly(make_config(run={"out": "s3://bucket/run"}))
    with pytest.raises(InputError, match=r"s3://bucket/dataset: .*127.0.0.1:9"):
        fit_quietly(make_config(data={"dataset": "s3://bucket/dataset"}))
