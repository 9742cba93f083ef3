import json
from pathlib import Path

import pandas as pd
import pytest

from contract.config import digest
from contract.dataset import verify
from contract.errors import InputError
from contract.example import write_example
from contract.manifest import read_manifest
from contract.people_tables import read_kinship, read_people_qc, write_kinship, write_people_qc


@pytest.fixture
def root(tmp_path: Path) -> str:
    write_example(str(tmp_path / "dataset"), n_samples=40, n_genes=5)
    return str(tmp_path / "dataset")


def test_read_kinship__example_has_siblings(root: str):
    pairs = read_kinship(root, read_manifest(root))
    assert pairs.to_dict("list") == {
        "sample_index_1": list(range(0, 40, 2)),
        "sample_index_2": list(range(1, 40, 2)),
        "kinship": [0.25] * 20,
    }


def test_read_people_qc__example_measures_everybody(root: str):
    metrics = read_people_qc(root, read_manifest(root))
    assert metrics.index.tolist() == list(range(40))
    assert metrics["call_rate"].between(0.9, 1).all()
    assert metrics.notna().all().all()


def test_write_people_qc__orders_people_and_keeps_what_is_missing(root: str):
    metrics = pd.DataFrame({"sample_index": [1, 0], "mean_dp": [None, 30]})
    file = write_people_qc(root, metrics)
    manifest = read_manifest(root).model_copy(update={"tables": {"people_qc": file}})
    read = read_people_qc(root, manifest)
    assert read.index.tolist() == [0, 1]
    assert read["mean_dp"].isna().tolist() == [False, True]


def test_read__dataset_without_the_tables(root: str):
    manifest = read_manifest(root).model_copy(update={"tables": {}})
    assert read_kinship(root, manifest) is None
    assert read_people_qc(root, manifest) is None


def test_digest__a_manifest_without_tables_is_what_it_was_before_there_were_any(root: str):
    manifest = read_manifest(root).model_copy(update={"tables": {}})
    assert "tables" not in manifest.model_dump(mode="json")
    older = json.loads(Path(root, "manifest.json").read_text())
    del older["tables"]
    assert digest(manifest) == digest(older)


@pytest.mark.parametrize("name", ["kinship", "people_qc"])
def test_read__changed_or_absent_file(root: str, name: str):
    manifest, path = read_manifest(root), Path(root, f"{name}.parquet")
    read = {"kinship": read_kinship, "people_qc": read_people_qc}[name]
    if name == "kinship":
        write_kinship(root, read(root, manifest).head(3))
    else:
        write_people_qc(root, read(root, manifest).head(3).reset_index())
    for look in (lambda: read(root, manifest), lambda: verify(root, manifest)):
        with pytest.raises(InputError, match=f"{name}.parquet sha256: found "):
            look()
    path.unlink()
    with pytest.raises(InputError, match=f"{name}.parquet: found no readable file"):
        read(root, manifest)
    with pytest.raises(InputError, match=f"{name}.parquet: found no such file"):
        verify(root, manifest)
