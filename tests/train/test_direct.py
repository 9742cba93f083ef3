"""Properties of genes as priors, from the dataset to the bundle, and their control."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from contract.dataset import read_genes, write_genes
from contract.example import write_example
from contract.manifest import read_manifest
from tests.train.runs import config_maker, fit_quietly
from train.bundle import Bundle, check_dataset, load_bundle, save_bundle
from train.config import GeneCNNConfig
from train.design import read_design
from train.direct import (
    EFFECTS_FACTS_NAME,
    OUT_OF_FOLD_NAME,
    fit_effects_of_run,
    gene_properties,
    gene_sets_of_run,
    load_path,
    out_of_fold_table,
    save_path,
)
from train.distributed import Comm
from train.effects.crossfit import DirectPath
from train.engine import Trainer, score
from train.fit import _bundle as make_bundle
from train.fit import build_trainer, open_reader, scoring_batches
from train.order import list_row_groups
from train.prepare import Prepared, prepare
from train.run_folder import BUNDLE_NAME

NETWORK_PAGE = Path(__file__).resolve().parents[2] / "docs" / "network.md"
N_GENES, N_LOW, N_CAUSAL = 200, 30, 20


@pytest.fixture(scope="module")
def constrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray]:
    """1,000 people; 20 of the 30 genes of lowest LOEUF are causal, and the root and these genes are told."""
    root = str(tmp_path_factory.mktemp("constrained") / "dataset")
    rng = np.random.default_rng(0)
    rank_G = rng.permutation(N_GENES)
    causal_G = np.isin(
        np.arange(N_GENES), rng.choice(np.flatnonzero(rank_G < N_LOW), N_CAUSAL, replace=False)
    )
    causal = tuple(np.flatnonzero(causal_G).tolist())
    write_example(root, n_samples=1000, n_genes=N_GENES, causal=causal, effect=0.5, density=0.1)
    loeuf_G = np.where(rank_G == N_GENES - 1, np.nan, 2 * rank_G / N_GENES)
    write_genes(root, read_genes(root).assign(loeuf=loeuf_G))
    return root, causal_G


def run_of(root: str, folder: Path, **effects: object) -> Path:
    model = {"convolution": False, "effects": {"neighbours": 0, "polygenic": False, **effects}}
    return fit_quietly(config_maker(root, folder)(model=model))


def bundle_of(root: str, folder: Path, **effects: object) -> Bundle:
    return load_bundle(run_of(root, folder, **effects) / BUNDLE_NAME)


def test_fit__properties_find_causal_genes_and_shuffled_ones_do_not(constrained, tmp_path):
    root, causal_G = constrained
    without = bundle_of(root, tmp_path / "without", properties=False).genes["inclusion"][causal_G].mean()
    bundle = bundle_of(root, tmp_path / "with")
    shuffled = bundle_of(root, tmp_path / "shuffled", shuffle_properties=True).genes["inclusion"]
    assert bundle.genes["inclusion"][causal_G].mean() > without + 0.2
    assert shuffled[causal_G].mean() == pytest.approx(without, abs=0.1)
    assert bundle.genes["inclusion"][~causal_G].mean() < 0.1


def test_fit__a_bundle_keeps_the_properties_and_takes_datasets_with_others(constrained, tmp_path):
    root, _ = constrained
    genes, manifest = read_genes(root), read_manifest(root)
    bundle = bundle_of(root, tmp_path)
    pd.testing.assert_series_equal(bundle.genes["loeuf"], genes["loeuf"])
    sparse = {"sparse", "slabs"}
    assert set(bundle.facts.effects["priors"]) == {*sparse, *(f"{name}_with_properties" for name in sparse)}
    # The effects are fixed: what a new cohort's table says of the genes no longer matters.
    for others in (genes.assign(loeuf=0.0), genes.assign(s_het=0.1), genes.drop(columns="loeuf")):
        check_dataset(bundle, manifest, others, root)


def test_fit__the_network_page_explains_all_that_it_leaves(constrained, tmp_path):
    sets = gene_set_file(constrained[0], tmp_path, {"one": (3, 90, 150), "two": (7, 20)})
    run = run_of(constrained[0], tmp_path, neighbours=3, polygenic=True, gene_sets=sets)
    facts = json.loads((run / EFFECTS_FACTS_NAME).read_text())
    assert "polygenic" in facts["priors"]
    names = [*facts, *facts["priors"]["sparse"], *pd.read_parquet(run / OUT_OF_FOLD_NAME).columns]
    text = NETWORK_PAGE.read_text()
    assert [name for name in names if f"`{name}`" not in text] == []


def test_gene_properties__shuffled_by_the_seed_rows_kept_together():
    genes = pd.DataFrame({"gene_id": list("abcdefgh"), "loeuf": [*range(7), np.nan]})
    genes["s_het"] = genes["loeuf"] * 10
    config = GeneCNNConfig.model_validate({"effects": {"shuffle_properties": True}})
    first, again, other = (gene_properties(genes, config, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first["loeuf"].tolist() != other["loeuf"].tolist()
    assert first["loeuf"].tolist() != genes["loeuf"].tolist()
    assert sorted(first["loeuf"].dropna()) == list(range(7))
    assert (first["s_het"].dropna() == 10 * first["loeuf"].dropna()).all()


def test_gene_properties__none_without_columns_or_where_switched_off():
    genes = pd.DataFrame({"gene_id": ["a", "b"], "position": [0, 1]})
    assert gene_properties(genes, GeneCNNConfig(), 1) is None
    off = GeneCNNConfig.model_validate({"effects": {"properties": False}})
    assert gene_properties(genes.assign(loeuf=[0.1, 0.2]), off, 1) is None


def gene_set_file(root: str, folder: Path, sets: dict[str, tuple[int, ...]]) -> str:
    gene_id = read_genes(root)["gene_id"]
    rows = [(name, gene_id[gene]) for name, genes in sets.items() for gene in genes]
    path = folder / "sets.tsv"
    pd.DataFrame(rows, columns=["gene_set", "gene_id"]).to_csv(path, sep="\t", index=False)
    return str(path)


def prepared_pathway(folder: Path, genes: tuple[int, int], **effects: object) -> Prepared:
    """3,000 people; two genes act, and more so together."""
    root = str(folder / "dataset")
    write_example(root, n_samples=3000, n_genes=44, channels=("a",), density=0.3)
    if "gene_sets" in effects:
        effects["gene_sets"] = gene_set_file(root, folder, effects["gene_sets"])
    model = {"convolution": False, "effects": {"polygenic": False, **effects}}
    prepared = prepare(config_maker(root, folder)(model=model), 1)
    folds = (*prepared.training_folds, *prepared.validation_folds)
    design = read_design(prepared.config.data, prepared.manifest, folds)
    one_M, two_M = design.x_MF[:, list(genes)].toarray().T
    liability_M = one_M + two_M + 3 * one_M * two_M + np.random.default_rng(0).normal(0, 1, len(design))
    is_case_M = np.empty(len(design), np.int8)
    is_case_M[prepared.people.rows(design.sample_M)] = liability_M > np.median(liability_M)
    return replace(prepared, people=replace(prepared.people, is_case_M=is_case_M))


def gene_logits(prepared: Prepared, path: DirectPath) -> tuple[Trainer, np.ndarray]:
    """The network made of a path, and what its genes alone say of everybody outside the sealed fold."""
    reader = open_reader(prepared.config.data.dataset, prepared.manifest, prepared.config.data)
    trainer = build_trainer(prepared, Comm(), path)
    trainer.model.intercept.data.zero_()
    trainer.model.covariate_P.data.zero_()
    folds = (*prepared.training_folds, *prepared.validation_folds)
    rows = scoring_batches(prepared, reader, list_row_groups(prepared.manifest, folds), Comm())
    return trainer, score(trainer, rows).logit_M


@pytest.mark.parametrize(
    ("genes", "effects"),
    [
        ((20, 21), {"neighbours": 1}),
        ((5, 40), {"neighbours": 0, "gene_sets": {"acts": (5, 17, 40), "idle": (3, 5, 30), "one": (1,)}}),
    ],
)
def test_install__the_network_says_what_was_judged(tmp_path, genes, effects):
    prepared = prepared_pathway(tmp_path, genes, **effects)
    reader = open_reader(prepared.config.data.dataset, prepared.manifest, prepared.config.data)
    path = fit_effects_of_run(prepared, reader, 1, gene_sets_of_run(prepared))
    if "gene_sets" in effects:
        found = path.facts["gene_sets"]
        assert (found["read"], found["used"], found["genes_matched"], found["by"]) == (3, 2, 6, "gene_id")
        assert max(found["chosen"], key=lambda each: each["weight"])["name"] == "acts"
    else:
        assert path.gate > 0
    _, logit_M = gene_logits(prepared, path)
    wanted_M = out_of_fold_table(prepared, path)["gene_logit"].to_numpy()
    # The network takes means over training people, the fits over validation people too.
    assert logit_M == pytest.approx(wanted_M, abs=0.03 * wanted_M.std())


def test_load_path__gene_sets_come_back_and_the_bundle_needs_no_file(tmp_path):
    prepared = prepared_pathway(tmp_path, (5, 40), neighbours=0, gene_sets={"acts": (5, 17, 40)})
    reader = open_reader(prepared.config.data.dataset, prepared.manifest, prepared.config.data)
    path = fit_effects_of_run(prepared, reader, 1, gene_sets_of_run(prepared))
    Path(prepared.config.model.effects.gene_sets).unlink()
    save_path(tmp_path, path)
    trainer, logit_M = gene_logits(prepared, load_path(tmp_path))
    assert (gene_logits(prepared, path)[1] == logit_M).all()
    bundle = make_bundle(prepared, trainer, path)
    facts = bundle.facts.model_copy(update={"validation_loss": 0.6})  # of an epoch, and there was none
    save_bundle(tmp_path / "bundle", replace(bundle, facts=facts))
    model = load_bundle(tmp_path / "bundle").model()
    assert model.direct.sets.gene_U.tolist() == [5, 17, 40]
    x_BCG = torch.rand(4, 1, 44)
    torch.testing.assert_close(model.gene_logit(x_BCG), trainer.model.eval().gene_logit(x_BCG))
    assert not torch.allclose(model.gene_logit(x_BCG), model.gene_logit(x_BCG.roll(1, 2)))
