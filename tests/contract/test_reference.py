import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.errors import InputError
from contract.example import write_example
from contract.reference import (
    BUNDLE_FACTS,
    Burden,
    Group,
    VariantFile,
    burden_deviations,
    check_files,
    copy_reference,
    distances,
    open_reference,
    person_burdens,
    write_reference,
)
from tests.references import reference


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    write_example(str(root), n_samples=20, n_genes=3)
    digest = write_reference(str(root / "reference"), reference(root / "reference"))
    manifest = json.loads((root / "manifest.json").read_text())
    (root / "manifest.json").write_text(json.dumps(manifest | {"reference": digest}))
    return root


def test_open_reference__of_a_dataset(dataset: Path):
    found = open_reference(str(dataset))
    assert found.content.components == ["pc1"]
    assert found.table("genes.parquet")["gene_id"].tolist() == ["ENSG1"]
    check_files(found)


def test_open_reference__of_a_bundle_with_all_files_or_with_their_place(dataset: Path, tmp_path: Path):
    first = open_reference(str(dataset))
    for name, files in (("whole", True), ("small", False)):
        bundle = tmp_path / name
        copy_reference(first, str(bundle / "reference"), files=files)
        facts = {"reference_digest": first.digest, "reference_url": None if files else first.folder}
        (bundle / BUNDLE_FACTS).write_text(json.dumps(facts))
        found = open_reference(str(bundle))
        assert found.content == first.content
        assert found.folder == (str(bundle / "reference") if files else first.folder)
        assert len(found.table("genes.parquet")) == 1


def test_open_reference__what_is_neither_dataset_nor_bundle(tmp_path: Path):
    with pytest.raises(InputError, match=r"like: found neither manifest.json nor bundle.json, wanted a"):
        open_reference(str(tmp_path))


def test_open_reference__a_dataset_and_a_bundle_of_before(tmp_path: Path):
    write_example(str(tmp_path / "dataset"), n_samples=20, n_genes=3)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / BUNDLE_FACTS).write_text("{}")
    for name in ("dataset", "bundle"):
        with pytest.raises(InputError, match="reference: found no such folder, wanted a dataset that"):
            open_reference(str(tmp_path / name))


def test_open_reference__a_dataset_that_follows_another(dataset: Path):
    manifest = json.loads((dataset / "manifest.json").read_text())
    (dataset / "manifest.json").write_text(json.dumps(manifest | {"like": "0123456789abcdef"}))
    with pytest.raises(InputError, match="found a dataset made like another one, wanted that other one"):
        open_reference(str(dataset))


def test_open_reference__changed_since(dataset: Path):
    path = dataset / "reference/reference.json"
    path.write_text(path.read_text().replace("900", "901"))
    with pytest.raises(InputError, match=r"reference.json: found [0-9a-f]{16}, wanted [0-9a-f]{16}, as"):
        open_reference(str(dataset))


def test_check_files__each_that_is_gone_or_differs(dataset: Path):
    files = [
        VariantFile(path="variants/1.parquet", rows=1, bytes=9, sha256="0", contig="1", first=1, last=1),
        VariantFile(path="variants/2.parquet", rows=1, bytes=9, sha256="0", contig="2", first=1, last=1),
    ]
    digest = write_reference(str(dataset / "reference"), reference(dataset / "reference", variants=files))
    manifest = json.loads((dataset / "manifest.json").read_text())
    (dataset / "manifest.json").write_text(json.dumps(manifest | {"reference": digest}))
    (dataset / "reference/variants").mkdir()
    (dataset / "reference/variants/2.parquet").write_bytes(b"other")
    (dataset / "reference/genes.parquet").write_bytes(b"other")
    with pytest.raises(InputError) as raised:
        check_files(open_reference(str(dataset)))
    first, second, third = raised.value.faults
    assert "variants/1.parquet: found no such file, wanted 9 bytes" in first
    assert "variants/2.parquet: found 5 bytes, wanted 9 bytes" in second
    assert "genes.parquet sha256: found another" in third


def test_distances__share_of_the_nearest_group_s_cut():
    groups = [
        Group(name="a", n=50, mean=[0.0, 0.0], covariance=[[1.0, 0.0], [0.0, 4.0]], cut=9.0),
        Group(name="b", n=50, mean=[10.0, 0.0], covariance=[[1.0, 0.0], [0.0, 1.0]], cut=16.0),
    ]
    found = distances(groups, np.array([[0.0, 6.0], [0.0, -3.0], [10.0, 8.0]]))
    assert found.tolist() == [1.0, 0.25, 4.0]
    assert distances([], np.ones((2, 2))).tolist() == [0.0, 0.0]


def test_burden_deviations__by_group_else_by_everybody():
    burdens = [
        Burden(channel="synonymous", ancestry=None, n=100, mean=3.0, deviation=1.0),
        Burden(channel="synonymous", ancestry="a", n=60, mean=2.0, deviation=0.5),
        Burden(channel="flat", ancestry=None, n=100, mean=0.6, deviation=0.0),
    ]
    burden = np.array([25 - 3 / 8, 9 - 3 / 8])
    ancestry = np.array(["other", "a"], dtype=object)
    assert burden_deviations(burdens, "synonymous", burden, ancestry).tolist() == [2.0, 2.0]
    assert burden_deviations(burdens, "flat", burden, ancestry).tolist() == [0.0, 0.0]
    assert burden_deviations(burdens, "absent", burden, ancestry).tolist() == [0.0, 0.0]


def test_person_burdens__sums_by_channel():
    samples = pd.DataFrame({"indices": [[0, 2, 3], []], "values": [[1.0, 2.0, 0.5], []]})
    assert person_burdens(samples, 2, 3).tolist() == [[3.0, 0.5], [0.0, 0.0]]
