import shutil
from pathlib import Path

import numpy as np
import pytest

from contract.errors import InputError
from contract.manifest import read_manifest
from train.people import UNKNOWN, People, permute_labels, read_people, require_both_classes


def people_of(labels: list[int]) -> People:
    n = len(labels)
    return People(
        np.arange(n),
        np.arange(n, dtype=np.int32),
        np.zeros(n, np.int32),
        np.array(labels, np.int8),
        np.arange(n, dtype=np.int32),
        np.empty((n, 0), np.float32),
    )


def test_read_people__found_by_sample_index(dataset: str):
    people = read_people(dataset, read_manifest(dataset), [2, 5], covariates=True)
    assert len(people.sample_M) == 200
    assert people.covariates_MP.shape == (200, 1)
    np.testing.assert_array_equal(
        people.sample_M[people.rows(people.sample_M[[7, 150]])], people.sample_M[[7, 150]]
    )
    assert (people.position >= 0).sum() == 200
    assert set(people.fold_M) == {2, 5}


def test_read_people__other_folds_are_not_opened(dataset: str, tmp_path: Path):
    copy = tmp_path / "dataset"
    copy.mkdir()
    for path in Path(dataset).iterdir():
        (copy / path.name).symlink_to(path)
    (copy / "samples").unlink()
    (copy / "samples").mkdir()
    (copy / "samples" / "fold=2").symlink_to(Path(dataset) / "samples" / "fold=2")
    assert len(read_people(str(copy), read_manifest(str(copy)), [2], covariates=False).sample_M) == 100


def test_rows__people_of_other_folds_or_none(dataset: str):
    people = read_people(dataset, read_manifest(dataset), [2, 5], covariates=False)
    strangers = read_people(dataset, read_manifest(dataset), [9], covariates=False).sample_M[:3]
    asked = np.concatenate([people.sample_M[:4], strangers, [-1, 1000]])
    with pytest.raises(InputError, match="sample_index: found 5 people of other folds, or of none, wanted"):
        people.rows(asked)


def test_read_people__a_file_that_lies_in_two_folds(dataset: str, tmp_path: Path):
    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    of_fold = "samples/fold={}/part-00000.parquet"
    shutil.copyfile(copy / of_fold.format(2), copy / of_fold.format(5))
    with pytest.raises(InputError, match=r"sample_index: found 100 that are there twice, wanted each of 0"):
        read_people(str(copy), read_manifest(str(copy)), [2, 5], covariates=False)


def test_permute_labels__known_labels_move_and_unknown_stay():
    people = people_of([1, 0] * 50 + [UNKNOWN] * 5)
    permuted = permute_labels(people, 3)
    assert (permuted.is_case_M[100:] == UNKNOWN).all()
    assert permuted.is_case_M[:100].sum() == 50
    assert not np.array_equal(permuted.is_case_M, people.is_case_M)
    np.testing.assert_array_equal(permuted.is_case_M, permute_labels(people, 3).is_case_M)


def test_require_both_classes__only_controls():
    with pytest.raises(
        InputError, match=r"is_case: found 0 cases and 3 controls in the test fold .*wanted both"
    ):
        require_both_classes(people_of([0, 0, 0, UNKNOWN]), [0], "the test fold")
