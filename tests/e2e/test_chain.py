"""The whole job on a small simulated cohort, through the real command lines and two Horovod ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from contract.config import load_config
from contract.dataset import read_samples, read_stats, verify
from contract.manifest import Manifest, read_manifest
from deploy.run_demo import read_findings
from etl.config import EtlConfig
from etl.simulate import Truth, load_truth
from etl.simulate.recovery import recovered_defects

PROJECT = Path(__file__).resolve().parents[2]
HOROVODRUN = str(Path(sys.executable).with_name("horovodrun"))
TIME_LIMIT = 500  # seconds for one command


@dataclass(frozen=True)
class Chain:
    """What the commands left behind."""

    config: EtlConfig
    truth: Truth
    manifest: Manifest
    run: Path
    plan: str


def command(*words: str) -> str:
    """Run a command in the project's folder and return what it printed."""
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=TIME_LIMIT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Simulate, run the ETL, train on two ranks, evaluate: once for all tests of this file."""
    root = tmp_path_factory.mktemp("chain")
    cohort, out, run = root / "cohort", root / "etl", root / "run"
    settings = [f"data={cohort}", f"out={out}", "row_group_size=16", "spark.driver_memory=2g"]
    python = [sys.executable, "-m"]
    sizes = ["people=400", "genes.count=80", "seed=11"]
    command(*python, "etl", "simulate", "conf/simulate/tiny.yaml", f"out={cohort}", *sizes)
    command(*python, "etl", "run", "conf/etl/demo.yaml", *settings)
    plan = command(*python, "etl", "plan", "conf/etl/demo.yaml", *settings)
    training = [f"data.dataset={out / 'dataset'}", f"run.out={run}", "stopping.max_epochs=40"]
    command(HOROVODRUN, "-np", "2", *python, "train", "fit", "conf/train/demo.yaml", *training)
    command(*python, "train", "evaluate", str(run))
    return Chain(
        config=load_config(EtlConfig, PROJECT / "conf/etl/demo.yaml", settings),
        truth=load_truth(cohort / "truth.json"),
        manifest=read_manifest(str(out / "dataset")),
        run=run,
        plan=plan,
    )


def test_chain__planted_defects_are_found(chain: Chain):
    thresholds = chain.config.resolved_profile().relatedness
    defects = recovered_defects(
        chain.truth,
        read_findings(chain.config),
        min_kinship=thresholds.min_kinship_family,
        min_duplicate=thresholds.min_kinship_duplicate,
    ).set_index("kind")
    assert (defects["planted"] > 0).all()
    for kind in ("person: contaminated", "person: low quality", "pair: duplicate", "variant: failed filter"):
        assert defects.loc[kind, "found"] == defects.loc[kind, "planted"], kind
    assert defects["found"].sum() >= 0.85 * defects["planted"].sum()


def test_chain__dataset_is_whole_and_families_stay_together(chain: Chain):
    verify(chain.config.dataset, chain.manifest)
    # Two ancestries: one component is above noise.
    assert chain.manifest.cohort_covariates == ["pc1"]
    assert chain.manifest.covariates == ["is_female", *chain.manifest.cohort_covariates]
    people = read_samples(chain.config.dataset, chain.manifest, range(10)).merge(
        fold_of(chain), on="sample_id"
    )
    assert sorted(people["sample_index"]) == list(range(chain.manifest.n_samples))
    assert (people.groupby("family")["fold"].nunique() == 1).all()
    related = {
        pair.sample_a: pair.sample_b
        for pair in chain.truth.related_pairs
        if pair.kind in ("siblings", "parent_child")
    }
    fold = people.set_index("sample_id")["fold"]
    both = [(a, b) for a, b in related.items() if a in fold and b in fold]
    assert both
    assert all(fold[a] == fold[b] for a, b in both)


def test_chain__stats_are_the_sums_of_the_rows(chain: Chain):
    people = read_samples(chain.config.dataset, chain.manifest, [3])
    stats = read_stats(chain.config.dataset)
    stats = stats[stats["fold"] == 3]
    rows = pd.DataFrame({"index": people["indices"].explode(), "value": people["values"].explode()}).dropna()
    sums = rows.astype(float).groupby("index")["value"].sum()
    found = stats.set_index(stats["channel"] * chain.manifest.n_genes + stats["gene"])["sum"]
    pd.testing.assert_series_equal(found.sort_index(), sums, check_names=False, check_index_type=False)


def test_chain__causal_burden_is_higher_in_cases(chain: Chain):
    genes = pd.read_parquet(f"{chain.config.dataset}/genes.parquet").set_index("gene_id")["position"]
    causal = {int(genes[gene.gene_id]) for gene in chain.truth.causal_genes if gene.gene_id in genes}
    damaging = causal | {position + chain.manifest.n_genes for position in causal}
    people = read_samples(chain.config.dataset, chain.manifest, range(10))
    burden = pd.Series(
        [
            sum(value for index, value in zip(indices, values, strict=True) if index in damaging)
            for indices, values in zip(people["indices"], people["values"], strict=True)
        ]
    )
    assert burden[people["is_case"] == 1].mean() > 1.2 * burden[people["is_case"] == 0].mean()


def test_chain__an_unchanged_run_has_nothing_to_do(chain: Chain):
    assert chain.plan.count("up to date") == 11
    assert "to do" not in chain.plan


def test_chain__reports_and_metrics_are_written(chain: Chain):
    metrics = json.loads((chain.run / "metrics.json").read_text())
    test_fold = chain.manifest.fold(chain.manifest.test_fold)
    assert metrics["n_test"] == test_fold.n_samples
    for model in ("cnn", "logistic"):
        interval = metrics[model]["auroc"]
        assert 0 <= interval["low"] <= interval["estimate"] <= interval["high"] <= 1
    ids = [person.sample_id for person in chain.truth.people]
    for report in (Path(chain.config.report), chain.run / "report.html"):
        text = report.read_text(encoding="utf-8")
        assert "<html" in text
        assert not any(name in text for name in ids[:50])


def fold_of(chain: Chain) -> pd.DataFrame:
    """Fold of every person, from the folders of the dataset."""
    parts = [
        read_samples(chain.config.dataset, chain.manifest, [fold.index], ["sample_id"]).assign(
            fold=fold.index
        )
        for fold in chain.manifest.folds
    ]
    return pd.concat(parts)
