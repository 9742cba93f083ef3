import json
from pathlib import Path

import pytest
import yaml

from contract.config import digest
from contract.errors import InputError
from contract.example import write_example
from train import readings
from train.readings import (
    READS_NAME,
    Reading,
    complete_reading,
    list_readings,
    readings_path,
    record_reading,
    was_read,
)


def reading(run: Path, time: str = "2026-01-01", dataset: str = "abc") -> Reading:
    return Reading(manifest_digest=dataset, time=time, run=str(run), bundle_digest="b1", model="gene_cnn")


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "cohort" / "dataset")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    for name in ("cohort", "first", "second"):
        (tmp_path / name).mkdir()


def test_record_reading__a_second_one_is_refused_whatever_the_run(root: str, tmp_path: Path):
    record_reading(root, reading(tmp_path / "first"), tmp_path / "first", again=False)
    with pytest.raises(
        InputError, match=r"dataset: test fold: found .* 2026-01-01 by \S+first, wanted .*--again"
    ):
        record_reading(root, reading(tmp_path / "second"), tmp_path / "second", again=False)
    assert len(list_readings(root, "abc")) == 1
    told = record_reading(root, reading(tmp_path / "second", "2026-02-02"), tmp_path / "second", again=True)
    assert [Path(each.run).name for each in told] == ["first", "second"]
    assert told == list_readings(root, "abc")


def test_record_reading__another_dataset_in_the_same_place(root: str, tmp_path: Path):
    record_reading(root, reading(tmp_path / "first"), tmp_path / "first", again=False)
    other = reading(tmp_path / "first", dataset="other")
    assert record_reading(root, other, tmp_path / "first", again=False) == [other]
    assert len(list_readings(root, "abc")) == 1


def test_record_reading__place_that_cannot_be_written(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    append = readings._append

    def read_only(path: str, new: Reading) -> None:
        if path == readings_path(root):
            raise PermissionError(path)
        append(path, new)

    monkeypatch.setattr(readings, "_append", read_only)
    run = tmp_path / "first"
    (found,) = record_reading(root, reading(run), run, again=False)
    assert found.recorded.startswith("in the run's folder alone: ")
    complete_reading(root, found, run, 0.6)
    assert json.loads((run / READS_NAME).read_text())[0]["auroc"] == 0.6
    with pytest.raises(InputError, match="was read before"):
        record_reading(root, reading(run), run, again=False)


def test_complete_reading__adds_the_auroc_to_its_own_line(root: str, tmp_path: Path):
    run = tmp_path / "first"
    record_reading(root, reading(run), run, again=False)
    *_, last = record_reading(root, reading(run, "2026-02-02"), run, again=True)
    complete_reading(root, last, run, 0.75)
    assert [each.auroc for each in list_readings(root, "abc")] == [None, 0.75]


@pytest.mark.parametrize("content", ["{", "[{}]", "[3]"])
def test_list_readings__damaged_record_is_not_taken_for_none(root: str, content: str):
    Path(readings_path(root)).write_text(content)
    with pytest.raises(InputError, match=r"dataset\.readings\.json: readings: found a damaged record"):
        list_readings(root, "abc")


def test_list_readings__times_that_earlier_versions_kept(root: str, tmp_path: Path):
    run = tmp_path / "first"
    (run / READS_NAME).write_text(json.dumps(["2025-12-12"]))
    (run / "run.json").write_text(json.dumps({"manifest_digest": "abc"}))
    assert [each.time for each in list_readings(root, "abc", run)] == ["2025-12-12"]


def test_was_read__a_dataset_made_anew_with_the_same_manifest(root: str, tmp_path: Path):
    run = tmp_path / "first"
    assert not was_read(run)
    manifest = write_example(root, n_samples=20, n_genes=5)
    (run / "config.yaml").write_text(yaml.safe_dump({"data": {"dataset": root}}))
    assert not was_read(run)
    record_reading(root, reading(run, dataset=digest(manifest)), run, again=False)
    write_example(root, n_samples=20, n_genes=5)
    assert was_read(run)
    write_example(root, n_samples=20, n_genes=5, seed=1)
    assert not was_read(run)
