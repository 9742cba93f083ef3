import importlib.util
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.dataset import (
    fold_stats,
    part_path,
    prepare_staging,
    publish,
    read_genes,
    read_samples,
    read_stats,
    staging_root,
    verify,
    write_genes,
    write_part,
    write_stats,
)
from contract.errors import InputError
from contract.example import write_example
from contract.manifest import Channel, Fold, Manifest, read_manifest

GENES = pd.DataFrame(
    {
        "position": [0, 1],
        "gene_id": ["ENSG1", "ENSG2"],
        "symbol": ["A", None],
        "contig": ["chr1", "chrX"],
        "start": [10, 20],
        "end": [15, 25],
    }
)


def people(first: int, n: int) -> pa.Table:
    return pa.table(
        {
            "sample_id": [f"S{first + i}" for i in range(n)],
            "sample_index": list(range(first, first + n)),
            "is_case": [None if i == 0 else i % 2 for i in range(n)],
            "sex": ["female"] * n,
            "batch": ["wave1"] * n,
            "ancestry": ["group1"] * n,
            "family": list(range(first, first + n)),
            "covariates": [[1.0]] * n,
            "indices": [[0, 3]] * n,
            "values": [[1.0, 2.0]] * n,
        }
    )


def staged(root: str, sizes: tuple[int, ...] = (5, 3)) -> Manifest:
    staging = prepare_staging(root)
    write_genes(staging, GENES)
    stats, folds, first = [], [], 0
    for index, n in enumerate(sizes):
        file = write_part(staging, part_path(index, 0), people(first, n), row_group_size=2)
        folds.append(Fold(index=index, n_samples=n, n_cases=0, n_controls=n, files=[file]))
        stats.append(fold_stats(index, np.tile([0, 3], n), np.tile([1.0, 2.0], n), n, n_genes=2))
        first += n
    write_stats(staging, pd.concat(stats, ignore_index=True))
    return Manifest(
        reference_genome="GRCh38",
        n_samples=sum(sizes),
        n_genes=2,
        channels=[Channel(name="plof", definition={}), Channel(name="missense", definition={})],
        covariates=["is_female"],
        row_group_size=2,
        test_fold=1,
        folds=folds,
        seed=1,
    )


@pytest.fixture
def root(tmp_path: Path) -> str:
    root = str(tmp_path / "dataset")
    publish(root, staged(root))
    return root


def test_write_part__row_groups_of_equal_size_and_the_rest_last(tmp_path: Path):
    file = write_part(str(tmp_path), part_path(3, 1), people(0, 5), row_group_size=2)
    assert (file.path, file.rows, file.row_groups) == ("samples/fold=3/part-00001.parquet", 5, 3)
    metadata = pq.read_metadata(tmp_path / file.path)
    assert [metadata.row_group(i).num_rows for i in range(3)] == [2, 2, 1]


def test_read_samples__what_was_written(root: str):
    manifest = read_manifest(root)
    found = read_samples(root, manifest, [1, 0])
    assert found["sample_id"].tolist() == ["S5", "S6", "S7", "S0", "S1", "S2", "S3", "S4"]
    assert found["is_case"].isna().tolist() == [True, False, False, True, False, False, False, False]
    assert found["indices"].iloc[0].tolist() == [0, 3]
    assert list(read_samples(root, manifest, [0], ["family", "sample_id"])) == ["family", "sample_id"]
    assert len(read_samples(root, manifest, [])) == 0


def test_dataset__readable_with_pandas_alone(root: str):
    table = pd.read_parquet(f"{root}/samples")
    assert sorted(table["sample_id"]) == [f"S{i}" for i in range(8)]
    assert table["fold"].astype(int).value_counts().to_dict() == {0: 5, 1: 3}


def test_read_genes__round_trip(root: str):
    found = read_genes(root)
    assert found["gene_id"].tolist() == ["ENSG1", "ENSG2"]
    assert found["symbol"].isna().tolist() == [False, True]


def test_read_stats__sums_by_fold_channel_and_gene(root: str):
    found = read_stats(root).set_index(["fold", "channel", "gene"])
    assert found.loc[(0, 0, 0)].tolist() == [5, 5.0, 5.0]
    assert found.loc[(0, 1, 1)].tolist() == [5, 10.0, 20.0]
    assert found.loc[(1, 1, 1)].tolist() == [3, 6.0, 12.0]
    assert len(found) == 4


def test_publish__the_old_dataset_stands_until_the_new_one_is_complete(root: str):
    manifest = staged(root, sizes=(4, 4))
    assert read_manifest(root).fold(0).n_samples == 5
    verify(root, read_manifest(root))
    publish(root, manifest)
    assert read_manifest(root) == manifest
    verify(root, manifest)
    assert not Path(staging_root(root)).exists()
    assert [path.name for path in Path(root).parent.iterdir()] == ["dataset"]


def test_publish__nothing_is_committed_before_the_files_have_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = str(tmp_path / "dataset")
    manifest = staged(root)

    def cut_off(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("contract.dataset.write_manifest", cut_off)
    with pytest.raises(OSError, match="disk full"):
        publish(root, manifest)
    with pytest.raises(InputError, match="wanted a finished dataset"):
        read_manifest(root)


def test_prepare_staging__drops_what_a_run_that_was_cut_off_left(tmp_path: Path):
    root = str(tmp_path / "dataset")
    left = Path(prepare_staging(root)) / "samples"
    left.mkdir()
    assert not (Path(prepare_staging(root)) / "samples").exists()


def test_publish__on_another_file_system():
    root = "memory://exoshard-test/dataset"
    manifest = staged(root)
    publish(root, manifest)
    publish(root, staged(root, sizes=(4, 4)))
    found = read_manifest(root)
    verify(root, found)
    assert read_samples(root, found, [1])["sample_id"].tolist() == ["S4", "S5", "S6", "S7"]
    filesystem = fsspec.filesystem("memory")
    assert [entry["name"] for entry in filesystem.ls("/exoshard-test")] == ["/exoshard-test/dataset"]
    filesystem.rm("/exoshard-test", recursive=True)


def test_verify__finds_a_changed_byte_and_an_absent_file(root: str):
    manifest = read_manifest(root)
    verify(root, manifest)
    changed = Path(root) / part_path(0, 0)
    content = bytearray(changed.read_bytes())
    content[20] ^= 1
    changed.write_bytes(content)
    (Path(root) / part_path(1, 0)).unlink()
    with pytest.raises(InputError) as told:
        verify(root, manifest)
    first, second = told.value.faults
    assert "samples/fold=0/part-00000.parquet sha256: found" in first
    assert second.endswith("samples/fold=1/part-00000.parquet: found no such file, wanted 3 rows")


def test_read_samples__damaged_file(root: str):
    (Path(root) / part_path(0, 0)).write_bytes(b"PAR1 no parquet")
    with pytest.raises(InputError, match=r"part-00000\.parquet: found no readable file"):
        read_samples(root, read_manifest(root), [0])


def test_read_samples__another_schema(root: str):
    pq.write_table(people(0, 5).drop(["values"]), Path(root) / part_path(0, 0))
    with pytest.raises(InputError, match="values: found no such column, wanted list<"):
        read_samples(root, read_manifest(root), [0])


def test_read_genes__absent(root: str):
    (Path(root) / "genes.parquet").unlink()
    with pytest.raises(InputError, match=r"genes\.parquet: whole file: found no such file"):
        read_genes(root)


def test_read_genes__another_number_than_the_manifest_says(root: str):
    manifest = read_manifest(root).model_copy(update={"n_genes": 3})
    with pytest.raises(InputError, match=r"genes\.parquet: rows: found 2 genes, wanted 3 \(manifest"):
        read_genes(root, manifest)


@pytest.mark.parametrize(("name", "read"), [("genes", read_genes), ("stats", read_stats)])
@pytest.mark.parametrize("cut", [0, 60])
def test_read_table__damaged_file(root: str, name: str, read: Callable[[str], object], cut: int):
    path = Path(root) / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=rf"{name}\.parquet: whole file: found no readable file"):
        read(root)


@pytest.mark.parametrize("url", ["nowhere://bucket/dataset", "gs://bucket/dataset"])
def test_read_manifest__file_system_that_is_not_there(url: str):
    if url.startswith("gs") and importlib.util.find_spec("gcsfs"):
        pytest.skip("gcsfs is installed")
    with pytest.raises(InputError, match=f"{url}: URL: found no usable file system"):
        read_manifest(url)


def test_read_manifest__dataset_is_a_file(tmp_path: Path):
    (tmp_path / "dataset").write_text("a file")
    with pytest.raises(InputError, match=r"manifest.json: found no such file, wanted a finished dataset"):
        read_manifest(str(tmp_path / "dataset"))


def test_fold_stats__by_hand():
    # Two genes: index 1 is channel 0, gene 1; index 2 is channel 1, gene 0.
    stats = fold_stats(4, np.array([1, 2, 1]), np.array([1.0, 0.5, 2.0]), n=7, n_genes=2)
    assert stats.to_dict("list") == {
        "fold": [4, 4],
        "channel": [0, 1],
        "gene": [1, 0],
        "n": [7, 7],
        "sum": [3.0, 0.5],
        "sum_squares": [5.0, 0.25],
    }


def test_write_part__same_rows_same_bytes(tmp_path: Path):
    first, second = (write_part(str(tmp_path / name), "p.parquet", people(0, 5), 2) for name in "ab")
    assert first == second


def test_verify__example_until_a_byte_is_added(tmp_path: Path):
    manifest = write_example(str(tmp_path / "example"), n_samples=30)
    verify(str(tmp_path / "example"), manifest)
    name = manifest.folds[0].files[0].path
    with (tmp_path / "example" / name).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(InputError, match=r"part-00000\.parquet"):
        verify(str(tmp_path / "example"), manifest)
