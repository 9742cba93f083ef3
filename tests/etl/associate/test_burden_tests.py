from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import kstest

from contract.association.score import fit_null
from contract.dataset import read_samples
from contract.example import write_example
from contract.manifest import read_manifest
from etl.associate.burden_tests import ASSOCIATION_SCHEMA, associate, channel_tests
from etl.associate.config import AssociationConfig
from etl.associate.inflation import channel_inflation
from etl.associate.people import open_folds, read_channel, unrelated_people

CAUSAL = 7


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """4,000 people in pairs; pLoF variants of one gene in 400 raise the odds."""
    folder = str(tmp_path_factory.mktemp("association") / "dataset")
    settings = {"n_samples": 4_000, "n_genes": 400, "density": 0.03, "causal": (CAUSAL,), "effect": 1.6}
    write_example(folder, **settings, channels=("plof", "synonymous"), seed=3)
    return folder


@pytest.fixture(scope="module")
def table(root: str) -> pd.DataFrame:
    return associate(root, read_manifest(root), AssociationConfig()).table


def test_associate__finds_the_planted_gene_alone(table: pd.DataFrame):
    assert table.columns.tolist() == ASSOCIATION_SCHEMA.names
    found = table[table["p"] < 0.05 / len(table)]
    assert found[["channel", "symbol"]].to_numpy().tolist() == [["plof", f"GENE{CAUSAL}"]]
    row = found.iloc[0]
    assert abs(row["effect"] - 1.6) < 3 * row["standard_error"]
    assert (row["test"], row["score_p"] < 1e-4) == ("firth", True)


def test_associate__without_effect_nothing_is_inflated(table: pd.DataFrame):
    for found in channel_inflation(table, 5):
        assert found.low < 1 < found.high
    # With about 60 carriers a p-value has enough values to look continuous.
    assert kstest(table.loc[table["channel"] == "synonymous", "p"], "uniform").pvalue > 0.01


def test_associate__counts_carriers_of_each_status(root: str, table: pd.DataFrame):
    manifest = read_manifest(root)
    kept = unrelated_people(root, manifest)
    people = read_samples(root, manifest, open_folds(manifest)).set_index("sample_index").loc[kept.sample_M]
    for feature in (CAUSAL, manifest.n_genes + 31):
        value = people.apply(lambda row, at=feature: row["values"][row["indices"] == at].sum(), axis=1)
        channel = manifest.channels[feature // manifest.n_genes].name
        wanted = table[(table["channel"] == channel) & (table["symbol"] == f"GENE{feature % 400}")].iloc[0]
        carries = value > 0
        assert wanted["carriers_cases"] == (carries & (people["is_case"] == 1)).sum()
        assert wanted["carriers_controls"] == (carries & (people["is_case"] == 0)).sum()
        assert wanted["burden"] == value.sum()
        assert wanted["expected_carriers"] == pytest.approx(
            carries.sum() * min(people["is_case"].mean(), 1 - people["is_case"].mean())
        )


def test_channel_tests__permuted_status_gives_uniform_p_values(root: str):
    manifest = read_manifest(root)
    people = unrelated_people(root, manifest)
    x_MG = read_channel(root, manifest, 0, people.sample_M)
    p = []
    for seed in range(5):
        status = np.random.default_rng(seed).permutation(people.is_case_M)
        p += channel_tests(x_MG, status, fit_null(status, people.covariates_MP), AssociationConfig())[
            "p"
        ].tolist()
    assert len(p) == 5 * manifest.n_genes
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.01) == pytest.approx(0.01, abs=0.006)


def test_channel_tests__few_carriers_are_counted_and_not_tested():
    is_case_M = np.tile([1, 0], 50).astype(np.int8)
    x_MG = np.zeros((100, 4))
    x_MG[:4, 1], x_MG[:5, 2], x_MG[:40, 3] = 1, 1, 1
    null = fit_null(is_case_M, np.empty((100, 0)))
    found = channel_tests(csr_matrix(x_MG), is_case_M, null, AssociationConfig()).set_index("gene")
    assert found.index.tolist() == [1, 2, 3], "genes that nobody carries have no row"
    assert found["carriers_cases"].tolist() == [2, 3, 20]
    assert found.loc[1, ["effect", "standard_error", "p", "test", "score_p"]].isna().all()
    assert found["test"].tolist()[1:] == ["firth", "score"], "2.5 carriers are expected in cases, and 20"
    assert found.loc[3, "p"] == found.loc[3, "score_p"]


def test_associate__a_cohort_with_few_cases_is_not_tested(tmp_path: Path):
    root = str(tmp_path / "dataset")
    write_example(root, n_samples=24, n_genes=3)
    found = associate(root, read_manifest(root), AssociationConfig())
    assert found.table.empty
    assert found.table.columns.tolist() == ASSOCIATION_SCHEMA.names
    assert "wanted at least 10 of each" in found.untested
