import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyspark")

from contract.dataset import read_genes, read_samples, read_stats, verify
from contract.errors import InputError
from contract.manifest import Channel, read_manifest
from etl.export.config import DatasetFacts
from etl.export.parquet import place_samples, write_dataset

N_PEOPLE, N_GENES = 47, 6
GENES = pd.DataFrame(
    {
        "position": range(N_GENES),
        "gene_id": [f"g{place}" for place in range(N_GENES)],
        "symbol": None,
        "contig": "1",
        "start": range(1, N_GENES + 1),
        "end": range(1, N_GENES + 1),
    }
)


def make_samples():
    index = np.arange(N_PEOPLE)
    return pd.DataFrame(
        {
            "sample_id": [f"s{place}" for place in index],
            "sample_index": index,
            "is_case": pd.array(
                [None if place == 0 else int(place % 3 == 0) for place in index], dtype="Int8"
            ),
            "sex": [("female", "male", None)[place % 3] for place in index],
            "batch": "x",
            "ancestry": "group1",
            "family": index,
            "covariates": [[float(place % 2)] for place in index],
            "fold": index % 9,
        }
    )


def make_features():
    rng = np.random.default_rng(0)
    dense = rng.integers(0, 3, (N_PEOPLE, 2 * N_GENES)) * rng.integers(0, 2, (N_PEOPLE, 2 * N_GENES)) / 2
    dense[3] = 0
    return dense


@pytest.fixture
def facts(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return DatasetFacts(
        reference_genome="GRCh37",
        channels=[Channel(name="a", definition={}), Channel(name="b", definition={})],
        covariates=["is_female"],
        row_group_size=2,
        row_groups_per_file=2,
        test_fold=9,
        seed=5,
        scratch=str(scratch),
    )


@pytest.fixture
def spark(hail_session):
    import hail as hl

    return hl.utils.java.Env.spark_session()


@pytest.fixture
def features(spark, tmp_path):
    dense = make_features()
    owner, index = dense.nonzero()
    order = np.random.default_rng(1).permutation(len(owner))
    rows = [(int(owner[k]), int(index[k]), float(dense[owner[k], index[k]])) for k in order]
    frame = spark.createDataFrame(rows, "sample_index int, index int, value double")
    frame.write.parquet(str(tmp_path / "features"))
    return spark.read.parquet(str(tmp_path / "features"))


def test_write_dataset__holds_every_person_and_feature(features, facts, tmp_path):
    root = str(tmp_path / "dataset")
    write_dataset(root, make_samples(), features, GENES, facts=facts)
    manifest = read_manifest(root)
    verify(root, manifest)
    rows = read_samples(root, manifest, range(10)).set_index("sample_index").sort_index()
    found = np.zeros((N_PEOPLE, 2 * N_GENES))
    for person, row in rows.iterrows():
        found[person, row["indices"]] = row["values"]
        assert (np.diff(row["indices"]) > 0).all()
    np.testing.assert_array_equal(found, make_features())
    assert rows["sample_id"].tolist() == make_samples()["sample_id"].tolist()
    assert rows["is_case"].isna().tolist() == [True] + [False] * (N_PEOPLE - 1)
    assert read_genes(root)["gene_id"].tolist() == GENES["gene_id"].tolist()


def test_write_dataset__folds_files_and_row_groups(features, facts, tmp_path):
    manifest = write_dataset(str(tmp_path / "dataset"), make_samples(), features, GENES, facts=facts)
    assert [fold.n_samples for fold in manifest.folds] == [6, 6, 5, 5, 5, 5, 5, 5, 5, 0]
    assert [(file.rows, file.row_groups) for file in manifest.fold(0).files] == [(4, 2), (2, 1)]
    assert [(file.rows, file.row_groups) for file in manifest.fold(8).files] == [(4, 2), (1, 1)]
    assert (manifest.fold(0).n_cases, manifest.fold(0).n_controls) == (5, 0)
    assert manifest.fold(9).files == []


def test_write_dataset__stats_are_the_sums_of_the_rows(features, facts, tmp_path):
    root = str(tmp_path / "dataset")
    write_dataset(root, make_samples(), features, GENES, facts=facts)
    dense, fold = make_features(), make_samples()["fold"].to_numpy()
    stats = read_stats(root)
    for row in stats.itertuples():
        values = dense[fold == row.fold, row.channel * N_GENES + row.gene]
        assert (row.n, row.sum, row.sum_squares) == (len(values), values.sum(), (values**2).sum())
    assert stats["sum"].sum() == dense.sum()


def test_write_dataset__same_seed_same_bytes_and_another_seed_another_order(features, facts, tmp_path):
    first, again = (
        write_dataset(str(tmp_path / name), make_samples(), features, GENES, facts=facts) for name in "ab"
    )
    assert first == again
    other = write_dataset(
        str(tmp_path / "c"), make_samples(), features, GENES, facts=facts.model_copy(update={"seed": 6})
    )
    assert other.fold(0).files[0].sha256 != first.fold(0).files[0].sha256


def test_write_dataset__replaces_what_stood_there(features, facts, tmp_path):
    root = tmp_path / "dataset"
    for _ in range(2):
        write_dataset(str(root), make_samples(), features, GENES, facts=facts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "features", "scratch"]
    assert len(list((root / "samples/fold=0").iterdir())) == 2


def test_place_samples__random_within_the_fold_and_complete(facts):
    placed = place_samples(make_samples(), facts)
    for _, members in placed.groupby("fold"):
        assert sorted(members["place"]) == list(range(len(members)))
    assert (placed.loc[placed["fold"] == 0, "place"].diff().dropna() != 1).any()


def test_place_samples__nobody_left(facts):
    with pytest.raises(
        InputError, match=r"cohort: people after quality control: found none, wanted at least one"
    ):
        place_samples(make_samples().iloc[:0], facts)


def test_place_samples__gaps(facts):
    with pytest.raises(ValueError, match="without gaps"):
        place_samples(make_samples().iloc[1:], facts)
