import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.dataset import read_samples
from contract.errors import InputError
from contract.example import write_example
from contract.manifest import read_manifest
from contract.reference import write_reference
from tests.references import reference
from tests.train.runs import ConfigMaker, fit_quietly
from train.bundle import FACTS_NAME
from train.evaluate import PREDICTIONS_NAME
from train.predict import predict
from train.run_folder import BUNDLE_NAME


def test_predict__sealed_fold_of_the_dataset_trained_on_is_left_out(
    evaluated_run: Path, dataset: str, tmp_path: Path
):
    out = tmp_path / "scores" / "all.parquet"
    predict(evaluated_run / BUNDLE_NAME, dataset, out)
    scores = pd.read_parquet(out)
    assert list(scores.columns) == [
        *("sample_id", "score", "probability", "abstain", "abstain_reasons", "seen_in_training")
    ]
    assert scores["abstain"].isna().all(), "an example keeps no reference to judge by"
    assert len(scores) == scores["sample_id"].nunique() == 900
    tested = pd.read_parquet(evaluated_run / PREDICTIONS_NAME)
    assert not set(scores["sample_id"]) & set(tested["sample_id"])


def test_predict__people_trained_on_are_marked(make_config: ConfigMaker, dataset: str, tmp_path: Path):
    config = make_config(data={"held_out_folds": [4]}, stopping={"max_epochs": 1})
    scores = predict(fit_quietly(config) / BUNDLE_NAME, dataset, tmp_path / "all.parquet")
    left_out = read_samples(dataset, read_manifest(dataset), [4], ["sample_id"])["sample_id"]
    assert set(scores.loc[~scores["seen_in_training"], "sample_id"]) == set(left_out)


def test_predict__same_people_as_another_dataset_get_the_scores_of_the_evaluation(
    evaluated_run: Path, dataset: str, tmp_path: Path
):
    other = Path(shutil.copytree(dataset, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"seed": 77}))
    scores = predict(evaluated_run / BUNDLE_NAME, str(other), tmp_path / "all.parquet")
    assert len(scores) == scores["sample_id"].nunique() == 1000
    tested = pd.read_parquet(evaluated_run / PREDICTIONS_NAME)
    found = scores.set_index("sample_id").loc[tested["sample_id"], "probability"]
    np.testing.assert_allclose(found, tested["cnn"], rtol=1e-5)


def test_predict__new_cohort_of_the_same_genes(evaluated_run: Path, tmp_path: Path):
    write_example(str(tmp_path / "new"), n_samples=30, n_genes=60, density=0.1, seed=8)
    scores = predict(evaluated_run / BUNDLE_NAME, str(tmp_path / "new"), tmp_path / "new.parquet")
    assert len(scores) == 30
    assert scores["probability"].between(0, 1).all()
    assert scores["score"].rank().equals(scores["probability"].rank())
    assert not scores["seen_in_training"].any()


def test_predict__cohort_of_other_genes(evaluated_run: Path, tmp_path: Path):
    write_example(str(tmp_path / "new"), n_samples=30, n_genes=61, seed=8)
    with pytest.raises(InputError, match="found 61 genes, wanted the bundle's 60"):
        predict(evaluated_run / BUNDLE_NAME, str(tmp_path / "new"), tmp_path / "new.parquet")
    assert not (tmp_path / "new.parquet").exists()


def test_predict__file_with_another_checksum(evaluated_run: Path, tmp_path: Path):
    write_example(str(tmp_path / "new"), n_samples=30, n_genes=60, density=0.1, seed=8)
    part = tmp_path / "new" / "samples" / "fold=0" / "part-00000.parquet"
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"fold=0/part-00000.parquet sha256: found"):
        predict(evaluated_run / BUNDLE_NAME, str(tmp_path / "new"), tmp_path / "new.parquet")


def test_predict__does_not_overwrite(evaluated_run: Path, dataset: str, tmp_path: Path):
    (tmp_path / "scores.parquet").write_text("precious")
    with pytest.raises(InputError, match="output: found a file, wanted a name that is free"):
        predict(evaluated_run / BUNDLE_NAME, dataset, tmp_path / "scores.parquet")


def test_predict__covariates_that_hold_in_one_cohort_alone(evaluated_run: Path, dataset: str, tmp_path: Path):
    bundle = shutil.copytree(evaluated_run / BUNDLE_NAME, tmp_path / "bundle")
    facts = json.loads((bundle / FACTS_NAME).read_text())
    (bundle / FACTS_NAME).write_text(json.dumps({**facts, "cohort_covariates": ["is_female"]}))
    write_example(str(tmp_path / "new"), n_samples=30, n_genes=60, seed=8)
    with pytest.raises(InputError, match="found another cohort, with its own is_female, wanted the dataset"):
        predict(bundle, str(tmp_path / "new"), tmp_path / "new.parquet")
    assert len(predict(bundle, dataset, tmp_path / "same.parquet")) == 900


def test_predict__a_cohort_that_was_made_like_the_one_trained_on(evaluated_run: Path, tmp_path: Path):
    bundle = shutil.copytree(evaluated_run / BUNDLE_NAME, tmp_path / "bundle")
    digest = write_reference(str(bundle / "reference"), reference(bundle / "reference", components=[]))
    facts = json.loads((bundle / FACTS_NAME).read_text())
    own = {"cohort_covariates": ["is_female"], "reference_digest": digest}
    (bundle / FACTS_NAME).write_text(json.dumps(facts | own))
    new = tmp_path / "new"
    write_example(str(new), n_samples=30, n_genes=60, density=0.1, seed=8)
    manifest = json.loads((new / "manifest.json").read_text())
    for like, refused in ((digest, False), ("0123456789abcdef", True)):
        (new / "manifest.json").write_text(json.dumps(manifest | {"like": like}))
        with pytest.raises(InputError, match="another cohort") if refused else nullcontext():
            scores = predict(bundle, str(new), tmp_path / f"{like}.parquet")
    assert len(scores) == 30
    assert not scores["abstain"].isna().any()
