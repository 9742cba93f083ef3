import json
from pathlib import Path

import pandas as pd
import pytest

from contract.dataset import read_samples
from contract.manifest import read_manifest
from train.people_counts import count_people, keep_people_counts, suppress


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ({"a": 20, "b": 5, "c": 0}, {"a": 20, "b": 5, "c": 0}),
        ({"a": 20, "b": 9, "c": 3}, {"a": 20, "b": None, "c": None}),
        ({"a": 20, "b": 2, "c": 3}, {"a": 20, "b": None, "c": None}),
        ({"a": 4}, {"a": None}),
        ({}, {}),
    ],
)
def test_suppress__small_cells_and_what_gives_them_away(counts, shown):
    assert suppress(counts) == shown


def test_count_people__counts_the_folds_and_nobody_of_the_sealed(dataset: str):
    manifest = read_manifest(dataset)
    training, validation = [1, 2, 3, 4, 5, 6, 7, 8], [0]
    found = count_people(dataset, manifest, training, validation)
    people = read_samples(dataset, manifest, [*training, *validation], ["is_case", "batch", "sex"])
    assert (found["training"], found["validation"]) == (800, 100)
    assert (found["cases"], found["controls"], found["unknown"]) == (
        int((people["is_case"] == 1).sum()),
        int((people["is_case"] == 0).sum()),
        0,
    )
    table = pd.crosstab(people["batch"], people["is_case"])
    assert found["groups"]["batch"] == {
        batch: {"cases": int(table.loc[batch, 1]), "controls": int(table.loc[batch, 0])}
        for batch in ("batch1", "batch2")
    }


def test_keep_people_counts__kept_when_the_dataset_is_gone(dataset: str, evaluated_run: Path, tmp_path: Path):
    facts = json.loads((evaluated_run / "bundle/bundle.json").read_text())
    counts = keep_people_counts(tmp_path, dataset, facts)
    assert counts is not None
    assert counts["training"] == 800
    assert keep_people_counts(tmp_path, str(tmp_path / "gone"), facts) == counts
    assert [path.name for path in tmp_path.iterdir()] == ["people.json"]


def test_keep_people_counts__none_of_another_dataset(dataset: str, evaluated_run: Path, tmp_path: Path):
    facts = json.loads((evaluated_run / "bundle/bundle.json").read_text())
    keep_people_counts(tmp_path, dataset, facts)
    other = facts | {"manifest_digest": "another"}
    assert keep_people_counts(tmp_path, dataset, other) is None
    assert keep_people_counts(tmp_path / "new", str(tmp_path / "gone"), facts) is None
