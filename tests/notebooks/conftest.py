"""A finished demo in small, without Hail, and the figures of a small `make paper`."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from contract.config import build_config
from contract.dataset import read_genes, read_samples
from contract.example import write_example
from contract.manifest import LedgerEntry, read_manifest, write_manifest
from deploy.evidence.cells import CellStore
from deploy.evidence.published import Training
from deploy.evidence.replicates import make_replicate
from deploy.evidence.settings import CohortSettings
from deploy.paper import cohort_settings, figures
from etl.simulate.truth import CausalGeneTruth, PersonTruth
from train.config import TrainConfig
from train.distributed import Comm
from train.evaluate import evaluate
from train.fit import fit

CAUSAL = (3, 17)
LEDGER = [
    LedgerEntry(step="ingest", unit="genotypes", reason="depth", count=7),
    LedgerEntry(step="variant_qc", unit="variants", reason="call_rate", count=2),
]


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the layout of build/demo: 400 people, 30 genes, two of them causal."""
    demo = tmp_path_factory.mktemp("demo")
    dataset = str(demo / "dataset")
    write_example(dataset, n_samples=400, n_genes=30, causal=CAUSAL, effect=3.0, density=0.1, seed=5)
    counts = {"people_in": 410, "people_out": 400}
    manifest = read_manifest(dataset).model_copy(update={"ledger": LEDGER, "counts": counts})
    write_manifest(manifest, dataset)
    _write_truth(demo, dataset)
    settings = {
        "data": {"dataset": dataset, "reader": "arrow"},
        "stopping": {"max_epochs": 5},
        "evaluation": {"bootstrap_draws": 50},
        "run": {"out": str(demo / "run"), "device": "cpu"},
    }
    fit(build_config(TrainConfig, settings, "test"), Comm(), Console(quiet=True))
    evaluate(demo / "run")
    return demo


@pytest.fixture(scope="session")
def small_paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of paper.json: one cohort of 240 people, 80 genes."""
    folder = tmp_path_factory.mktemp("paper")
    genes = {"n_constrained": 40, "constrained_alleles": [3.0], "other_alleles": [6.0]}
    architecture = {**genes, "effect_of_channels": [1.0]}
    smaller = {"n_people": 180, "n_judges": 60, "n_genes": 80, "n_causal": 20, "architecture": architecture}
    settings = CohortSettings.model_validate({**cohort_settings(1).model_dump(), **smaller})
    store, training = CellStore(folder / "cells"), Training(max_epochs=2)
    make_replicate(store, settings, training, folder)
    (folder / "paper.json").write_text(json.dumps(figures(store, [settings], training)))
    return folder


def _write_truth(demo: Path, dataset: str) -> None:
    manifest, genes = read_manifest(dataset), read_genes(dataset)
    people = read_samples(dataset, manifest, range(10), ["sample_id", "is_case", "sex", "batch", "values"])
    truth = {
        "people": [_person(row) for row in people.itertuples(index=False)],
        "causal_genes": [_gene(genes.iloc[position]) for position in CAUSAL],
    }
    (demo / "cohort").mkdir()
    (demo / "cohort/truth.json").write_text(json.dumps(truth))


def _person(row) -> dict[str, object]:
    burden = float(row.values.sum())
    return PersonTruth(
        sample_id=row.sample_id,
        status="case" if row.is_case else "control",
        sex=row.sex,
        reported_sex=row.sex,
        kit="kit",
        batch=row.batch,
        contamination=0,
        contaminated_by=None,
        low_quality=False,
        ancestry="european",
        ancestry_outlier=False,
        populations={"european": 1.0},
        genetic_liability=burden,
        predictable_liability=burden,
        liability=burden,
    ).model_dump()


def _gene(row) -> dict[str, object]:
    return CausalGeneTruth(
        gene_id=row.gene_id,
        symbol=row.symbol,
        contig=row.contig,
        start=row.start,
        end=row.end,
        plof_effect=3.0,
        damaging_missense_effect=0.0,
        other_missense_effect=0.0,
        constraint=1.0,
    ).model_dump()
