import json
from pathlib import Path

import pytest

from contract.errors import InputError
from contract.manifest import Channel, Fold, Manifest, PartFile, read_manifest, write_manifest


def fold(index: int, n: int) -> Fold:
    files = [PartFile(path=f"samples/fold={index}/part-00000.parquet", rows=n, row_groups=1, sha256="0")]
    return Fold(index=index, n_samples=n, n_cases=1, n_controls=n - 1, files=files)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        reference_genome="GRCh38",
        n_samples=5,
        n_genes=3,
        channels=[Channel(name="plof", definition={}), Channel(name="missense", definition={})],
        covariates=["is_female"],
        row_group_size=4,
        test_fold=1,
        folds=[fold(0, 3), fold(1, 2)],
        seed=1,
    )


def changed(root: Path, **fields: object) -> None:
    path = root / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_read_manifest__round_trip(tmp_path: Path, manifest: Manifest):
    write_manifest(manifest, str(tmp_path))
    assert read_manifest(str(tmp_path)) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert manifest.n_features == 6
    assert manifest.fold(1).n_row_groups == 1


def test_read_manifest__cohort_covariates_are_some_of_the_covariates(tmp_path: Path, manifest: Manifest):
    write_manifest(manifest, str(tmp_path))
    changed(tmp_path, cohort_covariates=["pc1"])
    with pytest.raises(InputError, match=r"cohort_covariates \['pc1'\] are none of the covariates"):
        read_manifest(str(tmp_path))


def test_read_manifest__absent(tmp_path: Path):
    with pytest.raises(InputError, match=r"manifest\.json: found no such file, wanted a finished dataset"):
        read_manifest(str(tmp_path))


def test_read_manifest__another_version_is_refused_before_its_fields_are_read(
    tmp_path: Path, manifest: Manifest
):
    write_manifest(manifest, str(tmp_path))
    changed(tmp_path, format_version=2, field_of_the_future=1)
    with pytest.raises(InputError, match=r"manifest\.json: format_version: found 2, wanted 1"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "[1, 2]", ""])
def test_read_manifest__no_manifest_in_it(tmp_path: Path, text: str):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"found no valid JSON|format_version: found None"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("n_samples", 6, "the folds' n_samples do not add up to n_samples"),
        ("test_fold", 7, "test_fold 7 is none of the folds"),
        ("row_group_size", 0, "row_group_size: found 0, wanted"),
        ("unknown", 1, "unknown: found 1"),
    ],
)
def test_read_manifest__inconsistent(tmp_path: Path, manifest: Manifest, field: str, value: int, told: str):
    write_manifest(manifest, str(tmp_path))
    changed(tmp_path, **{field: value})
    with pytest.raises(InputError, match=told):
        read_manifest(str(tmp_path))


def test_read_manifest__a_fold_whose_files_hold_other_numbers_of_rows(tmp_path: Path, manifest: Manifest):
    write_manifest(manifest, str(tmp_path))
    folds = json.loads((tmp_path / "manifest.json").read_text())["folds"]
    folds[0]["files"][0]["rows"] = 30
    changed(tmp_path, folds=folds)
    with pytest.raises(InputError, match="fold 0: its files' rows do not add up to n_samples"):
        read_manifest(str(tmp_path))


def test_read_manifest__the_same_fold_twice(tmp_path: Path, manifest: Manifest):
    write_manifest(manifest, str(tmp_path))
    folds = json.loads((tmp_path / "manifest.json").read_text())["folds"]
    folds[0]["index"] = 1
    changed(tmp_path, folds=folds)
    with pytest.raises(InputError, match="a fold stands twice"):
        read_manifest(str(tmp_path))


def test_fold__unknown(manifest: Manifest):
    with pytest.raises(InputError, match=r"folds: found no fold 8, wanted one of \[0, 1\]"):
        manifest.fold(8)
