from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from contract.dataset import read_genes, read_samples, read_stats
from contract.example import write_example
from contract.manifest import Manifest, read_manifest
from contract.schema import N_FOLDS

CAUSAL = (2, 9)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("example") / "dataset")
    write_example(root, n_samples=400, n_genes=20, causal=CAUSAL, effect=3.0, density=0.2, row_group_size=8)
    return root


def everybody(root: str, manifest: Manifest) -> pd.DataFrame:
    return read_samples(root, manifest, range(N_FOLDS))


def burden(samples: pd.DataFrame, features: tuple[int, ...]) -> np.ndarray:
    return np.array(
        [
            values[np.isin(indices, features)].sum()
            for indices, values in zip(samples["indices"], samples["values"], strict=True)
        ]
    )


def test_write_example__planted_signal_and_no_other(root: str):
    samples = everybody(root, read_manifest(root))
    assert roc_auc_score(samples["is_case"], burden(samples, CAUSAL)) > 0.7
    assert abs(roc_auc_score(samples["is_case"], burden(samples, (3, 4, 5))) - 0.5) < 0.1


def test_write_example__same_seed_same_bytes(root: str, tmp_path: Path):
    settings = {"n_samples": 60, "n_genes": 12}
    first, again = (write_example(str(tmp_path / name), **settings) for name in ("a", "b"))
    other = write_example(str(tmp_path / "c"), **settings, seed=1)
    assert first == again
    assert [fold.files for fold in first.folds] != [fold.files for fold in other.folds]


def test_write_example__keeps_the_contract(root: str):
    manifest = read_manifest(root)
    samples = everybody(root, manifest)
    assert sorted(samples["sample_index"]) == list(range(400))
    assert all((np.diff(indices) > 0).all() for indices in samples["indices"])
    fold_of = np.repeat(range(N_FOLDS), [fold.n_samples for fold in manifest.folds])
    assert samples.groupby("family")["sample_id"].count().eq(2).all()
    assert pd.Series(fold_of).groupby(samples["family"].to_numpy()).nunique().eq(1).all()
    for fold in manifest.folds:
        assert fold.n_cases == int(samples.loc[fold_of == fold.index, "is_case"].sum())


def test_write_example__genes_in_genome_order(root: str):
    genes = read_genes(root)
    contigs = genes["contig"].str.removeprefix("chr").astype(int)
    assert genes["position"].tolist() == list(range(20))
    assert contigs.is_monotonic_increasing
    assert all(group.is_monotonic_increasing for _, group in genes.groupby("contig")["start"])


def test_write_example__stats_are_the_sums_of_the_rows(root: str):
    samples = read_samples(root, read_manifest(root), [3])
    stats = read_stats(root).query("fold == 3")
    for row in stats.sample(10, random_state=0).itertuples():
        flat = int(row.channel * 20 + row.gene)
        values = burden(samples, (flat,))
        assert (row.n, row.sum, row.sum_squares) == (len(samples), values.sum(), (values**2).sum())


def test_write_example__too_few_people(tmp_path: Path):
    with pytest.raises(ValueError, match="n_samples"):
        write_example(str(tmp_path), n_samples=N_FOLDS - 1)
