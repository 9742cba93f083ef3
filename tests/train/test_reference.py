import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.errors import InputError
from contract.example import write_example
from contract.manifest import read_manifest
from contract.reference import BUNDLE_FACTS, open_reference, write_reference
from tests.references import reference
from train import reference as kept
from train.reference import keep_reference, read_reference_of, reference_facts


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    root = tmp_path / "dataset"
    write_example(str(root), n_samples=20, n_genes=3)
    digest = write_reference(str(root / "reference"), reference(root / "reference"))
    manifest = json.loads((root / "manifest.json").read_text())
    (root / "manifest.json").write_text(json.dumps(manifest | {"reference": digest}))
    return str(root)


def bundle_of(dataset: str, folder: Path) -> SimpleNamespace:
    facts = SimpleNamespace(**reference_facts(dataset, read_manifest(dataset)))
    folder.mkdir()
    keep_reference(folder, dataset, facts)
    (folder / BUNDLE_FACTS).write_text(json.dumps(vars(facts)))
    return facts


def test_keep_reference__a_small_one_is_in_the_bundle_whole(dataset: str, tmp_path: Path):
    facts = bundle_of(dataset, tmp_path / "bundle")
    assert facts.reference_url is None
    found = open_reference(str(tmp_path / "bundle"))
    assert found.folder == str(tmp_path / "bundle/reference")
    assert found.table("genes.parquet")["gene_id"].tolist() == ["ENSG1"]
    assert read_reference_of(tmp_path / "bundle", facts) == open_reference(dataset).content


def test_keep_reference__of_a_large_one_the_place(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kept, "LARGEST_COPY", 10)
    facts = bundle_of(dataset, tmp_path / "bundle")
    assert facts.reference_url == f"{dataset}/reference"
    assert [path.name for path in (tmp_path / "bundle/reference").iterdir()] == ["reference.json"]
    assert open_reference(str(tmp_path / "bundle")).folder == f"{dataset}/reference"


def test_reference_facts__a_dataset_without_one(tmp_path: Path):
    manifest = write_example(str(tmp_path / "old"), n_samples=20, n_genes=3)
    facts = reference_facts(str(tmp_path / "old"), manifest)
    assert facts == {"reference_digest": None, "reference_url": None}
    assert read_reference_of(tmp_path, SimpleNamespace(**facts)) is None


def test_reference_facts__a_folder_that_is_gone(dataset: str):
    (Path(dataset) / "reference/reference.json").unlink()
    with pytest.raises(InputError, match=r"reference: reference.json: found no such file"):
        reference_facts(dataset, read_manifest(dataset))
