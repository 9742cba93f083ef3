import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.dataset import read_samples
from contract.example import write_example
from contract.manifest import Manifest, read_manifest
from etl.associate.burden_tests import associate
from etl.associate.config import AssociationConfig
from etl.associate.people import open_folds, read_channel, unrelated_people


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """200 people in pairs of siblings; fold 9 is sealed."""
    folder = str(tmp_path_factory.mktemp("association") / "dataset")
    write_example(folder, n_samples=200, n_genes=12, density=0.2, row_group_size=8)
    return folder


def rows(root: str, manifest: Manifest) -> pd.DataFrame:
    return read_samples(root, manifest, open_folds(manifest)).set_index("sample_index")


def test_unrelated_people__one_of_two_siblings_outside_the_sealed_fold(root: str):
    manifest = read_manifest(root)
    people, all_people = unrelated_people(root, manifest), rows(root, manifest)
    assert manifest.test_fold not in open_folds(manifest)
    assert people.n_relatives == len(all_people) / 2 == len(people.sample_M)
    kept = all_people.loc[people.sample_M]
    assert kept["family"].is_unique
    assert kept["is_case"].tolist() == people.is_case_M.tolist()
    assert np.array(kept["covariates"].tolist()).tolist() == people.covariates_MP.tolist()
    cases = all_people.groupby("family")["is_case"].max()
    assert people.n_cases == cases.sum(), "of two relatives the case stays"


def test_unrelated_people__without_a_kinship_table_declared_families_count(root: str):
    manifest = read_manifest(root)
    bare = manifest.model_copy(update={"tables": {}})
    found = unrelated_people(root, bare)
    assert found.n_relatives == unrelated_people(root, manifest).n_relatives
    assert rows(root, manifest).loc[found.sample_M, "family"].is_unique


def test_unrelated_people__files_of_the_sealed_fold_are_not_opened(root: str, tmp_path: Path):
    shutil.copytree(root, tmp_path / "dataset")
    manifest = read_manifest(root)
    shutil.rmtree(tmp_path / "dataset" / "samples" / f"fold={manifest.test_fold}")
    found = unrelated_people(str(tmp_path / "dataset"), manifest)
    assert found.sample_M.tolist() == unrelated_people(root, manifest).sample_M.tolist()
    assert read_channel(str(tmp_path / "dataset"), manifest, 1, found.sample_M).nnz > 0


def test_read_channel__features_of_each_person_and_no_other_channel(root: str):
    manifest = read_manifest(root)
    people = unrelated_people(root, manifest)
    for channel in range(len(manifest.channels)):
        dense = np.zeros((len(people.sample_M), manifest.n_features))
        for place, row in enumerate(rows(root, manifest).loc[people.sample_M].itertuples()):
            dense[place, row.indices] = row.values
        wanted = dense[:, channel * manifest.n_genes : (channel + 1) * manifest.n_genes]
        assert read_channel(root, manifest, channel, people.sample_M).toarray().tolist() == wanted.tolist()


def test_unrelated_people__nobody_of_known_status(root: str, tmp_path: Path):
    shutil.copytree(root, tmp_path / "dataset")
    manifest = read_manifest(root)
    for fold in manifest.folds:
        for file in fold.files:
            path = tmp_path / "dataset" / file.path
            table = pq.ParquetFile(path).read()
            unknown = pa.nulls(table.num_rows, pa.int8())
            pq.write_table(
                table.set_column(table.schema.get_field_index("is_case"), "is_case", unknown), path
            )
    found = unrelated_people(str(tmp_path / "dataset"), manifest)
    assert (len(found.sample_M), found.covariates_MP.shape) == (0, (0, 1))
    assert "0 cases" in associate(str(tmp_path / "dataset"), manifest, AssociationConfig()).untested
