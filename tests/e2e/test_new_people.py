"""A held-out half of a cohort: sealed in the cohort, or new people of a bundle that never saw them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from contract.manifest import read_manifest
from tests.e2e.test_chain import command

PYTHON = [sys.executable, "-m"]
SIZES = ["people=800", "genes.count=80", "seed=5", "phenotype.heritability=0.6", "phenotype.causal_genes=8"]
NO_RELATIVES = [
    f"relatives.{kind}=0" for kind in ("duplicates", "parent_child", "siblings", "half_siblings", "avuncular")
]
NEW = 400


def dataset_and_run(root: Path, cohort: Path) -> Path:
    """The ETL with folds of the samples table, and a fit; returns the run's folder."""
    settings = [f"data={cohort}", f"out={root}", "row_group_size=16", "spark.driver_memory=2g"]
    own = ["samples.fold=fold", "kinship=skip", "samples.family=null"]
    command(*PYTHON, "etl", "run", "conf/etl/demo.yaml", *settings, *own)
    training = [f"data.dataset={root / 'dataset'}", f"run.out={root / 'run'}", "stopping.max_epochs=30"]
    command(*PYTHON, "train", "fit", "conf/train/demo.yaml", *training)
    return root / "run"


@pytest.mark.slow
def test_new_people__are_scored_as_well_as_sealed_ones(tmp_path: Path):
    # The same draws: people are only written apart, or not.
    for name, apart in (("whole", 0), ("halves", NEW)):
        simulated = [f"out={tmp_path / name}", f"new_people={apart}", *SIZES, *NO_RELATIVES]
        command(*PYTHON, "etl", "simulate", "conf/simulate/tiny.yaml", *simulated)
    first = pd.read_csv(tmp_path / "halves/samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    fold = pd.Series(np.random.default_rng(1).integers(1, 10, len(first)), index=first["sample_id"])
    for name in ("whole", "halves"):
        path = tmp_path / name / "samples.tsv"
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        # Fold 0 is the sealed one: nobody is in it where the new people are not of the cohort.
        table["fold"] = table["sample_id"].map(fold).fillna(0).astype(int)
        table.to_csv(path, sep="\t", index=False)
    sealed_run = dataset_and_run(tmp_path / "sealed", tmp_path / "whole")
    command(*PYTHON, "train", "evaluate", str(sealed_run))
    sealed = json.loads((sealed_run / "metrics.json").read_text())["cnn"]["auroc"]["estimate"]

    bundle = dataset_and_run(tmp_path / "first", tmp_path / "halves") / "bundle"
    new = [f"data={tmp_path / 'halves'}", f"out={tmp_path / 'new'}", f"like={bundle}"]
    command(*PYTHON, "etl", "run", "conf/etl/new_people.yaml", *new)
    scores = tmp_path / "scores.parquet"
    command(*PYTHON, "train", "predict", str(bundle), str(tmp_path / "new/dataset"), str(scores))
    found = pd.read_parquet(scores)
    truth = pd.read_csv(tmp_path / "whole/samples.tsv", sep="\t").set_index("sample_id")
    is_case = truth.loc[found["sample_id"], "status"] == "case"
    auroc = roc_auc_score(is_case, found["probability"])

    assert read_manifest(str(tmp_path / "new/dataset")).like is not None
    assert len(found) > 0.9 * NEW
    assert found["abstain"].mean() < 0.1
    assert sealed > 0.6
    assert abs(auroc - sealed) < 0.02, (auroc, sealed)
