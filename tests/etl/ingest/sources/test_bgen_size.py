"""BGEN files that are cut off, told before anything is read of them."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from etl.ingest.sources.bgen_file import read_bgen_header, size_faults
from tests.etl.ingest.sources.bgen_writer import SURE, write_bgen
from tests.etl.ingest.sources.cohorts import faults_of


def index_of(path: Path, size: int) -> None:
    """What bgenix keeps of two variants, of a file of that size."""
    with closing(sqlite3.connect(f"{path}.bgi")) as index:
        index.execute("CREATE TABLE Variant (file_start_position INT, size_in_bytes INT)")
        index.executemany(
            "INSERT INTO Variant VALUES (?, ?)", [(24, size // 2 - 24), (size // 2, size - size // 2)]
        )
        index.commit()


def test_size_faults__a_file_that_is_cut_is_told_from_its_header_on(tmp_path: Path):
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE), ("1 200 A,G", SURE))
    whole = path.read_bytes()
    assert faults_of({"bgen": str(path)}) == []
    path.write_bytes(whole[:-1])
    cut = f"{path}: variant 2: found the file's end, at byte {len(whole) - 1}, wanted 2 whole variants"
    assert faults_of({"bgen": str(path)}) == [cut]
    path.write_bytes(whole + b"abc")
    (longer,) = faults_of({"bgen": str(path)})
    assert longer.startswith(f"{path}: size: found 3 bytes behind the last variant, wanted the 2 variants")


def test_size_faults__of_many_variants_an_index_tells_whether_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("etl.ingest.sources.bgen_file.MOST_HOPS", 1)
    path = write_bgen(tmp_path / "a.bgen", ("1 100 A,G", SURE), ("1 200 A,G", SURE))
    whole = path.read_bytes()
    header = read_bgen_header(str(path))
    path.write_bytes(whole[:-1])
    assert size_faults(str(path), header) == [], "too many to hop over"
    index_of(path, len(whole))
    (fault,) = size_faults(str(path), header)
    assert "variant 2: found the file's end" in fault
    path.write_bytes(whole)
    assert size_faults(str(path), header) == []
    Path(f"{path}.bgi").unlink()
    # The index of another file: what counts is the file.
    index_of(path, len(whole) + 5)
    assert size_faults(str(path), header) == []
    Path(f"{path}.bgi").write_bytes(b"no index")
    assert size_faults(str(path), header) == []


def test_size_faults__regenie_s_example_and_its_index(shared_data: Path, tmp_path: Path):
    for name in ("example.bgen", "example.bgen.bgi"):
        shutil.copyfile(shared_data / "02_regenie" / name, tmp_path / name)
    path = tmp_path / "example.bgen"
    assert faults_of({"bgen": str(path)}) == []
    path.write_bytes(path.read_bytes()[:-1000])
    (fault,) = faults_of({"bgen": str(path)})
    assert re.search(r"variant 99\d: found the file's end, at byte 185196, wanted 1000 whole variants", fault)
